"""Batches as a pure function of (seed, step): a source of rows, and the one function that stacks
rows.

A source answers `row(index)` for any index >= 0, so there is no iterator state to save or lose:
batch `step` is rows `step * B` to `(step + 1) * B`, a host's part of it some of that range.
Sources here: examples over shuffled epochs; text.py and mixtures.py have the others.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.examples import DataError, Examples
from prompt_tuning.data.vocabulary import PAD_ID

Batch = dict[str, np.ndarray]
_PERMUTATION = 0  # the random stream of epoch orders; other modules number theirs


class Row(NamedTuple):
    """One example: input and target tokens, both ending in eos, and the id it is reported under."""

    inputs: Int[np.ndarray, "n"]
    targets: Int[np.ndarray, "m"]
    id: str


@runtime_checkable
class Rows(Protocol):
    """An endless sequence of rows, pure in its seed and the index."""

    def row(self, index: int) -> Row: ...


@runtime_checkable
class FiniteRows(Rows, Protocol):
    """Rows of which the first `len(rows)` are each thing exactly once (an epoch)."""

    def __len__(self) -> int: ...


def generator(seed: int, stream: int, index: int) -> np.random.Generator:
    """A random generator of its own for each (seed, stream, index), by Philox's key and counter."""
    key = seed | stream << 64
    counter = index << 128  # the low words count the draws
    return np.random.Generator(np.random.Philox(key=key, counter=counter))


class Shuffle:
    """Orders `size` items anew in every epoch: index -> (epoch, item)."""

    def __init__(self, size: int, seed: int, shuffle: bool = True):
        self.size, self.seed, self.shuffle = size, seed, shuffle
        self._epoch: tuple[int, np.ndarray] = (
            -1,
            np.zeros(0, np.int64),
        )  # the order in use, only to save time

    def __call__(self, index: int) -> tuple[int, int]:
        epoch, position = divmod(index, self.size)
        if not self.shuffle:
            return epoch, position
        cached, order = self._epoch
        if cached != epoch:
            order = generator(self.seed, _PERMUTATION, epoch).permutation(self.size)
            self._epoch = epoch, order
        return epoch, int(order[position])


class ExampleRows:
    """Rows of `examples`: each exactly once an epoch, in a new order each epoch unless `shuffle` is
    off.
    """

    def __init__(self, examples: Examples, seed: int, shuffle: bool = True):
        if not len(examples):
            raise DataError("no examples to make batches of")
        self.examples = examples
        self._order = Shuffle(len(examples), seed, shuffle)

    def __len__(self) -> int:
        return len(self.examples)

    def row(self, index: int) -> Row:
        _, i = self._order(index)
        return Row(self.examples.inputs[i], self.examples.targets[i], self.examples.ids[i])


def collate(rows: Sequence[Row], batch_size: int, inputs_length: int, targets_length: int) -> Batch:
    """Pads rows to T5X's four arrays, [B, T] and three times [B, L]; missing rows are all padding,
    of weight 0.

    Raises DataError if a row is longer than its array: truncation belongs where it is counted, in
    loading.
    """
    for row in rows:
        check_lengths(row, inputs_length, targets_length)
    inputs = _pad([row.inputs for row in rows], batch_size, inputs_length)
    targets = _pad([row.targets for row in rows], batch_size, targets_length)
    shifted = np.zeros_like(targets)
    shifted[:, 1:] = targets[:, :-1]
    return {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": shifted,
        "decoder_target_tokens": targets,
        "decoder_loss_weights": (targets != PAD_ID).astype(np.float32),
    }


def check_lengths(row: Row, inputs_length: int, targets_length: int) -> None:
    """Raises DataError if the row's inputs or targets are longer."""
    for what, tokens, length in (
        ("inputs", row.inputs, inputs_length),
        ("targets", row.targets, targets_length),
    ):
        if len(tokens) > length:
            raise DataError(
                f"example {row.id}: {len(tokens)} tokens of {what}, batches take {length}: "
                f"raise {what} in TASK_FEATURE_LENGTHS"
            )


def _pad(tokens: Sequence[np.ndarray], batch_size: int, length: int) -> np.ndarray:
    padded = np.full((batch_size, length), PAD_ID, np.int32)
    for i, row in enumerate(tokens):
        padded[i, : len(row)] = row
    return padded


class Batches:
    """`batches(step)` -> (batch, example ids) from any source of rows.

    `local` names the rows of the whole batch that this process makes, those its devices hold
    (`sharding.local_rows`); None for all.
    """

    def __init__(
        self,
        rows: Rows,
        batch_size: int,
        inputs_length: int,
        targets_length: int,
        local: Sequence[int] | None = None,
    ):
        self.rows, self.batch_size = rows, batch_size
        self.inputs_length, self.targets_length = inputs_length, targets_length
        self.local = range(batch_size) if local is None else local

    def __call__(self, step: int) -> tuple[Batch, list[str]]:
        rows = [self.rows.row(step * self.batch_size + i) for i in self.local]
        return collate(rows, len(rows), self.inputs_length, self.targets_length), [
            row.id for row in rows
        ]


def eval_batches(
    rows: FiniteRows,
    batch_size: int,
    inputs_length: int,
    targets_length: int,
    local: Sequence[int] | None = None,
) -> Iterator[tuple[Batch, list[str]]]:
    """Every row of one epoch exactly once, over all processes together; `local` as in `Batches`.

    All batches have the full shape and every process yields equally many; in the last ones rows
    past `len(ids)` are padding. Give rows with `shuffle=False` for a fixed order.
    """
    local = range(batch_size) if local is None else local
    for start in range(0, len(rows), batch_size):
        part = [rows.row(start + i) for i in local if start + i < len(rows)]
        yield collate(part, len(local), inputs_length, targets_length), [row.id for row in part]
