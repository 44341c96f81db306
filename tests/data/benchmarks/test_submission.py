"""Lines as the leaderboard's own reader takes them."""

import pytest

from prompt_tuning.data.benchmarks import submission
from prompt_tuning.data.metrics import Results, score
from prompt_tuning.data.vocabulary import ByteVocabulary

SHEETS = {sheet.file: sheet for sheet in submission.SHEETS}


def lines(file, *rows, vocabulary=ByteVocabulary()):
    return SHEETS[file].lines(rows, vocabulary)


def row(idx, prediction, targets=""):
    return {"idx": idx, "prediction": prediction, "targets": targets}


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
        # What is no label becomes one.
        ("CB.jsonl", "nothing of the sort", "entailment"),
    ],
)
def test_labels_in_the_leaderboards_words(file, prediction, label):
    assert lines(file, row(7, prediction)) == [{"idx": 7, "label": label}]


def test_a_label_may_look_as_the_vocabulary_writes_it(pocket):
    assert pocket.decode(pocket.encode("True")) == "true"
    assert lines("BoolQ.jsonl", row(7, "true"), vocabulary=pocket) == [{"idx": 7, "label": "true"}]


def test_a_referent_is_compared_with_the_candidate():
    rows = [row(0, "the trophy", targets="trophy"), row(1, "suitcase", targets="trophy")]
    assert lines("WSC.jsonl", *rows) == [
        {"idx": 0, "label": "True"},
        {"idx": 1, "label": "False"},
    ]


@pytest.mark.parametrize(
    "candidate, text",
    [
        ("Bob  Smith", "Bob Smith"),  # it makes two spaces one,
        ("BOB", "bob"),  # folds case,
        ("ＡＢＣ", "ABC"),  # writes wide letters as others,
        ("Zoë", "Zoë"),  # and does not have this one,
        ("Bob’s", "Bob"),  # nor this apostrophe.
        ("Bob's", "Bob"),
        ("the trophy", "suitcase"),
    ],
)
def test_a_referent_is_the_candidate_where_the_metric_says_so(pocket, candidate, text):
    prediction = pocket.decode(pocket.encode(text))  # all that a model can say
    answers = lines("WSC.jsonl", row(0, prediction, candidate), vocabulary=pocket)
    for label in (0, 1):
        results = Results([candidate], [prediction], fields=[{"label": label}])
        right = answers == [{"idx": 0, "label": str(bool(label))}]
        assert score(["wsc"], results, pocket) == {"wsc": 100 * right}


def test_a_candidate_is_compared_as_the_vocabulary_gives_it_back(pocket):
    said = row(0, pocket.decode(pocket.encode("Zoë")), "Zoë")
    assert lines("WSC.jsonl", said, vocabulary=pocket) == [{"idx": 0, "label": "True"}]


def test_record_says_the_answer_by_query():
    assert lines("ReCoRD.jsonl", row({"passage": 3, "query": 9}, "Anna")) == [
        {"idx": 9, "label": "Anna"}
    ]


@pytest.mark.parametrize("keys", ["paragraph question answer", "answer paragraph question"])
def test_multirc_is_nested_by_paragraph_and_question(keys):
    """Whatever the order of an idx's keys: TFDS has them by alphabet."""
    options = [(0, 0, 0, "True"), (0, 0, 1, "False"), (0, 1, 0, "True"), (1, 2, 0, "False")]
    rows = [
        row({key: {"paragraph": p, "question": q, "answer": a}[key] for key in keys.split()}, said)
        for p, q, a, said in options
    ]
    shuffled = [rows[i] for i in (1, 3, 0, 2)]  # as TFDS stores them
    assert lines("MultiRC.jsonl", *shuffled) == lines("MultiRC.jsonl", *rows)
    assert lines("MultiRC.jsonl", *rows) == [
        {
            "idx": 0,
            "passage": {
                "questions": [
                    {"idx": 0, "answers": [{"idx": 0, "label": 1}, {"idx": 1, "label": 0}]},
                    {"idx": 1, "answers": [{"idx": 0, "label": 1}]},
                ]
            },
        },
        {
            "idx": 1,
            "passage": {"questions": [{"idx": 2, "answers": [{"idx": 0, "label": 0}]}]},
        },
    ]
