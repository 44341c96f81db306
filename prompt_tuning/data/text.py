"""Plain text as an endless source of rows: documents joined into one token stream, cut into chunks,
made into a task.

The tasks are in objectives.py. Rows can be batched alone or mixed with others (mixtures.py).
"""

import gzip
import zlib
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.batches import Row, Shuffle, generator
from prompt_tuning.data.cache import cached_arrays, short_hash
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.objectives import Objective
from prompt_tuning.data.paths import PathLike, Paths, expand, file_hash
from prompt_tuning.data.tables import RowError, json_columns
from prompt_tuning.data.templates import fill
from prompt_tuning.data.vocabulary import EOS_ID, Vocabulary

_OFFSET, _OBJECTIVE = 1, 2  # random streams, beside batches.py's
_EOS = np.array([EOS_ID], np.int32)
_JSON_LINES, _TEXT = (".json", ".jsonl"), "text"


def load_tokens(
    paths: Paths, vocabulary: Vocabulary, cache_dir: PathLike | None = None
) -> Int[np.ndarray, "N"]:
    """All documents of the files as one stream, each followed by eos.

    A document is a line or, in .json and .jsonl files, the field "text" of a line's JSON object (as
    C4 has it); files may be compressed, with .gz at the end. Documents without text are left out.
    With `cache_dir` the stream is tokenised once. Text is read line by line, but the stream is held
    in memory, 4 bytes a token and up to four times that while it is made and cached.

    Raises DataError by file and row, and for files without text.
    """
    files = expand(paths)
    for file in files:
        if not file.is_file():
            raise DataError(f"no text file {file}")
    identity = {
        "kind": "tokens 1",
        "vocabulary": vocabulary.fingerprint,
        "files": [file_hash(file) for file in files],
    }
    name = f"{files[0].stem}-{short_hash([list(map(str, files)), vocabulary.fingerprint])}"
    return cached_arrays(
        cache_dir, name, identity, lambda: {"tokens": _tokenise(files, vocabulary)}
    )["tokens"]


def _tokenise(files: Sequence[Path], vocabulary: Vocabulary) -> Int[np.ndarray, "N"]:
    documents = [
        np.array([*vocabulary.encode(text), EOS_ID], np.int32)
        for file in files
        for text in _documents(file)
    ]
    if not documents:
        raise DataError(f"no text in {', '.join(map(str, files))}")
    return np.concatenate(documents)


def _documents(file: Path) -> Iterator[str]:
    in_json = file.name.removesuffix(".gz").endswith(_JSON_LINES)
    for number, line in _lines(file):
        try:
            text = line.decode("utf-8").strip()
            text = _text_of_json(text).strip() if in_json and text else text
        except UnicodeDecodeError as error:
            raise DataError(f"{file}, row {number}: not UTF-8 ({error.reason})") from error
        except RowError as error:
            raise DataError(f"{file}, row {number}: {error}") from error
        if text:
            yield text


def _lines(file: Path) -> Iterator[tuple[int, bytes]]:
    """(row number, line), of which only one is in memory."""
    number = 0
    try:
        with gzip.open(file) if file.suffix == ".gz" else open(file, "rb") as stream:
            for number, line in enumerate(stream, start=1):
                yield number, line
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{file}, after row {number}: cannot be read ({error})") from error


def _text_of_json(line: str) -> str:
    columns = json_columns(line, [_TEXT])
    if isinstance(columns, RowError):
        raise columns
    return fill(_TEXT, columns)


@lru_cache
def _offset(seed: int, epoch: int, chunk_length: int) -> int:
    """Where the first cut of an epoch falls."""
    return int(generator(seed, _OFFSET, epoch).integers(chunk_length))


class TextRows:
    """Rows of corrupted text: in each epoch the stream is cut at a new offset and its chunks come
    in a new order.

    The stream is taken as a circle, so that every epoch has `len(rows)` whole chunks. With
    `shuffle` off the cuts and the order stay, as held-out loss needs; an epoch's rows are then
    always the same.
    """

    def __init__(
        self,
        tokens: Int[np.ndarray, "N"],
        objective: Objective,
        seed: int,
        shuffle: bool = True,
        name: str = "text",
    ):
        self.tokens, self.objective, self.seed, self.name = tokens, objective, seed, name
        chunks = len(tokens) // objective.chunk_length
        if not chunks:
            raise DataError(
                f"{name}: {len(tokens)} tokens of text are less than one chunk of "
                f"{objective.chunk_length}"
            )
        self._order = Shuffle(chunks, seed, shuffle)

    def __len__(self) -> int:
        return self._order.size

    def row(self, index: int) -> Row:
        epoch, chunk = self._order(index)
        start, task = chunk * self.objective.chunk_length, chunk
        if self._order.shuffle:
            start += _offset(self.seed, epoch, self.objective.chunk_length)
            task = index
        start %= len(self.tokens)
        tokens = self._circular(start, self.objective.chunk_length)
        inputs, targets = self.objective(tokens, generator(self.seed, _OBJECTIVE, task))
        return Row(
            np.concatenate([inputs, _EOS]), np.concatenate([targets, _EOS]), f"{self.name}@{start}"
        )

    def _circular(self, start: int, length: int) -> Int[np.ndarray, "n"]:
        chunk = self.tokens[start : start + length]
        return (
            chunk
            if len(chunk) == length
            else np.concatenate([chunk, self.tokens[: length - len(chunk)]])
        )
