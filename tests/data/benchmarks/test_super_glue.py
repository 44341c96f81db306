"""Every format by hand: what T5's preprocessors make of the invented rows."""

import hashlib

import pytest

from prompt_tuning.data.benchmarks import super_glue
from prompt_tuning.data.benchmarks.text import named_columns
from prompt_tuning.data.tables import RowError
from tests.data.benchmarks.helpers import task_of, texts

GOLDEN = {
    ("super_glue_boolq_v102", "train"): [
        (
            "boolq passage: Heron -- A heron wades. It seldom swims, but it can. "
            "question: can a heron swim",
            "True",
        ),
        (
            "boolq passage: The mill at Oster closed in 1961; its wheel is gone. "
            "question: is the mill still working",
            "False",
        ),
    ],
    ("super_glue_boolq_v102", "test"): [
        (
            "boolq passage: Nobody knows which came first. "
            "question: is the bridge older than the town",
            "",
        )
    ],
    ("super_glue_cb_v102", "train"): [
        (
            "cb hypothesis: the shop is shut premise: B: I know the shop is shut. A: Is it?",
            "entailment",
        ),
        ("cb hypothesis: the boat leaked premise: He never said the boat leaked.", "neutral"),
    ],
    ("super_glue_cb_v102", "validation"): [
        ("cb hypothesis: Ida paints premise: It is false that Ida paints.", "contradiction")
    ],
    ("super_glue_copa_v102", "train"): [
        (
            "copa choice1: The water boiled. choice2: The cat slept. "
            "premise: The kettle whistled. question: cause",
            "choice1",
        ),
        (
            "copa choice1: It was new. choice2: The swing fell. "
            "premise: The rope snapped. question: effect",
            "choice2",
        ),
    ],
    ("super_glue_multirc_v102", "validation"): [
        (
            "multirc question: When did it stop? answer: noon "
            "paragraph: Sent 1: The clock stopped at noon. ",
            "True",
        ),
        (
            "multirc question: When did it stop? answer: midnight "
            "paragraph: Sent 1: The clock stopped at noon. ",
            "False",
        ),
    ],
    ("super_glue_record_v102", "train"): [
        (
            "record query: @placeholder will race again entities: Kessel, Lena Ott, Ott, Varn "
            "passage: Lena Ott won the race in Varn. Ott trains in Varn. She is from Kessel. "
            "The race was her first",
            answer,
        )
        for answer in ("Lena Ott", "Ott")
    ]
    + [
        (
            "record query: The town of @placeholder was glad entities: Kessel, Lena Ott, Ott, Varn "
            "passage: Lena Ott won the race in Varn. Ott trains in Varn. She is from Kessel. "
            "The race was her first",
            "Varn",
        )
    ],
    ("super_glue_record_v102", "validation"): [
        (
            "record query: @placeholder asked for patience entities: Brandt, Tolm "
            "passage: A bear walked into Tolm. “Stay in”, said mayor Brandt! Nobody was hurt",
            "Brandt",
        )
    ],
    ("super_glue_rte_v102", "train"): [
        ("rte hypothesis: Mara sold a barn. premise: Mara sold the red barn in May.", "entailment"),
        (
            "rte hypothesis: The choir sang in Rome. premise: The choir sang twice.",
            "not_entailment",
        ),
    ],
    ("super_glue_wic_v102", "validation"): [
        (
            "wic sentence1: The light went green. sentence2: A light stood on the sill. "
            "word: light",
            "False",
        )
    ],
    ("super_glue_wsc_v102_simple_train", "train"): [
        ("wsc: The baker thanked the miller because *he* had brought flour .", "the miller"),
        ("wsc: My old coat is warm , so I wear *it* daily .", "My old coat"),
    ],
    ("super_glue_wsc_v102_simple_eval", "validation"): [
        ("wsc: Jo's dog bit the man when *he* ran .", "Jo's dog"),
        ("wsc: Two pipes burst , and *they* flooded the hall .", "Two pipes"),
    ],
    ("super_glue_axb_v102", "test"): [
        (
            "rte hypothesis: The geese have not flown. premise: The geese have flown.",
            "not_entailment",
        ),
        ("rte hypothesis: No big fish bit. premise: No fish bit.", "entailment"),
    ],
    ("super_glue_axg_v102", "test"): [
        (
            f"rte hypothesis: The porter could leave. "
            f"premise: The porter told the guest that {pronoun} could leave.",
            "not_entailment",
        )
        for pronoun in ("he", "she")
    ],
    ("dpr_v001_simple", "train"): [
        ("wsc: The fox outran the hound because *it* was faster.", "fox"),
        ("wsc: Ann fed Bea, since *she*, as she said, was hungry.", "Bea"),
    ],
}


@pytest.mark.parametrize("name, split", GOLDEN)
def test_text_is_t5_s(name, split):
    found = [(fields["inputs"], fields["targets"]) for fields in texts(name, split)]
    assert found == GOLDEN[name, split]


