import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import Results, normalise
from prompt_tuning.data.metrics.results import normalised, percentage, with_mean
from prompt_tuning.data.vocabulary import ByteVocabulary


@given(st.text(max_size=20))
def test_a_label_and_its_decoded_tokens_normalise_alike(pocket, text):
    assert normalise(text, pocket) == normalise(pocket.decode(pocket.encode(text)), pocket)


def test_every_compared_text_is_normalised_and_nothing_else(pocket):
    rows = [{"answers": ["Old York", "  YORK "], "idx": 7, "id": "A"}, {"id": "B"}]
    results = normalised(Results(["A", "b"], ["B", " a"], ["A", "B"], rows), pocket)
    assert results == Results(
        ["a", "b"],
        ["b", "a"],
        ["a", "b"],
        [{"answers": ["old york", "york"], "idx": 7, "id": "A"}, {"id": "B"}],
    )
    assert rows[0]["answers"] == ["Old York", "  YORK "]


class Shouting(ByteVocabulary):
    """Gives text back in upper case, and remembers what it was asked for."""

    def __init__(self):
        super().__init__()
        self.asked = []

    def encode(self, text):
        self.asked.append(text)
        return super().encode(text)

    def decode(self, ids):
        return super().decode(ids).upper()


def test_a_repeated_text_is_normalised_once():
    vocabulary = Shouting()
    fields = [{"answers": ["yes", "no"]}] * 100
    results = normalised(Results(["yes"] * 100, ["no"] * 100, ["yes", "no"], fields), vocabulary)
    assert vocabulary.asked.count("yes") == vocabulary.asked.count("no") == 1
    assert set(results.predictions) == {"NO"} and results.fields[99] == {"answers": ["YES", "NO"]}


@pytest.mark.parametrize(
    "targets, predictions, fields",
    [([], [], []), (["a"], ["a", "b"], []), (["a"], ["a"], [{}, {}])],
)
def test_results_must_match_in_number(targets, predictions, fields):
    with pytest.raises(
        DataError,
        match=f"found {len(targets)} targets, {len(predictions)} predictions, {len(fields)} rows",
    ):
        Results(targets, predictions, fields=fields)


def test_a_column_that_is_not_there_is_named():
    rows = [{"idx": 1, "answers": ["x"]}, {"idx": 2}]
    results = Results(["a", "b"], ["a", "b"], fields=rows)
    assert results.column("idx") == [1, 2]
    with pytest.raises(DataError, match="field 'answers' of its rows, found one with idx"):
        results.column("answers")
    with pytest.raises(DataError, match="field 'idx' of its rows, found one with no fields"):
        Results(["a"], ["a"]).column("idx")


def test_percentages_and_means():
    assert percentage([True, False, 0.5, 0.5]) == 50
    assert with_mean("both", {"one": 10.0, "other": 20.0}) == {
        "both": 15,
        "one": 10,
        "other": 20,
    }
