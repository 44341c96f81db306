"""SuperGLUE's tasks, and DPR, which T5 trains with its Winograd task, in T5's text format.

The formats are those of T5's preprocessors (2019, appendix D): a task's name, then its columns in
alphabetical order. Rows in official files and on Hugging Face become TFDS's in super_glue_files.py.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence

from prompt_tuning.data.benchmarks import super_glue_files as files
from prompt_tuning.data.benchmarks.benchmark import Benchmark, Fields, Files, Row, Text
from prompt_tuning.data.benchmarks.text import column, joined, label_text, named_columns
from prompt_tuning.data.tables import RowError

ALL_SPLITS = ("train", "validation", "test")
_TRUTH = ("False", "True")
_ENTAILMENT = ("entailment", "not_entailment")

# Two texts whose rows point at no pronoun, by the beginning of their SHA-256: what T5 has there.
_POINTED_WRONGLY = {
    "ff12fea0d9c38a35": ('"Good for him," he said. ', '"Good for X ," he said.'),
    "2254040d40a24356": ("want to use it ,", "want to use X ,"),
}


def multirc_text(row: Row, training: bool) -> list[Fields]:
    """An answer option with its question and paragraph, without the paragraph's HTML."""
    inputs = joined("multirc", row, ("question", "answer", "paragraph"))
    return [
        {
            "inputs": re.sub("</?b>", "", inputs.replace("<br>", " ")),
            "targets": label_text(row, _TRUTH),
            "id": "-".join(str(row["idx"][part]) for part in ("paragraph", "question", "answer")),
            "idx": row["idx"],
        }
    ]


def record_text(row: Row, training: bool) -> list[Fields]:
    """A query: in training once for each answer, otherwise once, with all of them as "answers"."""
    passage = re.sub(r"([.?!\"'])\n@highlight\n", r"\1 ", column(row, "passage"))
    passage = passage.replace("\n@highlight\n", ". ")
    entities = ", ".join(row["entities"])
    inputs = f"record query: {column(row, 'query')} entities: {entities} passage: {passage}"
    name = f"{row['idx']['passage']}-{row['idx']['query']}"
    fields = {"inputs": inputs, "id": name, "idx": row["idx"], "answers": list(row["answers"])}
    if not training:
        return [fields | {"targets": next(iter(row["answers"]), "")}]
    return [
        fields | {"targets": answer, "id": f"{name}-{number}"}
        for number, answer in enumerate(row["answers"])
    ]


def wsc_text(row: Row, training: bool) -> list[Fields]:
    """A sentence with the pronoun in asterisks and what it may refer to as target; training has
    only those that it does refer to.
    """
    if training and row["label"] != 1:
        return []
    marked = _pronoun_blanked(row).replace(" X ", f" *{column(row, 'span2_text')}* ")
    return [
        {
            "inputs": f"wsc: {marked}",
            "targets": column(row, "span1_text"),
            "id": str(row["idx"]),
            "idx": row["idx"],
            "label": row["label"],
        }
    ]


def _pronoun_blanked(row: Row) -> str:
    text, index = column(row, "text"), row["span2_index"]
    digest = hashlib.sha256(text.encode()).hexdigest()[:16]
    if digest in _POINTED_WRONGLY:
        return text.replace(*_POINTED_WRONGLY[digest])
    words = text.split(" ")
    if not 0 < index < len(words) or words[index] != row["span2_text"]:
        raise RowError(
            f"span2_index {index} does not point at the pronoun {row['span2_text']!r} in {text!r}"
        )
    return f"{' '.join(words[:index])} X {' '.join(words[index + 1 :])}"


def dpr_text(row: Row, training: bool) -> list[Fields]:
    """A sentence with the pronoun's first occurrence in asterisks; the right candidate is the
    target.
    """
    pronoun = re.escape(column(row, "pronoun"))
    marked = re.sub(f" ({pronoun})( |\\.|,)", r" *\1*\2", column(row, "sentence"), count=1)
    return [{"inputs": f"wsc: {marked}", "targets": label_text(row, row["candidates"])}]


