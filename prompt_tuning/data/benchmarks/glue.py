"""GLUE in T5's text format: nine tasks, the two halves of MNLI, the diagnostic set, and the rows
of MRPC and QQP in either's text, for transfer between them.

Rows are those of TensorFlow Datasets' `glue`, of the folder that GLUE's own download script makes,
or of the Hugging Face repository `nyu-mll/glue`. Two differences stay: ids of MRPC's train and
validation rows are line numbers in the official files, where the others count before the corpus is
split; and the Hugging Face repository alone has labels for MRPC's test split.
"""

import dataclasses
from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np

from prompt_tuning.data.benchmarks.benchmark import Benchmark, Fields, Files, Row, Text
from prompt_tuning.data.benchmarks.text import UNKNOWN, joined, label_number, named_columns
from prompt_tuning.data.tables import RowError

_STEPS = np.float32(5)  # in one point of similarity
_NLI = ("entailment", "neutral", "contradiction")
_PAIR = {"sentence1": "sentence1", "sentence2": "sentence2"}
_PREMISE = {"premise": "sentence1", "hypothesis": "sentence2"}
_QUESTIONS = {"question1": "question1", "question2": "question2"}
_FILES = {"train": "train", "validation": "dev", "test": "test"}
_MNLI_FILES = {
    "train": "train",
    "validation_matched": "dev_matched",
    "validation_mismatched": "dev_mismatched",
    "test_matched": "test_matched",
    "test_mismatched": "test_mismatched",
}
_COLA_COLUMNS = ("source", "is_acceptable", "note", "sentence")


def similarity_text(row: Row, training: bool) -> list[Fields]:
    """T5's form of STS-B: the score as text, rounded to the next 0.2 as float32 has it (1910.10683,
    section 2.4).
    """
    del training
    score = np.round(np.float32(row["label"]) * _STEPS) / _STEPS
    return [
        {
            "inputs": joined("stsb", row, sorted(_PAIR)),
            "targets": "" if row["label"] == UNKNOWN else f"{score:.1f}",
            "id": str(row["idx"]),
            "idx": row["idx"],
        }
    ]


def _rows(
    columns: Mapping[str, str], label_column: str, label_of: Callable[[object], int | float]
) -> Callable[[Row], Iterable[Row]]:
    """Lines to rows with `columns` under their features' names, and a label, for which the official
    tables of test splits have no column. Lines that lack a cell are left out, as TFDS does it.
    """

    def to_rows(line: Row) -> Iterable[Row]:
        row = {feature: line[column] for feature, column in columns.items()}
        row["label"] = line.get(label_column, UNKNOWN)
        if None not in row.values() and row["label"] != "":
            yield row | {"label": label_of(row["label"]), "idx": line["idx"]}

    return to_rows


def _score(value: object) -> float:
    try:
        score = float(value)
    except ValueError as error:
        raise RowError(f"a score is a number, found {value!r}") from error
    if score != UNKNOWN and not 0 <= score <= 5:
        raise RowError(f"a score is from 0 to 5, found {value!r}")
    return score


_NLI_TEXT = named_columns("mnli", sorted(_PREMISE), _NLI)


def _benchmark(
    name: str,
    folder: str,
    columns: Mapping[str, str],
    labels: Sequence[str] | None,
    train_examples: int,
    label_column: str = "label",
    metrics: Sequence[str] = ("accuracy",),
    files: Mapping[str, str] = _FILES,
    headerless: Mapping[str, Sequence[str]] | None = None,
    text: Text | None = None,
) -> Benchmark:
    """A task whose features are `columns` of the tables `folder/FILE.tsv`, by split in `files`."""
    label_of = _score if labels is None else lambda label: label_number(label, labels)
    return Benchmark(
        name=f"glue_{name}_v200",
        tfds=f"glue/{name}:2.0.0",
        splits={split: split for split in files},
        official=Files(
            {split: f"{folder}/{file}.tsv" for split, file in files.items()},
            _rows(columns, label_column, label_of),
            headerless or {},
        ),
        hugging_face=Files(
            {split: f"{name}/{split}*" for split in files},
            _rows({feature: feature for feature in columns}, "label", label_of),
        ),
        text=text or named_columns(name, sorted(columns), labels),
        labels=labels,
        metrics=metrics,
        train_examples=train_examples,
    )


def _mnli(name: str, train_examples: int, files: Mapping[str, str]) -> Benchmark:
    return _benchmark(
        name, "MNLI", _PREMISE, _NLI, train_examples, "gold_label", files=files, text=_NLI_TEXT
    )


_OWN: tuple[Benchmark, ...] = (
    _benchmark(
        "cola",
        "CoLA",
        {"sentence": "sentence"},
        ("unacceptable", "acceptable"),
        8_551,
        "is_acceptable",
        metrics=("matthews",),
        headerless={"train": _COLA_COLUMNS, "validation": _COLA_COLUMNS},
    ),
    _benchmark("sst2", "SST-2", {"sentence": "sentence"}, ("negative", "positive"), 67_349),
    _benchmark(
        "mrpc",
        "MRPC",
        {"sentence1": "#1 String", "sentence2": "#2 String"},
        ("not_equivalent", "equivalent"),
        3_668,
        "Quality",
        metrics=("f1_accuracy",),
    ),
    _benchmark(
        "qqp",
        "QQP",
        _QUESTIONS,
        ("not_duplicate", "duplicate"),
        363_846,
        "is_duplicate",
        metrics=("f1_accuracy",),
    ),
    _benchmark(
        "stsb",
        "STS-B",
        _PAIR,
        None,
        5_749,
        "score",
        metrics=("pearson_spearman",),
        text=similarity_text,
    ),
    _mnli("mnli", 392_702, _MNLI_FILES),
    _mnli("mnli_matched", 0, {"validation": "dev_matched", "test": "test_matched"}),
    _mnli("mnli_mismatched", 0, {"validation": "dev_mismatched", "test": "test_mismatched"}),
    _benchmark(
        "qnli",
        "QNLI",
        {"question": "question", "sentence": "sentence"},
        ("entailment", "not_entailment"),
        104_743,
    ),
    _benchmark("rte", "RTE", _PAIR, ("entailment", "not_entailment"), 2_490),
    _benchmark("wnli", "WNLI", _PAIR, ("not_entailment", "entailment"), 635),
    _benchmark(
        "ax",
        "diagnostic",
        _PREMISE,
        _NLI,
        0,
        files={"test": "diagnostic"},
        text=_NLI_TEXT,
    ),
)


def _from(target: str, source: str, columns: Sequence[str]) -> Benchmark:
    """`target` for a prompt that learned `source` and answers in its words (the paper's Table 2)."""
    by_name = {benchmark.name: benchmark for benchmark in _OWN}
    labels = by_name[f"glue_{source}_v200"].labels
    return dataclasses.replace(
        by_name[f"glue_{target}_v200"],
        name=f"glue_{target}_from_{source}_v200",
        splits={"validation": "validation"},
        text=named_columns(target, sorted(columns), labels),
        labels=labels,
        train_examples=0,
    )


BENCHMARKS = (
    *_OWN,
    *(
        _from(target, source, list(columns))
        for target, columns in (("mrpc", _PAIR), ("qqp", _QUESTIONS))
        for source in ("mrpc", "qqp")
    ),
)
