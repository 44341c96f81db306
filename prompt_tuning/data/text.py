"""Plain text as an endless source of rows: documents joined into one token stream, cut into chunks,
made into a task.

The tasks are in objectives.py. Rows can be batched alone or mixed with others (mixtures.py). A
stream is held in memory; one too long for that is read by blocks, of which two are held.
"""

import gzip
import logging
import zlib
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
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

log = logging.getLogger(__name__)

# Random streams, beside batches.py's and mixtures.py's.
_OFFSET, _OBJECTIVE, _BLOCK = 1, 2, 4
_EOS = np.array([EOS_ID], np.int32)
_JSON_LINES, _TEXT = (".json", ".jsonl"), "text"


def load_tokens(
    paths: Paths, vocabulary: Vocabulary, cache_dir: PathLike | None = None
) -> Int[np.ndarray, "N"]:
    """All documents of the files as one stream, each followed by eos.

    A document is a line or, in .json and .jsonl files, the field "text" of a line's JSON object (as
    C4 has it); files may be compressed, with .gz at the end. Documents without text are left out.
    With `cache_dir` the stream is tokenised once. Text is read line by line, but the stream is held
    in memory, 4 bytes a token and up to four times that while it is cached.

    Raises DataError by file and row, and for files without text.
    """
    files = expand(paths)
    if not files:
        raise DataError("no text files: check DATA_FILES")
    for file in files:
        if not file.is_file():
            raise DataError(f"no text file {file}: check DATA_FILES")
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
    documents = (text for file in files for text in _documents(file))
    return join_documents(documents, vocabulary, ", ".join(map(str, files)))


def join_documents(
    documents: Iterable[str], vocabulary: Vocabulary, source: str
) -> Int[np.ndarray, "N"]:
    """The documents that have text as one stream, each followed by eos; the log has their number.

    Raises DataError by the name of their `source` where there are none.
    """
    tokens = array("i")  # grows in place, 4 bytes a token
    kept = empty = 0
    for text in map(str.strip, documents):
        kept, empty = kept + bool(text), empty + (not text)
        if text:
            tokens.extend(vocabulary.encode(text))
            tokens.append(EOS_ID)
    if not tokens:
        raise DataError(f"no text in {source}")
    log.info("%s: %d documents kept, %d without text left out", source, kept, empty)
    return np.frombuffer(tokens, np.int32)


def _documents(file: Path) -> Iterator[str]:
    in_json = file.name.removesuffix(".gz").endswith(_JSON_LINES)
    for number, line in _lines(file):
        try:
            text = line.decode("utf-8").strip()
            text = text_of_json(text) if in_json and text else text
        except UnicodeDecodeError as error:
            raise DataError(f"{file}, row {number}: not UTF-8 ({error.reason})") from error
        except RowError as error:
            raise DataError(f"{file}, row {number}: {error}") from error
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


def text_of_json(line: str) -> str:
    """The field "text" of a line's JSON object. Raises RowError where there is none."""
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
                f"{objective.chunk_length}: give more in DATA_FILES, or lower TASK_FEATURE_LENGTHS"
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


class BlockRows:
    """Rows of text of which one block at a time is read: each epoch takes all blocks in a new
    order.

    A block gives as many rows as the first has chunks: of one with more, some are left out, one
    with fewer begins anew, so that blocks should be of a like length. All else is as in TextRows,
    of which every visit to a block is one.
    """

    def __init__(
        self,
        read: Callable[[int], Int[np.ndarray, "_"]],
        blocks: int,
        objective: Objective,
        seed: int,
        shuffle: bool = True,
        name: str = "text",
    ):
        """`read(block)` gives the tokens of block 0 to `blocks` - 1, always the same."""
        self._read, self._objective, self._seed, self._name = read, objective, seed, name
        self._order = Shuffle(blocks, seed, shuffle)
        self._visit = lru_cache(maxsize=2)(self._rows_of_visit)  # a batch may lie across two
        self._rows_of_a_visit = len(self._rows(0, 0))

    def __len__(self) -> int:
        return self._order.size * self._rows_of_a_visit

    def row(self, index: int) -> Row:
        visit, row = divmod(index, self._rows_of_a_visit)
        return self._visit(visit).row(row)

    def _rows_of_visit(self, visit: int) -> TextRows:
        _, block = self._order(visit)
        return self._rows(block, visit if self._order.shuffle else block)

    def _rows(self, block: int, visit: int) -> TextRows:
        """Seeded by the visit, so that no two corrupt their chunks alike."""
        seed = int(generator(self._seed, _BLOCK, visit).integers(2**63))
        shuffle, name = self._order.shuffle, f"{self._name}[{block}]"
        return TextRows(self._read(block), self._objective, seed, shuffle, name)
