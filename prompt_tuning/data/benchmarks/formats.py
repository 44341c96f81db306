"""The lines of a data file, whatever its format; what cannot be read is an error by file and row.

Which files a task has and what its rows mean is rows.py's part. Unlike data/tables.py's, these files
were made by others: they may be compressed, lack a header or have rows with too few cells.
"""

import csv
import gzip
import io
import json
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from prompt_tuning.data.benchmarks.benchmark import Row
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.tables import RowError, check_unicode

Numbered = Iterator[tuple[int, Row]]
_DPR_LINES = ("sentence", "pronoun", "candidates", "answer", "blank")


def read_lines(path: Path, header: Sequence[str] | None = None) -> Numbered:
    """(row number from 1, line) of a .jsonl, .json, .tsv, .txt (as .tsv), .csv, .c.txt (DPR's) or
    .parquet file; the text formats may be compressed, with .gz at the end.

    Args:
      path: the file.
      header: the columns of a table that does not begin with their names.
    """
    suffix = next(suffix for suffix in READERS if path.name.removesuffix(".gz").endswith(suffix))
    if suffix == ".parquet":
        return _parquet(path)
    return READERS[suffix](_text(path), path, header)


def is_readable(path: Path) -> bool:
    """Whether the file's name says that it is in one of the formats."""
    return path.name.removesuffix(".gz").endswith(tuple(READERS))


def place(path: Path, number: int) -> str:
    """Where a row stands, for messages."""
    return f"{path}, row {number}"


def _text(path: Path) -> str:
    try:
        content = path.read_bytes()
        content = gzip.decompress(content) if path.suffix == ".gz" else content
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{path} cannot be read: {error}") from error
    # What is no UTF-8 comes through as lone surrogates, for a message with its row.
    return content.decode("utf-8-sig", errors="surrogateescape")


def _jsonl(text: str, path: Path, header: Sequence[str] | None) -> Numbered:
    del header
    for number, line in enumerate(text.rstrip("\n").split("\n"), start=1):
        yield number, _json_object(line, place(path, number))


def _json(text: str, path: Path, header: Sequence[str] | None) -> Numbered:
    del header
    yield 1, _json_object(text, str(path))


def _json_object(text: str, where: str) -> Row:
    try:
        check_unicode(text)
        found = json.loads(text)
    except (ValueError, RecursionError) as error:
        detail = error if isinstance(error, RowError) else f"not JSON: {error}"
        raise DataError(f"{where}: {detail}") from error
    if not isinstance(found, dict):
        raise DataError(f"{where}: a JSON object is needed, found {type(found).__name__}")
    return found


def _tsv(text: str, path: Path, header: Sequence[str] | None) -> Numbered:
    lines = text.replace("\r\n", "\n").rstrip("\n").split("\n")
    return _table((line.split("\t") for line in lines), path, header)


def _csv(text: str, path: Path, header: Sequence[str] | None) -> Numbered:
    reader = csv.reader(io.StringIO(text, newline=""))
    try:
        yield from _table(reader, path, header)
    except csv.Error as error:
        raise DataError(f"{place(path, reader.line_num)}: not CSV: {error}") from error


def _table(records: Iterator[list[str]], path: Path, header: Sequence[str] | None) -> Numbered:
    first = 1 if header else 2
    header = header or next(records, [])
    for index, cells in enumerate(records):
        where = place(path, index + first)
        if len(cells) > len(header):
            raise DataError(
                f"{where}: {len(cells)} columns where the header has {len(header)}: "
                f"{', '.join(header)}"
            )
        try:
            check_unicode("\t".join(cells))
        except RowError as error:
            raise DataError(f"{where}: {error}") from error
        missing = [None] * (len(header) - len(cells))
        yield index + first, {"idx": index, **dict(zip(header, [*cells, *missing]))}


def _dpr(text: str, path: Path, header: Sequence[str] | None) -> Numbered:
    """Four lines an example and a blank one; the row number is that of the first."""
    del header
    lines = [line.strip() for line in text.rstrip().split("\n")]
    for start in range(0, len(lines), len(_DPR_LINES)):
        block = dict(zip(_DPR_LINES, lines[start:]))
        if not (block["sentence"] and block.get("answer")) or block.get("blank"):
            raise DataError(
                f"{place(path, start + 1)}: expected a sentence, its pronoun, two candidates, the "
                "right one, and a blank line"
            )
        yield start + 1, block


def _parquet(path: Path) -> Numbered:
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError as error:
        raise DataError(f"{path}: Parquet files need `pip install pyarrow` ({error})") from error
    try:
        batches = parquet.ParquetFile(path).iter_batches()
        rows = (row for batch in batches for row in batch.to_pylist())
        yield from enumerate(rows, start=1)
    except (pyarrow.ArrowException, OSError) as error:
        raise DataError(f"{path} is no Parquet file that can be read: {error}") from error


READERS = {  # by the end of a file's name, the longer first
    ".c.txt": _dpr,
    ".txt": _tsv,
    ".tsv": _tsv,
    ".csv": _csv,
    ".jsonl": _jsonl,
    ".json": _json,
    ".parquet": _parquet,
}
