import re
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from tests.data.metrics.helpers import scores, value

words = [
    "the",
    "The",
    "a",
    "an",
    "fox",
    "Fox,",
    "red-hot",
    "red",
    "hot",
    "U.S.",
    "US",
    "-",
    "theory",
]
text = st.lists(st.sampled_from(words), max_size=5).map(" ".join)
rows = st.lists(st.tuples(text, st.lists(text, min_size=1, max_size=4)), min_size=1, max_size=8)


def test_free_text_metrics_compare_words():
    targets, predictions = ["The red fox.", "a a b"], ["the RED fox", "a b c"]
    assert value("exact_match", targets, predictions) == 50
    assert value("token_f1", targets, predictions) == pytest.approx(100 * (1 + 2 / 3) / 2)
    assert value("token_f1", [".", "x"], ["!", ""]) == 50


def official(prediction, answer):
    """Exact match and F1 as the SQuAD 1.1 script describes them (ReCoRD's is the same)."""

    def words_of(text):
        kept = ""
        for letter in text.lower():
            if letter not in string.punctuation:
                kept += letter
        return [word for word in re.split(r"\s+", kept) if word not in ("", "a", "an", "the")]

    said, expected = words_of(prediction), words_of(answer)
    shared, left = 0, list(expected)
    for word in said:
        if word in left:
            left.remove(word)
            shared += 1
    if shared == 0:
        return float(said == expected), 0.0
    precision, recall = shared / len(said), shared / len(expected)
    return float(said == expected), 2 * precision * recall / (precision + recall)


@pytest.mark.parametrize("name", ["squad", "record"])
@given(rows)
def test_the_best_of_the_answers_counts_as_in_the_official_scripts(name, rows):
    predictions, answers = zip(*rows)
    em = f1 = 0
    for prediction, texts in rows:
        each = [official(prediction, answer) for answer in texts]
        em += 100 * max(exact for exact, _ in each) / len(rows)
        f1 += 100 * max(overlap for _, overlap in each) / len(rows)
    found = scores(name, predictions, predictions, answers=answers)
    assert found == pytest.approx({name: (em + f1) / 2, f"{name}_em": em, f"{name}_f1": f1})


def test_answers_by_hand():
    predictions = ["in the U.S.", "Red, hot", "an"]
    answers = [["US", "in U.S"], ["red-hot", "hot"], ["the"]]
    found = scores("squad", predictions, predictions, answers=answers)
    # the third has no words left: equal to "the", but none is shared
    assert found["squad_em"] == pytest.approx(200 / 3)
    assert found["squad_f1"] == pytest.approx(100 * (1 + 2 / 3 + 0) / 3)


def test_the_target_is_not_what_answers_are_compared_with():
    assert value("record", ["fox"], ["dog"], answers=[["cat", "dog"]]) == 100


def test_rows_without_answers_cannot_be_scored():
    with pytest.raises(DataError, match="row 2 has no answers to score against"):
        scores("squad", ["x", "y"], ["x", "y"], answers=[["x"], []])
