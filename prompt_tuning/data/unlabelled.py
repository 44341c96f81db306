"""Inputs without targets, for inference: lines of text, or a column of a table."""

import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from prompt_tuning.data.examples import DataError, Examples, Report, examples_from_text
from prompt_tuning.data.tables import SUFFIXES, RowError, read_table
from prompt_tuning.data.templates import column_names, fill, without_control_characters
from prompt_tuning.data.vocabulary import Vocabulary

log = logging.getLogger(__name__)
STANDARD_INPUT = "-"


class Input(NamedTuple):
    """A text to predict for, and the prompt it names, if texts do.

    `cleaned` says whether it had control characters, in whose place are spaces.
    """

    id: str
    text: str
    prompt: str | None = None
    cleaned: bool = False


def read_inputs(
    path: str,
    inputs: str = "inputs",
    id_column: str | None = None,
    prompt_column: str | None = None,
) -> list[Input]:
    """All inputs, in order.

    Args:
      path: a `.tsv`, `.csv` or `.jsonl` file, any other file with one input a line, or "-" for
        lines of standard input. A line's id is its number, also where lines are empty.
      inputs: a table's column, or a template of columns.
      id_column: a table's column of ids; without one an id is the row's number.
      prompt_column: a table's column of prompt names.

    Raises:
      DataError: by file and row.
    """
    is_table = Path(path).suffix in SUFFIXES
    if prompt_column and not is_table:
        raise DataError(
            f"INPUT_FILE {path} has no columns: several prompts need a {', '.join(SUFFIXES)} table "
            f"whose column {prompt_column!r} names one"
        )
    if path == STANDARD_INPUT:
        return _lines(sys.stdin.buffer, "standard input")
    if not Path(path).is_file():
        raise DataError(f"no input file {path}: check INPUT_FILE")
    if is_table:
        return _rows(path, inputs, id_column, prompt_column)
    with open(path, "rb") as file:
        return _lines(file, path)


def unlabelled_examples(
    texts: Sequence[Input], vocabulary: Vocabulary, inputs_length: int, targets_length: int
) -> Examples:
    """Examples with empty targets; long inputs are cut. What was done to how many is in the report,
    and in the log.
    """
    report = Report(
        rows_read=len(texts), control_characters_replaced=sum(text.cleaned for text in texts)
    )
    ids = [text.id for text in texts]
    fields = [{"inputs": text.text, "targets": ""} for text in texts]
    examples = examples_from_text(ids, fields, vocabulary, inputs_length, targets_length, report)
    cut = examples.report.inputs_truncated
    log.log(logging.WARNING if cut else logging.INFO, "inputs: %s", examples.report)
    return examples


def _lines(stream: Iterable[bytes], name: str) -> list[Input]:
    texts = []
    for number, line in enumerate(stream, start=1):
        try:
            text = line.decode("utf-8").rstrip("\r\n")
        except UnicodeDecodeError as error:
            raise DataError(f"{name}, line {number}: not UTF-8 ({error.reason})") from error
        clean = without_control_characters(text)
        texts.append(Input(str(number), clean, cleaned=clean != text))
    return _some(texts, name)


def _rows(path: str, inputs: str, id_column: str | None, prompt_column: str | None) -> list[Input]:
    texts = []
    optional = [column for column in (id_column, prompt_column) if column]
    for number, columns in read_table(path, column_names(inputs) + optional):
        try:
            if isinstance(columns, RowError):
                raise columns
            name = fill(id_column, columns) if id_column else str(number)
            prompt = fill(prompt_column, columns) if prompt_column else None
            text = fill(inputs, columns)
            clean = without_control_characters(text)
            texts.append(Input(name, clean.strip(), prompt, cleaned=clean != text))
        except RowError as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return _some(texts, path)


def _some(texts: list[Input], name: str) -> list[Input]:
    if not texts:
        raise DataError(f"{name}: no inputs")
    return texts
