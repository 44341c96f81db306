"""What T5's text formats have in common: named columns in a row, and labels as words.

Formats of single tasks are in super_glue.py, glue.py, question_answering.py.
"""

from collections.abc import Mapping, Sequence

from prompt_tuning.data.benchmarks.benchmark import Fields, Row, Text
from prompt_tuning.data.tables import RowError, nearest

UNKNOWN = -1  # the label of a row in a test split


def column(row: Row, name: str) -> str:
    """The text of a column. Raises RowError where it is something else, KeyError where it is not."""
    if not isinstance(row[name], str):
        raise RowError(f"column {name!r} needs text, found {row[name]!r}")
    return row[name]


def label_number(value: object, labels: Sequence[str]) -> int:
    """The index in `labels` of what a file says, which is the word or the index. None and -1 are
    labels that are not known. Raises RowError for anything else.
    """
    if value is None or value == UNKNOWN:
        return UNKNOWN
    found = str(value)
    words = [*labels, *map(str, range(len(labels)))]
    if found in words:
        return words.index(found) % len(labels)
    raise RowError(
        f"unknown label {value!r}; there are {', '.join(labels)}{nearest(found, list(labels))}"
    )


def label_text(row: Row, labels: Sequence[str]) -> str:
    """The word for the row's label, "" where that is not known."""
    return "" if row["label"] == UNKNOWN else labels[row["label"]]


def joined(prefix: str, row: Row, columns: Mapping[str, str] | Sequence[str]) -> str:
    """`prefix name: text name: text`, in the given order.

    Args:
      prefix: the task's name in the text.
      row: with the texts.
      columns: the row's columns; as a mapping: name in the text -> the row's column. T5 has them in
        alphabetical order unless the task says otherwise.
    """
    sources = columns if isinstance(columns, Mapping) else dict(zip(columns, columns))
    return " ".join([prefix, *(f"{name}: {column(row, key)}" for name, key in sources.items())])


def named_columns(
    prefix: str, columns: Mapping[str, str] | Sequence[str], labels: Sequence[str]
) -> Text:
    """T5's form of most classification tasks: `joined` columns, and the label's word as target."""

    def text(row: Row, training: bool) -> list[Fields]:
        del training
        return [
            {
                "inputs": joined(prefix, row, columns),
                "targets": label_text(row, labels),
                "id": str(row["idx"]),
                "idx": row["idx"],
            }
        ]

    return text