def _task(
    config: str,
    folder: str,
    columns: Sequence[str],
    labels: Sequence[str],
    train_examples: int,
    metrics: Sequence[str] = ("accuracy",),
    text: Text | None = None,
    to_rows: files.ToRows | None = None,
    paths: Mapping[str, str] = files.SPLIT_FILES,
) -> Benchmark:
    plain_rows = files.labelled_rows(columns, labels)
    return Benchmark(
        name=f"super_glue_{config}_v102",
        tfds=f"super_glue/{config}:1.0.2",
        splits={split: split for split in paths},
        official=Files(
            {split: f"{folder}/{file}" for split, file in paths.items()}, to_rows or plain_rows
        ),
        hugging_face=Files({split: f"{config}/{split}*" for split in paths}, plain_rows),
        text=text or named_columns(config, sorted(columns), labels),
        labels=labels,
        metrics=metrics,
        train_examples=train_examples,
    )


def _wsc(suffix: str, splits: Sequence[str], train_examples: int) -> Benchmark:
    """T5 trains on one task and evaluates another; "and_dev" is both."""
    paths = {split: files.SPLIT_FILES[split] for split in splits}
    return Benchmark(
        name=f"super_glue_wsc_{suffix}",
        tfds="super_glue/wsc.fixed:1.0.2",
        splits={split: split for split in splits},
        official=Files(
            {split: f"WSC/{file}" for split, file in paths.items()}, files.official_wsc_rows
        ),
        hugging_face=Files({split: f"wsc.fixed/{split}*" for split in splits}, files.wsc_rows),
        text=wsc_text,
        labels=None,
        metrics=("wsc",),
        train_examples=train_examples,
    )


_RECORD = Benchmark(
    name="super_glue_record_v102",
    tfds="super_glue/record:1.0.2",
    splits={split: split for split in ALL_SPLITS},
    official=Files(
        {split: f"ReCoRD/{file}" for split, file in files.SPLIT_FILES.items()},
        files.official_record_rows,
    ),
    hugging_face=Files({split: f"record/{split}*" for split in ALL_SPLITS}, files.record_rows),
    text=record_text,
    labels=None,
    metrics=("record",),
    train_examples=138_854,  # answers
)

_DPR = Benchmark(
    name="dpr_v001_simple",
    tfds="definite_pronoun_resolution:1.1.0",
    splits={"train": "train", "test": "test"},
    official=Files({"train": "DPR/train.c.txt", "test": "DPR/test.c.txt"}, files.official_dpr_rows),
    hugging_face=Files(
        {split: f"definite_pronoun_resolution/plain_text/{split}*" for split in ("train", "test")}
    ),
    text=dpr_text,
    labels=None,
    metrics=("accuracy",),
    train_examples=1_322,
)

BENCHMARKS: tuple[Benchmark, ...] = (
    _task("boolq", "BoolQ", ("question", "passage"), _TRUTH, 9_427),
    _task(
        "cb",
        "CB",
        ("premise", "hypothesis"),
        ("entailment", "contradiction", "neutral"),
        250,
        ("macro_f1_accuracy",),
    ),
    _task(
        "copa",
        "COPA",
        ("premise", "choice1", "choice2", "question"),
        ("choice1", "choice2"),
        400,
    ),
    _task(
        "multirc",
        "MultiRC",
        ("paragraph", "question", "answer"),
        _TRUTH,
        27_243,
        ("multirc",),
        multirc_text,
        files.official_multirc_rows,
    ),
    _RECORD,
    _task("rte", "RTE", ("premise", "hypothesis"), _ENTAILMENT, 2_490),
    _task("wic", "WiC", ("sentence1", "sentence2", "word"), _TRUTH, 5_428),
    _wsc("v102_simple_train", ("train",), 259),
    _wsc("v102_simple_eval", ("validation", "test"), 0),
    _wsc("and_dev_v102_simple", ALL_SPLITS, 259),
    _task(
        "axb",
        "AX-b",
        ("sentence1", "sentence2"),
        _ENTAILMENT,
        0,
        ("matthews", "accuracy"),
        named_columns("rte", {"hypothesis": "sentence2", "premise": "sentence1"}, _ENTAILMENT),
        paths={"test": "AX-b.jsonl"},
    ),
    _task(
        "axg",
        "AX-g",
        ("premise", "hypothesis"),
        _ENTAILMENT,
        0,
        ("accuracy", "gender_parity"),
        named_columns("rte", ("hypothesis", "premise"), _ENTAILMENT),
        paths={"test": "AX-g.jsonl"},
    ),
    _DPR,
)
