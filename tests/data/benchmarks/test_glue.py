"""Every GLUE format by hand: what T5's preprocessors make of the invented rows."""

import numpy as np
import pytest

from prompt_tuning.data.benchmarks import glue
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import check_metrics
from tests.data.benchmarks.helpers import SUPER_GLUE, task_of, texts

GLUE = SUPER_GLUE.parent / "glue"
OFFICIAL, HUGGING_FACE = GLUE / "official", GLUE / "hugging_face"

GOLDEN = {
    ("cola", "train"): [
        ("cola sentence: The kettle sang quietly.", "acceptable"),
        ("cola sentence: Kettle the quietly sang.", "unacceptable"),
    ],
    ("cola", "validation"): [('cola sentence: Him said "wait.', "unacceptable")],
    ("cola", "test"): [("cola sentence: Boats drift.", "")],
    ("sst2", "train"): [
        ('sst2 sentence: a "warm soup of a film ', "positive"),
        ("sst2 sentence: dull as dishwater ", "negative"),
    ],
    ("sst2", "test"): [("sst2 sentence: who knows ? ", "")],
    ("mrpc", "train"): [
        (
            "mrpc sentence1: The ferry left at noon . sentence2: At noon , the ferry departed .",
            "equivalent",
        ),
        ("mrpc sentence1: Prices rose . sentence2: The mayor resigned .", "not_equivalent"),
    ],
    ("mrpc", "validation"): [
        ("mrpc sentence1: Rain fell on the fair . sentence2: The fair was dry .", "not_equivalent")
    ],
    ("qqp", "train"): [
        (
            "qqp question1: How do I boil an egg? question2: What is the way to boil eggs?",
            "duplicate",
        ),
        ("qqp question1: Why is the sea salty? question2: Why is my soup salty?", "not_duplicate"),
    ],
    ("qqp", "test"): [("qqp question1: Is it late? question2: Am I late?", "")],
    ("stsb", "train"): [
        ("stsb sentence1: A goat eats grass. sentence2: A goat is eating.", "3.2"),
        ("stsb sentence1: A drum rolls. sentence2: Snow falls.", "0.0"),
    ],
    ("stsb", "validation"): [
        ("stsb sentence1: Two cups stand here. sentence2: Here are two cups.", "4.6")
    ],
    ("stsb", "test"): [("stsb sentence1: A man naps. sentence2: A cat naps.", "")],
    ("mnli", "train"): [
        (
            "mnli hypothesis: The shop is open by noon. premise: The shop opens at six.",
            "entailment",
        ),
        ("mnli hypothesis: She sold every loom. premise: She owns a loom.", "contradiction"),
    ],
    ("mnli", "validation_matched"): [
        ("mnli hypothesis: He was happy. premise: He whistled.", "neutral")
    ],
    ("mnli", "validation_mismatched"): [
        ("mnli hypothesis: The bell was silent. premise: The bell rang twice.", "contradiction")
    ],
    ("mnli", "test_mismatched"): [("mnli hypothesis: Bees sing. premise: Bees hum.", "")],
    ("mnli_matched", "validation"): [
        ("mnli hypothesis: He was happy. premise: He whistled.", "neutral")
    ],
    ("mnli_mismatched", "validation"): [
        ("mnli hypothesis: The bell was silent. premise: The bell rang twice.", "contradiction")
    ],
    ("qnli", "train"): [
        (
            "qnli question: Where was the clock made? sentence: The clock was made in a barn.",
            "entailment",
        ),
        ("qnli question: Who rang it? sentence: It weighs a ton.", "not_entailment"),
    ],
    ("rte", "train"): [
        ("rte sentence1: The jar fell and it broke. sentence2: The jar broke.", "entailment"),
        ("rte sentence1: The jar fell on it. sentence2: The jar was stolen.", "not_entailment"),
    ],
    ("wnli", "train"): [
        ("wnli sentence1: The jar fell and it broke. sentence2: The jar broke.", "entailment"),
        ("wnli sentence1: The jar fell on it. sentence2: The jar was stolen.", "not_entailment"),
    ],
    ("ax", "test"): [("mnli hypothesis: The pot is full. premise: The pot isn't full.", "")],
}
SPLITS = [(benchmark, split) for benchmark in glue.BENCHMARKS for split in benchmark.splits]


@pytest.mark.parametrize("target, source", [("mrpc", "qqp"), ("qqp", "mrpc")])
def test_a_task_with_the_answers_of_another(target, source):
    own, answered = (
        texts(f"glue_{name}_v200", "validation", OFFICIAL)
        for name in (target, f"{target}_from_{source}")
    )
    words = {name: glue_labels(f"glue_{name}_v200") for name in (target, source)}
    translated = dict(zip(words[target], words[source]))
    assert [row["inputs"] for row in answered] == [row["inputs"] for row in own] != []
    assert [row["targets"] for row in answered] == [translated[row["targets"]] for row in own]


