"""Lines as the leaderboard's own reader takes them."""

import pytest

from prompt_tuning.data.benchmarks import submission

SHEETS = {sheet.file: sheet for sheet in submission.SHEETS}


def lines(file, *rows):
    return list(SHEETS[file].lines([dict(row) for row in rows]))


def row(idx, prediction, **fields):
    return {"idx": idx, "prediction": prediction, **fields}


def test_eight_tasks_and_two_diagnostics_from_eight_prompts():
    assert len(SHEETS) == 10
    assert len({sheet.prompt for sheet in SHEETS.values()}) == 8
    assert SHEETS["AX-b.jsonl"].prompt == SHEETS["AX-g.jsonl"].prompt == "rte"


@pytest.mark.parametrize(
    ("file", "prediction", "label"),
    [
        ("BoolQ.jsonl", "True", "true"),
        ("CB.jsonl", "neutral", "neutral"),
        ("COPA.jsonl", "choice2", 1),
        ("COPA.jsonl", "choice1", 0),
        ("RTE.jsonl", "not_entailment", "not_entailment"),
        ("WiC.jsonl", "False", "false"),
        ("AX-b.jsonl", "entailment", "entailment"),
        ("AX-g.jsonl", "not_entailment", "not_entailment"),
        # A vocabulary may fold case; what is no label becomes one.
        ("BoolQ.jsonl", "true", "true"),
        ("CB.jsonl", "nothing of the sort", "entailment"),
    ],
)
def test_labels_in_the_leaderboards_words(file, prediction, label):
    assert lines(file, row(7, prediction)) == [{"idx": 7, "label": label}]


def test_a_referent_is_compared_with_the_candidate():
    rows = [row(0, "the trophy", targets="trophy"), row(1, "suitcase", targets="trophy")]
    assert lines("WSC.jsonl", *rows) == [
        {"idx": 0, "label": "True"},
        {"idx": 1, "label": "False"},
    ]


def test_record_says_the_answer_by_query():
    assert lines("ReCoRD.jsonl", row({"passage": 3, "query": 9}, "Anna")) == [
        {"idx": 9, "label": "Anna"}
    ]


def test_multirc_is_nested_by_paragraph_and_question():
    options = [(0, 0, 0, "True"), (0, 0, 1, "False"), (0, 1, 2, "True"), (1, 2, 3, "False")]
    rows = [
        row({"paragraph": p, "question": q, "answer": a}, prediction)
        for p, q, a, prediction in options
    ]
    shuffled = [rows[i] for i in (1, 3, 0, 2)]  # as TFDS stores them
    assert lines("MultiRC.jsonl", *shuffled) == lines("MultiRC.jsonl", *rows)
    assert lines("MultiRC.jsonl", *rows) == [
        {
            "idx": 0,
            "passage": {
                "questions": [
                    {"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}]},
                    {"idx": 1, "answers": [{"idx": 2, "label": 1}]},
                ]
            },
        },
        {
            "idx": 1,
            "passage": {"questions": [{"idx": 2, "answers": [{"idx": 3, "label": 0}]}]},
        },
    ]
