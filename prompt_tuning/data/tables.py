"""Rows of TSV, CSV and JSONL files with their place; a row that cannot be read is an error in its
place.

What a task makes of the columns is files.py's part.
"""

import csv
import io
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from difflib import get_close_matches
from pathlib import Path

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike


csv.field_size_limit(2**31 - 1)  # text of any length is cut, and counted, where it is tokenised


class RowError(DataError):
    """What is wrong with one row; whoever reports it adds the place."""


Columns = dict[str, object]
NumberedRow = tuple[int, Columns | RowError]
Required = Collection[str]  # names of columns; a mapping says which flag asks for each


def is_table(path: PathLike) -> bool:
    """Whether the file's name ends as those do that `read_table` takes, in whatever case."""
    return Path(path).suffix.lower() in SUFFIXES


def read_table(path: PathLike, required: Required) -> Iterator[NumberedRow]:
    """(row number, columns by name) of each row of a `.tsv` (tabs, no quoting), `.csv` or `.jsonl`
    file.

    The number is that of the row's first line, from 1. Values are text, in JSONL anything. Blank
    lines at the end are not rows. Raises DataError for another suffix, no rows, or a header without
    a required column.
    """
    path = Path(path)
    if not is_table(path):
        raise DataError(f"{path}: data files end in {', '.join(SUFFIXES)}")
    # What is no UTF-8 comes through as lone surrogates: one bad row does not hide the others.
    text = path.read_bytes().decode("utf-8-sig", errors="surrogateescape").rstrip("\r\n")
    if not text:
        raise DataError(f"{path}: the file is empty")
    empty = True
    for number, columns in _READERS[path.suffix.lower()](text, required, path):
        empty = False
        yield number, columns
    if empty:
        raise DataError(f"{path}: a header and no rows")


def missing_column(name: str, found: Sequence[str], required: Required = ()) -> str:
    """Words for a column that is not there: what was found, which name is near, and which flag to
    change, if `required` says so.
    """
    change = f": change {required[name]}" if isinstance(required, Mapping) else ""
    return (
        f"no column {name!r}; found {', '.join(map(repr, found)):.300}"
        f"{nearest(name, found)}{change}"
    )


def nearest(name: str, names: Sequence[str]) -> str:
    """`; nearest: 'x'` for error messages, or nothing."""
    close = get_close_matches(name, names, n=1)
    return f"; nearest: {close[0]!r}" if close else ""


def check_unicode(text: str) -> None:
    """Raises RowError where `text` holds what was no UTF-8 in the file, or half a surrogate pair
    from a JSON escape.
    """
    try:
        text.encode("utf-8")
    except UnicodeEncodeError as error:
        raise RowError(
            f"not UTF-8 near {text[max(0, error.start - 20) : error.start]!r}"
        ) from error


def _read_tsv(text: str, required: Required, path: Path) -> Iterator[NumberedRow]:
    lines = enumerate((line.removesuffix("\r") for line in text.split("\n")), start=1)
    return _with_header(
        ((number, line.split("\t") if line else []) for number, line in lines), required, path
    )


def _read_csv(text: str, required: Required, path: Path) -> Iterator[NumberedRow]:
    return _with_header(_csv_records(text), required, path)


def _csv_records(text: str) -> Iterator[tuple[int, list[str] | RowError]]:
    """Where a quote is not closed, or closed in the middle of a cell, nobody can tell how many rows
    there were: each line that is lost counts as one.
    """
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        first = reader.line_num + 1
        try:
            yield first, next(reader)
        except StopIteration:
            return
        except csv.Error as error:
            problem = RowError(f"not CSV up to line {reader.line_num}: {error}")
            yield from ((line, problem) for line in range(first, reader.line_num + 1))


def _with_header(
    records: Iterator[tuple[int, list[str] | RowError]], required: Required, path: Path
) -> Iterator[NumberedRow]:
    _, header = next(records)
    _check_header(header, required, path)
    for number, cells in records:
        yield number, cells if isinstance(cells, RowError) else _columns(header, cells)


def _check_header(header: list[str] | RowError, required: Required, path: Path) -> None:
    place = f"{path}, row 1 (read as the header)"
    found = header if isinstance(header, RowError) else _columns(header, header)
    if isinstance(found, RowError):
        raise DataError(f"{place}: {found}")
    repeated = {name for name in header if header.count(name) > 1}
    if repeated:
        raise DataError(
            f"{place}: columns {', '.join(sorted(repeated))} stand there more than once"
        )
    for name in required:
        if name not in header:
            raise DataError(f"{place}: {missing_column(name, header, required)}")


def _columns(header: list[str], cells: list[str]) -> Columns | RowError:
    try:
        check_unicode("\t".join(cells))
    except RowError as error:
        return error
    if not cells:
        return RowError("blank row")
    if len(cells) != len(header):
        return RowError(
            f"{len(cells)} columns where the header has {len(header)}: {', '.join(header)}"
        )
    return dict(zip(header, cells))


def _read_jsonl(text: str, required: Required, path: Path) -> Iterator[NumberedRow]:
    for number, line in enumerate(text.split("\n"), start=1):
        yield number, json_columns(line, required)


def json_columns(line: str, required: Required) -> Columns | RowError:
    """A line of JSON Lines as columns, which have to be there."""
    try:
        check_unicode(line)
        columns = json.loads(line)
    except RowError as error:
        return error
    except (ValueError, RecursionError) as error:
        return RowError(f"not JSON: {error}")
    if not isinstance(columns, dict):
        return RowError(f"a JSON object is needed, found {type(columns).__name__}")
    missing = [name for name in required if name not in columns]
    return RowError(missing_column(missing[0], list(columns), required)) if missing else columns


_READERS = {".tsv": _read_tsv, ".csv": _read_csv, ".jsonl": _read_jsonl}
SUFFIXES = tuple(_READERS)
