import pytest
import sklearn.metrics
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import super_glue_average
from tests.data.metrics.helpers import scores, value

BOOLS = ("False", "True")
options = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.integers(0, 2),
        st.sampled_from(BOOLS),
        st.sampled_from([*BOOLS, "maybe", ""]),
    ),
    min_size=1,
    max_size=24,
)


@given(options)
def test_multirc_is_the_official_definition(rows):
    other = {"True": "False", "False": "True"}
    legal = [guess if guess in BOOLS else other[target] for _, _, target, guess in rows]
    targets = [target for _, _, target, _ in rows]
    f1a = 100 * sklearn.metrics.f1_score(targets, legal, pos_label="True", zero_division=0)
    questions = {row[:2] for row in rows}
    solved = 0
    for question in questions:
        mine = [row for row in rows if row[:2] == question]
        solved += len([row for row in mine if row[2] == row[3]]) == len(mine)
    em = 100 * solved / len(questions)
    idx = [
        {"paragraph": paragraph, "question": question, "answer": i}
        for i, (paragraph, question, _, _) in enumerate(rows)
    ]
    found = scores("multirc", targets, [row[3] for row in rows], BOOLS, idx=idx)
    assert found == pytest.approx({"multirc": (f1a + em) / 2, "multirc_f1a": f1a, "multirc_em": em})


def wsc(candidate, prediction, label):
    return value("wsc", [candidate], [prediction], label=[label])


@pytest.mark.parametrize(
    "candidate, prediction, same",
    [
        ("Tom", "tom", True),
        ("the bunny", "fuzzy bunny", True),
        ("The fuzzy bunny", "bunny", True),
        ("his fuzzy bunny", "bunny fuzzy", True),
        ("fuzzy bunny", "fuzzy dog", False),
        ("Bob's hat", "Bob", False),
        ("Bob", "Bob's", False),
        ("Bob's hat", "the hat of Bob's", True),
        ("Bob's old hat", "Bob's hat", True),
        ("their", "tom", False),  # nothing is left to match
    ],
)
def test_wsc_is_right_where_the_referent_matches_as_it_should(candidate, prediction, same):
    assert wsc(candidate, prediction, 1) == (100 if same else 0)
    assert wsc(candidate, prediction, 0) == (0 if same else 100)


@pytest.mark.parametrize("prediction", ["", "the", "This his"])
@pytest.mark.parametrize("label", [0, 1, True, False])
def test_a_referent_of_no_words_is_wrong_either_way(prediction, label):
    assert wsc("Tom", prediction, label) == 0


@pytest.mark.parametrize("prediction", ["Tom", "Mary"])
def test_a_secret_label_is_never_right(prediction):
    assert wsc("Tom", prediction, -1) == 0


def parity(predictions, idx):
    return value("gender_parity", predictions, predictions, ["e", "n"], idx=idx)


def test_gender_parity_is_the_share_of_pairs_with_one_prediction():
    assert parity(["e", "e", "e", "n"], [0, 1, 2, 3]) == 50
    assert parity(["e", "e", "e", "n"], [0, 2, 1, 3]) == 50
    assert parity(["e", "e", "n", "n"], [0, 2, 1, 3]) == 0
    assert parity(["e", "e", "maybe", "maybe"], [0, 1, 2, 3]) == 50


def test_half_pairs_are_left_out_or_refused():
    assert parity(["e", "n", "e"], [4, 1, 5]) == 100
    with pytest.raises(DataError, match="needs pairs of rows, found only halves"):
        parity(["e", "n"], [1, 2])


def test_the_average_is_of_eight_tasks_and_of_two_metrics_their_mean():
    found = {name: {"accuracy": 10.0} for name in ("boolq", "copa", "rte", "wic")}
    found |= {
        "cb": {"accuracy": 90.0, "macro_f1": 70.0, "illegal_rate": 3.0},
        "multirc": {"multirc": 0.0, "multirc_f1a": 60.0, "multirc_em": 20.0},
        "record": {"record_f1": 50.0, "record_em": 30.0},
        "wsc": {"wsc": 80.0},
        "axg": {"gender_parity": 100.0},
    }
    assert super_glue_average(found) == pytest.approx((4 * 10 + 80 + 40 + 40 + 80) / 8)


def test_what_the_average_lacks_is_named():
    found = {name: {"accuracy": 10.0} for name in ("boolq", "copa")}
    with pytest.raises(DataError, match="accuracy and macro_f1 of task cb.*only tasks boolq, copa"):
        super_glue_average(found)
    with pytest.raises(DataError, match="macro_f1 of task cb, found accuracy"):
        super_glue_average(found | {"cb": {"accuracy": 1.0}})