def test_multirc_keeps_what_groups_options_and_loses_html():
    first, *_, last = texts("super_glue_multirc_v102", "train")
    assert first["inputs"].endswith(
        "paragraph: Sent 1: Olaf planted leeks. Sent 2: His sister watered them. "
    )
    assert first["idx"] == {"paragraph": 0, "question": 0, "answer": 0} and first["id"] == "0-0-0"
    assert last["idx"] == {"paragraph": 0, "question": 1, "answer": 3} and last["id"] == "0-1-3"


def test_record_is_seen_once_in_evaluation_and_once_an_answer_in_training():
    row = {
        "passage": "Ann and Ben. What?\n@highlight\nBoth",
        "query": "@placeholder came",
        "entities": ["Ann", "Ben"],
        "answers": ["Ann", "Ben"],
        "idx": {"passage": 3, "query": 7},
    }
    trained = super_glue.record_text(row, True)
    assert [(fields["id"], fields["targets"]) for fields in trained] == [
        ("3-7-0", "Ann"),
        ("3-7-1", "Ben"),
    ]
    (evaluated,) = super_glue.record_text(row, False)
    assert evaluated["id"] == "3-7" and evaluated["targets"] == "Ann"
    assert evaluated["answers"] == ["Ann", "Ben"]
    assert {fields["inputs"] for fields in trained} == {evaluated["inputs"]}
    assert super_glue.record_text(row | {"answers": []}, True) == []
    assert super_glue.record_text(row | {"answers": []}, False)[0]["targets"] == ""


def test_wsc_keeps_false_referents_for_evaluation_only():
    row = {
        "text": "Ida saw X Mo before she X left .",
        "span1_text": "Mo",
        "span2_text": "she",
        "span2_index": 5,
        "idx": 4,
        "label": 0,
    }
    assert super_glue.wsc_text(row, True) == []
    # T5 marks the pronoun wherever there is a free-standing X.
    assert super_glue.wsc_text(row, False) == [
        {
            "inputs": "wsc: Ida saw *she* Mo before *she* X left .",
            "targets": "Mo",
            "id": "4",
            "idx": 4,
            "label": 0,
        }
    ]


@pytest.mark.parametrize("index", [0, 4, 9, -1])
def test_wsc_s_index_must_point_at_the_pronoun(index):
    row = {"text": "she saw Mo before she left", "span2_text": "he", "span2_index": index}
    with pytest.raises(RowError, match=f"span2_index {index} does not point at the pronoun 'he'"):
        super_glue.wsc_text(row | {"label": 1, "idx": 0, "span1_text": "Mo"}, False)


def test_texts_whose_rows_point_at_no_pronoun_are_mended_by_hand(monkeypatch):
    text = '"Poor her," he said. '
    mended = {hashlib.sha256(text.encode()).hexdigest()[:16]: ("her,", "X ,")}
    monkeypatch.setattr(super_glue, "_POINTED_WRONGLY", mended)
    row = {"text": text, "span1_text": "Mo", "span2_text": "her", "span2_index": 2, "idx": 0}
    (fields,) = super_glue.wsc_text(row | {"label": 1}, True)
    assert fields["inputs"] == 'wsc: "Poor *her* ," he said. '


def test_dpr_marks_the_first_occurrence_that_is_a_word():
    row = {"sentence": "Sheila said she, not Shea, ate.", "pronoun": "she"}
    (fields,) = super_glue.dpr_text(row | {"candidates": ["Sheila", "Shea"], "label": 1}, True)
    assert fields == {"inputs": "wsc: Sheila said *she*, not Shea, ate.", "targets": "Shea"}


def test_a_column_that_is_no_text_is_named():
    text = named_columns("t", ("a",), ("no", "yes"))
    with pytest.raises(RowError, match="column 'a' needs text, found None"):
        text({"a": None, "label": 0, "idx": 0}, False)


def test_training_examples_are_as_many_as_t5_s_weights_say():
    weights = {
        "dpr_v001_simple": 1_322,
        "super_glue_wsc_v102_simple_train": 259,
        "super_glue_wsc_v102_simple_eval": 0,
        "super_glue_wsc_and_dev_v102_simple": 259,
        "super_glue_boolq_v102": 9_427,
        "super_glue_cb_v102": 250,
        "super_glue_copa_v102": 400,
        "super_glue_multirc_v102": 27_243,
        "super_glue_record_v102": 138_854,
        "super_glue_rte_v102": 2_490,
        "super_glue_wic_v102": 5_428,
        "super_glue_axb_v102": 0,
        "super_glue_axg_v102": 0,
    }
    assert {task.name: task.train_examples for task in super_glue.BENCHMARKS} == weights


def test_the_mean_of_cb_s_two_metrics_tells_what_was_best(pocket):
    task = task_of("super_glue_cb_v102")
    examples = task.load("train", pocket, 64, 8)
    scores = task.score(examples, ["entailment", "entailment"], pocket)
    parts = {"macro_f1": pytest.approx(200 / 9), "accuracy": 50, "illegal_rate": 0}
    assert scores == {"macro_f1_accuracy": pytest.approx(325 / 9), **parts}
    assert task.metric == "macro_f1_accuracy"
