"""Inputs without targets, for inference: lines of text, or a column of a table."""

import logging
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from prompt_tuning.data.examples import DataError, Examples, Report, examples_from_text
from prompt_tuning.data.tables import SUFFIXES, RowError, is_table, read_table
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
      inputs: a table's column, or a template of columns; lines are taken as they are, and refused
        where a template has text around its column.
      id_column: a table's column of ids, each once; without one an id is the row's number.
      prompt_column: a table's column of prompt names.

    Raises:
      DataError: by file and row.
    """
    if not is_table(path):
        _check_without_columns(path, inputs, id_column, prompt_column)
    if path == STANDARD_INPUT:
        return _lines(sys.stdin.buffer, "standard input")
    if not Path(path).is_file():
        raise DataError(f"no input file {path}: check INPUT_FILE")
    if is_table(path):
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


def _check_without_columns(
    path: str, inputs: str, id_column: str | None, prompt_column: str | None
) -> None:
    """A column's name, as a task's INPUTS or ID_COLUMN, takes nothing from lines; a template would
    leave out the text around columns that the prompt was trained with.
    """
    if prompt_column:
        raise DataError(
            f"INPUT_FILE {path} has no columns: several prompts need a {', '.join(SUFFIXES)} table "
            f"whose column {prompt_column!r} names one"
        )
    column = column_names(inputs)[0]
    if inputs not in (column, f"{{{column}}}"):
        raise DataError(
            f"INPUT_FILE {path} has no columns to put into INPUTS {inputs!r}: give a "
            f"{', '.join(SUFFIXES)} table, or write lines as the template would and set INPUTS to "
            "'inputs'"
        )
    if id_column:
        log.warning(
            "INPUT_FILE %s has no column ID_COLUMN %r: an id is the line's number", path, id_column
        )


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
    texts: dict[str, Input] = {}
    required = dict.fromkeys(column_names(inputs), "INPUTS")
    required |= {id_column: "ID_COLUMN"} if id_column else {}
    required |= {prompt_column: "infer.prompt_column"} if prompt_column else {}
    for number, columns in read_table(path, required):
        try:
            if isinstance(columns, RowError):
                raise columns
            name = fill(id_column, columns) if id_column else str(number)
            if name in texts:  # predictions could not be told apart
                raise RowError(f"id {name!r:.80} was there before")
            prompt = fill(prompt_column, columns) if prompt_column else None
            text = fill(inputs, columns)
            clean = without_control_characters(text)
            texts[name] = Input(name, clean.strip(), prompt, cleaned=clean != text)
        except RowError as error:
            raise DataError(f"{path}, row {number}: {error}") from error
    return _some(list(texts.values()), path)


def _some(texts: list[Input], name: str) -> list[Input]:
    if not texts:
        raise DataError(f"{name}: no inputs")
    return texts