def glue_labels(name):
    (labels,) = (benchmark.labels for benchmark in glue.BENCHMARKS if benchmark.name == name)
    return labels


@pytest.mark.parametrize("name, split", GOLDEN)
def test_golden(name, split):
    rows = texts(f"glue_{name}_v200", split, OFFICIAL)
    assert [(row["inputs"], row["targets"]) for row in rows] == GOLDEN[name, split]


@pytest.mark.parametrize(
    "benchmark, split", SPLITS, ids=lambda value: getattr(value, "name", value)
)
def test_both_sources_give_the_same_examples(benchmark, split):
    ours, theirs = (texts(benchmark.name, split, folder) for folder in (OFFICIAL, HUGGING_FACE))
    assert [row["inputs"] for row in ours] == [row["inputs"] for row in theirs]
    if (benchmark.name, split) != ("glue_mrpc_v200", "test"):  # whose labels only one of them has
        assert [row["targets"] for row in ours] == [row["targets"] for row in theirs]
    if "glue_mrpc" not in benchmark.name or split == "test":  # whose ids they count differently
        assert [(row["id"], row["idx"]) for row in ours] == [
            (row["id"], row["idx"]) for row in theirs
        ]


def test_a_line_that_breaks_off_is_left_out_and_keeps_its_number():
    assert [row["id"] for row in texts("glue_qqp_v200", "train", OFFICIAL)] == ["0", "2"]


@pytest.mark.parametrize(
    "score, text",
    # In float32, 0.7 * 5 is 3.5 and rounds to the even 4, 1.3 * 5 is 6.5 and to 6.
    [
        (0.0, "0.0"),
        (0.1, "0.0"),
        (0.7, "0.8"),
        (1.3, "1.2"),
        (2.5, "2.4"),
        (3.8, "3.8"),
        (5, "5.0"),
    ],
)
def test_similarities_are_rounded_as_float32(score, text):
    row = {"sentence1": "a", "sentence2": "b", "label": score, "idx": 3}
    expected = {"inputs": "stsb sentence1: a sentence2: b", "targets": text, "id": "3", "idx": 3}
    assert glue.similarity_text(row, True) == [expected]
    assert glue.similarity_text(row | {"label": float(np.float32(score))}, True) == [expected]


@pytest.mark.parametrize(
    "file, content, message",
    [
        ("CoLA/train.tsv", "a\t2\t\tx", "train.tsv, row 1: unknown label '2'; there are unacc"),
        ("RTE/train.tsv", "sentence1\tlabel\na\t0", "train.tsv, row 2: no column 'sentence2'"),
        (
            "rte/train.jsonl",
            '{"sentence1": "a", "sentence2": "b", "label": 2, "idx": 0}',
            "label 2",
        ),
        (
            "STS-B/train.tsv",
            "sentence1\tsentence2\tscore\na\tb\tfive",
            "row 2: a score is a number, found 'five'",
        ),
        ("SST-2/train.tsv", "index\tsentence\n0\tx", "train.tsv, row 2: no label"),
    ],
)
def test_bad_files_are_named_by_row(tmp_path, file, content, message):
    (tmp_path / file).parent.mkdir()
    (tmp_path / file).write_text(content)
    name = file.split("/")[0].lower().replace("-", "")
    with pytest.raises(DataError, match=message):
        list(task_of(f"glue_{name}_v200", tmp_path).examples("train"))


@pytest.mark.parametrize("benchmark", glue.BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_metrics_fit_the_task(benchmark):
    check_metrics(benchmark.metrics, has_labels=benchmark.labels is not None)


@pytest.mark.parametrize("name", ["mrpc", "qqp", "mrpc_from_qqp"])
def test_the_mean_of_two_metrics_tells_what_was_best(name, pocket):
    task = task_of(f"glue_{name}_v200", OFFICIAL)
    examples = task.load("validation", pocket, 64, 8)
    scores = task.score(examples, [row["targets"] for row in examples.fields], pocket)
    assert task.metric == "f1_accuracy"
    assert list(scores) == ["f1_accuracy", "f1", "accuracy", "illegal_rate"]


@pytest.mark.parametrize(
    "name, positive", [("cola", "acceptable"), ("mrpc", "equivalent"), ("qqp", "duplicate")]
)
def test_the_positive_label_stands_last(name, positive):
    assert task_of(f"glue_{name}_v200", OFFICIAL).label_texts[-1] == positive
