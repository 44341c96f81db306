import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from tests.data.metrics.helpers import BINARY, scores, value

LABELS = ("yes", "no", "maybe")
three_way = st.lists(
    st.tuples(st.sampled_from(LABELS), st.sampled_from([*LABELS, "other", ""])),
    min_size=1,
    max_size=30,
)
two_way = st.lists(
    st.tuples(st.sampled_from(BINARY), st.sampled_from([*BINARY, "other", ""])),
    min_size=1,
    max_size=30,
)


def test_accuracy_and_illegal_rate():
    targets, predictions = ["yes", "no", "no", "yes"], ["yes", "yes", "nope", ""]
    assert value("accuracy", targets, predictions) == 25
    assert value("illegal_rate", targets, predictions, ["yes", "no"]) == 50


@given(three_way)
def test_macro_f1_is_scikit_learn_s(pairs):
    targets, predictions = zip(*pairs)
    expected = sklearn.metrics.f1_score(
        targets, predictions, labels=LABELS, average="macro", zero_division=0
    )
    assert value("macro_f1", targets, predictions, LABELS) == pytest.approx(100 * expected)


def test_macro_f1_by_hand():
    # yes: precision 1/2, recall 1 -> 2/3; no: precision 1, recall 1/2 -> 2/3; maybe: never right -> 0
    targets, predictions = ["yes", "no", "no", "maybe"], ["yes", "no", "yes", "other"]
    assert value("macro_f1", targets, predictions, LABELS) == pytest.approx(
        100 * (2 / 3 + 2 / 3 + 0) / 3
    )
    assert value("macro_f1", targets[:3], predictions[:3]) == pytest.approx(100 * 2 / 3)


@given(two_way)
def test_f1_is_scikit_learn_s_with_the_other_class_for_an_illegal_prediction(pairs):
    targets, predictions = zip(*pairs)
    other = {"yes": "no", "no": "yes"}
    legal = [prediction if prediction in BINARY else other[target] for target, prediction in pairs]
    expected = sklearn.metrics.f1_score(targets, legal, pos_label="yes", zero_division=0)
    assert value("f1", targets, predictions, BINARY) == pytest.approx(100 * expected)


def test_f1_by_hand():
    # "yes" is right once, missed once as illegal, claimed once instead of an illegal "no"
    targets, predictions = ["yes", "yes", "no", "no"], ["yes", "true", "false", "no"]
    assert value("f1", targets, predictions, BINARY) == pytest.approx(100 * 2 / 4)
    assert value("f1", targets, predictions, BINARY[::-1]) == pytest.approx(100 * 2 / 4)
    assert value("f1", ["no"], ["no"], BINARY) == 0


@pytest.mark.parametrize("name", ["f1", "macro_f1"])
def test_two_metrics_of_a_task_count_as_their_mean(name):
    sides = ["yes", "yes", "no", "no"], ["yes", "yes", "no", "other"]
    parts = {part: value(part, *sides, BINARY) for part in (name, "accuracy")}
    assert parts["accuracy"] == 75 != parts[name]
    mean = sum(parts.values()) / 2
    assert scores(f"{name}_accuracy", *sides, BINARY) == {f"{name}_accuracy": mean, **parts}
