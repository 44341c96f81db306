"""Inputs without targets, for inference: lines of text, or a column of a table."""

import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from prompt_tuning.data.examples import DataError, Examples, examples_from_text
from prompt_tuning.data.tables import SUFFIXES, RowError, read_table
from prompt_tuning.data.templates import column_names, fill, without_control_characters
from prompt_tuning.data.vocabulary import Vocabulary

STANDARD_INPUT = "-"
NumberedText = tuple[str, str]


def read_inputs(
    path: str, inputs: str = "inputs", id_column: str | None = None
) -> list[NumberedText]:
    """(id, text) of each input, in order.

    Args:
      path: a `.tsv`, `.csv` or `.jsonl` file, any other file with one input a line, or "-" for
        lines of standard input. A line's id is its number, also where lines are empty.
      inputs: a table's column, or a template of columns.
      id_column: a table's column of ids; without one an id is the row's number.

    Raises:
      DataError: by file and row.
    """
    if path == STANDARD_INPUT:
        return _lines(sys.stdin.buffer, "standard input")
    if not Path(path).is_file():
        raise DataError(f"no input file {path}: check INPUT_FILE")
    if Path(path).suffix in SUFFIXES:
        return _rows(path, inputs, id_column)
    with open(path, "rb") as file:
        return _lines(file, path)


def unlabelled_examples(
    texts: Sequence[NumberedText], vocabulary: Vocabulary, inputs_length: int, targets_length: int
) -> Examples:
    """Examples with empty targets; long inputs are cut, and counted in the report."""
    fields = [{"inputs": text, "targets": ""} for _, text in texts]
    return examples_from_text(
        [name for name, _ in texts], fields, vocabulary, inputs_length, targets_length
    )


def _lines(stream: Iterable[bytes], name: str) -> list[NumberedText]:
    texts = []
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}, line {number}: not UTF-8 ({error.reason})") from error
        texts.append((str(number), without_control_characters(text)))
    return _some(texts, name)


def _rows(path: str, inputs: str, id_column: str | None) -> list[NumberedText]:
    texts = []
    needed = column_names(inputs) + ([id_column] if id_column else [])
    for number, columns in read_table(path, needed):
        try:
            if isinstance(columns, RowError):
                raise columns
            name = fill(id_column, columns) if id_column else str(number)
            texts.append((name, without_control_characters(fill(inputs, columns)).strip()))
        except RowError as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return _some(texts, path)


def _some(texts: list[NumberedText], name: str) -> list[NumberedText]:
    if not texts:
        raise DataError(f"{name}: no inputs")
    return texts
