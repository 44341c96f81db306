"""What a task of a public benchmark is made of: where its rows lie, how a row becomes text, what scores it.

The tasks themselves are in super_glue.py, glue.py, question_answering.py; names that users type are
names.py's part, reading files rows.py's.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

# A row as TensorFlow Datasets has it, in plain Python: str, int, float, list, dict. A label that is
# not known (test splits) is -1.
Row = Mapping[str, Any]
# What a row becomes: "inputs", "targets" ("" where not known), "id" if the benchmark has ids, and
# whatever metrics and submissions need, JSON-able.
Fields = dict[str, Any]
Text = Callable[[Row, bool], Iterable[Fields]]


@dataclass(frozen=True)
class Files:
    """Where a task's splits lie in a folder, and how one parsed line becomes rows.

    Attributes:
      paths: of each split, below the folder; `*` matches any text, several files are read in order.
      to_rows: a parsed line -> rows as TFDS has them. A line is a JSON object, or a dict of a
        table's columns, with "idx", its number from 0, and None where it has too few cells. A
        KeyError means a missing column.
      headerless: split -> the columns of tables that do not begin with their names.
    """

    paths: Mapping[str, str]
    to_rows: Callable[[Row], Iterable[Row]] = lambda row: [row]
    headerless: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True)
class Benchmark:
    """One task of a benchmark, whatever the vocabulary and the source.

    Attributes:
      name: as users type it, without prefixes: "super_glue_boolq_v102".
      tfds: name, configuration and version in TensorFlow Datasets: "super_glue/boolq:1.0.2".
      splits: ours -> TFDS's.
      official: the files that the benchmark itself distributes.
      hugging_face: the files of its Hugging Face repository, .parquet or .jsonl.
      text: `text(row, training)` -> the examples of a row in T5's text format. `training` tells
        tasks that learn from other examples than they are scored on.
      labels: legal target texts; None for free text.
      metrics: names in data/metrics, the deciding one first.
      train_examples: in the training split, which proportional mixtures count.
    """

    name: str
    tfds: str
    splits: Mapping[str, str]
    official: Files
    hugging_face: Files
    text: Text
    labels: Sequence[str] | None
    metrics: Sequence[str]
    train_examples: int
