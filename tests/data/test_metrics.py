import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import METRICS, Results, check_metrics, normalise, score

LABELS = ("yes", "no", "maybe")
texts = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "other", ""])),
    min_size=1,
    max_size=30,
)


def percent(name, targets, predictions, labels=None):
    return METRICS[name](Results(targets, predictions, labels))[name]


def test_accuracy_and_illegal_rate():
    targets, predictions = ["yes", "no", "no", "yes"], ["yes", "yes", "nope", ""]
    assert percent("accuracy", targets, predictions) == 25
    assert percent("illegal_rate", targets, predictions, ["yes", "no"]) == 50


@given(texts)
def test_macro_f1_is_scikit_learn_s(pairs):
    sklearn_metrics = pytest.importorskip(
        "sklearn.metrics", reason="the independent implementation is scikit-learn's"
    )
    targets, predictions = zip(*pairs)
    expected = sklearn_metrics.f1_score(
        targets, predictions, labels=LABELS, average="macro", zero_division=0
    )
    assert percent("macro_f1", targets, predictions, LABELS) == pytest.approx(100 * expected)


def test_macro_f1_by_hand():
    # yes: precision 1/2, recall 1 -> 2/3; no: precision 1, recall 1/2 -> 2/3; maybe: never right -> 0
    targets, predictions = ["yes", "no", "no", "maybe"], ["yes", "no", "yes", "other"]
    assert percent("macro_f1", targets, predictions, LABELS) == pytest.approx(
        100 * (2 / 3 + 2 / 3 + 0) / 3
    )
    assert percent("macro_f1", targets[:3], predictions[:3]) == pytest.approx(100 * 2 / 3)


def test_free_text_metrics_compare_words():
    targets, predictions = ["The red fox.", "a a b"], ["the RED fox", "a b c"]
    assert percent("exact_match", targets, predictions) == 50
    assert percent("token_f1", targets, predictions) == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert percent("token_f1", [".", "x"], ["!", ""]) == 50


def test_both_sides_are_read_through_the_vocabulary(pocket):
    results = Results(
        ["Spam", "Ham"], [pocket.decode(pocket.encode("Spam")), "ham"], ["Spam", "Ham"]
    )
    assert results.targets[0] != results.predictions[0]  # this vocabulary folds case
    assert score(["accuracy", "illegal_rate"], results, pocket) == {
        "accuracy": 100,
        "illegal_rate": 0,
    }


@given(st.text(max_size=20))
def test_a_label_and_its_decoded_tokens_normalise_alike(pocket, text):
    assert normalise(text, pocket) == normalise(pocket.decode(pocket.encode(text)), pocket)


def test_unknown_metrics_and_missing_labels_are_named():
    with pytest.raises(DataError, match="no metric 'acuracy'.*nearest: 'accuracy'"):
        check_metrics(["acuracy"], has_labels=True)
    with pytest.raises(DataError, match="'illegal_rate' needs a task with labels"):
        check_metrics(["accuracy", "illegal_rate"], has_labels=False)


@pytest.mark.parametrize("targets, predictions", [([], []), (["a"], ["a", "b"])])
def test_results_must_match_in_number(targets, predictions):
    with pytest.raises(
        DataError, match=f"found {len(targets)} targets, {len(predictions)} predictions"
    ):
        Results(targets, predictions)
