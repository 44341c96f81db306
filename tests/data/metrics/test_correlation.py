import warnings

import numpy as np
import pytest
import scipy.stats
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from tests.data.metrics.helpers import BINARY, scores, value

similarity = st.integers(0, 25).map(lambda fifth: f"{fifth / 5:.1f}")
illegal = st.sampled_from(["", "five", "nan", "inf", "7.0", "-2", "1e300"])
predicted = similarity.map(lambda text: (text, float(text))) | illegal.map(
    lambda text: (text, -1.0)
)


@pytest.mark.filterwarnings("ignore:A single label was found")
@given(
    st.lists(
        st.tuples(st.sampled_from(BINARY), st.sampled_from([*BINARY, "other"])),
        min_size=1,
        max_size=40,
    )
)
def test_matthews_is_scikit_learn_s_with_the_other_class_for_an_illegal_prediction(pairs):
    targets, predictions = zip(*pairs)
    other = {"yes": "no", "no": "yes"}
    legal = [prediction if prediction in BINARY else other[target] for target, prediction in pairs]
    expected = sklearn.metrics.matthews_corrcoef(targets, legal)
    assert value("matthews", targets, predictions, BINARY) == pytest.approx(100 * expected)


def test_only_illegal_predictions_are_as_wrong_as_can_be():
    assert value("matthews", ["yes", "no", "no"], ["x", "y", ""], BINARY) == pytest.approx(-100)


def test_matthews_of_many_rows_does_not_overflow():
    targets, predictions = ["yes", "no"] * 100_000, ["yes", "no", "no", "no"] * 50_000
    assert value("matthews", targets, predictions, BINARY) == pytest.approx(100 / np.sqrt(3))


@given(st.lists(st.tuples(similarity, predicted), min_size=2, max_size=30))
def test_pearson_and_spearman_are_scipy_s(pairs):
    targets, predictions = zip(*pairs)
    numbers = [float(text) for text in targets]
    predictions, guesses = zip(*predictions)
    found = scores("pearson_spearman", targets, predictions)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # a constant side has no correlation: scipy says nan, we 0
        expected = {
            "pearson": scipy.stats.pearsonr(numbers, guesses)[0],
            "spearman": scipy.stats.spearmanr(numbers, guesses)[0],
        }
    for name, correlation in expected.items():
        assert found[name] == pytest.approx(100 * np.nan_to_num(correlation), abs=1e-6)
    assert found["pearson_spearman"] == (found["pearson"] + found["spearman"]) / 2


def test_a_constant_is_correlated_with_nothing():
    # 0.1 + 0.1 + 0.1 is not 3 * 0.1: the mean of equal numbers may differ from them
    assert scores("pearson_spearman", ["0.1", "2.0", "3.0"], ["0.1"] * 3) == {
        "pearson_spearman": 0,
        "pearson": 0,
        "spearman": 0,
    }


def test_an_illegal_similarity_is_below_all_others():
    targets = ["0.0", "2.0", "4.0"]
    assert scores("pearson_spearman", targets, ["none", "2.0", "4.0"])["spearman"] == 100
    assert scores("pearson_spearman", targets, ["0.0", "2.0", "none"])["spearman"] == -50


@pytest.mark.parametrize("target", ["similar", "5.2", "nan", "90"])
def test_a_target_that_is_no_similarity_is_named(target):
    with pytest.raises(
        DataError, match=f"needs targets from 0 to 5, found '{target}': change the task's metrics"
    ):
        scores("pearson_spearman", ["1.0", target], ["1.0", "2.0"])
