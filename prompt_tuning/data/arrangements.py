"""How the examples of a step are laid out in arrays: padded, in buckets of like length, or packed.

A step is always over the same B examples (batches.py), and its loss is a sum over their target
tokens: an arrangement changes what a step costs and, but for dropout's masks, nothing that it
computes. It cuts them into parts, whose losses and gradients the step adds up. Parts have few shapes,
for each is a program to compile.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
import hashlib
from typing import NamedTuple, Protocol, runtime_checkable

import numpy as np

from prompt_tuning.data import packing
from prompt_tuning.data.batches import Batch, Row, Rows, check_lengths, collate

_SHORTEST = 64  # a bucket for shorter texts saves less than its program costs
_LOOKED_AT = 1000  # rows, which text of any length has soon
Example = Callable[[int], Row]  # of a step: 0 to B - 1


class Shape(NamedTuple):
    """Of a part's arrays: R rows of S encoder and M decoder columns."""

    rows: int
    inputs: int
    targets: int


class Part(NamedTuple):
    """Of a step: the numbers of the examples in each of its rows, from 0 to B - 1."""

    shape: Shape
    rows: Sequence[Sequence[int]]


@dataclasses.dataclass(frozen=True)
class Step:
    """What every arrangement has to keep to.

    Attributes:
      batch_size: B.
      inputs_length: T, which no example's inputs exceed.
      targets_length: L, likewise.
      devices: which divide each part's rows among them evenly.
      accumulate: every step is cut into at least this many parts, to save memory. It divides B over
        the devices.
      slots: of each example, where rows are packed; None if the method's rows cannot be.
    """

    batch_size: int
    inputs_length: int
    targets_length: int
    devices: int = 1
    accumulate: int = 1
    slots: packing.Slots | None = packing.Slots()


@runtime_checkable
class Arrangement(Protocol):
    """`packed`: whether rows hold several examples, and slots for a prompt."""

    packed: bool

    def shapes(self, step: Step) -> list[Shape]:
        """All shapes that parts may have, the largest last. Raises ValueError if there can be none."""
        ...

    def parts(self, step: Step, example: Example) -> list[Part]:
        """The parts of a step with these examples, on which alone they depend."""
        ...


@dataclasses.dataclass(frozen=True)
class Padded:
    """Every example is padded to T and L: one shape."""

    packed = False

    def shapes(self, step: Step) -> list[Shape]:
        return [Shape(step.batch_size // step.accumulate, step.inputs_length, step.targets_length)]

    def parts(self, step: Step, example: Example) -> list[Part]:
        (shape,) = self.shapes(step)
        return [Part(shape, rows) for rows in _cut(range(step.batch_size), shape.rows)]


@dataclasses.dataclass(frozen=True)
class Bucketed:
    """Examples of like length share a part, padded to the shortest bucket that holds them all.

    Targets are padded to L.

    Attributes:
      groups: parts of a step, at most; as many as divide its examples evenly over the devices.
      tokens: rows * T of a part on each device, at least: frozen weights are read, and where they
        are divided among devices gathered, once for each part.
      buckets: input lengths there are, at most; multiples of T / buckets, and of 64 for a short T.
    """

    groups: int = 8
    buckets: int = 8
    tokens: int = 2048
    packed = False

    def __post_init__(self):
        if min(self.groups, self.buckets, self.tokens) < 1:
            raise ValueError(
                f"Bucketed.groups, .buckets and .tokens must be at least 1, found {self}."
            )

    def shapes(self, step: Step) -> list[Shape]:
        width = max(-(-step.inputs_length // self.buckets), _SHORTEST)
        width = _round_up(width, 8)
        lengths = [*range(width, step.inputs_length, width), step.inputs_length]
        groups = self._groups(step) if len(lengths) > 1 else step.accumulate
        return [Shape(step.batch_size // groups, n, step.targets_length) for n in lengths]

    def _groups(self, step: Step) -> int:
        each = step.batch_size // (step.accumulate * step.devices)
        cuts = range(1, max(self.groups // step.accumulate, 1) + 1)
        enough = (n for n in cuts if each // n * step.inputs_length >= self.tokens)
        return step.accumulate * max((n for n in enough if each % n == 0), default=1)

    def parts(self, step: Step, example: Example) -> list[Part]:
        shapes = self.shapes(step)
        lengths = [len(example(i).inputs) for i in range(step.batch_size)]
        order = sorted(range(step.batch_size), key=lengths.__getitem__)
        groups = _cut(order, shapes[0].rows)
        return [
            Part(next(shape for shape in shapes if shape.inputs >= lengths[rows[-1][0]]), rows)
            for rows in groups
        ]


@dataclasses.dataclass(frozen=True)
class Packed:
    """Several examples share a row, as many as fit; one of T tokens fits a row with its prompt.

    The longest example goes first, each to the first row that has room (first-fit decreasing).

    Attributes:
      targets: columns of a decoder's row, as a multiple of L.
      counts: numbers of rows there are, at most; rows are added, of padding, up to the next.
    """

    targets: int = 2
    counts: int = 8
    packed = True

    def __post_init__(self):
        if min(self.targets, self.counts) < 1:
            raise ValueError(f"Packed.targets and .counts must be at least 1, found {self}.")

    def shapes(self, step: Step) -> list[Shape]:
        if step.slots is None:
            raise ValueError(
                "Packed rows have slots for an encoder's soft prompt alone, and METHOD adds other rows: "
                "leave ARRANGEMENT at its default, or, of a SoftPrompt, set "
                "SoftPrompt.decoder_length = 0."
            )
        inputs = _round_up(step.inputs_length + step.slots.length, 8)
        unit = step.devices * -(-step.batch_size // (step.accumulate * step.devices * self.counts))
        most = step.batch_size // step.accumulate
        return [
            Shape(min(rows, most), inputs, self.targets * step.targets_length)
            for rows in range(unit, _round_up(most, unit) + 1, unit)
        ]

    def parts(self, step: Step, example: Example) -> list[Part]:
        shapes = self.shapes(step)
        packed = _first_fit([example(i) for i in range(step.batch_size)], shapes[0], step.slots)
        shape = next(shape for shape in shapes if shape.rows * step.accumulate >= len(packed))
        packed += [[]] * (shape.rows * step.accumulate - len(packed))
        return [
            Part(shape, packed[start : start + shape.rows])
            for start in range(0, len(packed), shape.rows)
        ]


def _first_fit(examples: Sequence[Row], shape: Shape, slots: packing.Slots) -> list[list[int]]:
    """The examples of each row."""
    sizes = [(slots.length + len(x.inputs), len(x.targets)) for x in examples]
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []
    for example in sorted(range(len(sizes)), key=lambda i: sizes[i][0], reverse=True):
        inputs, targets = sizes[example]
        fits = (i for i, (a, b) in enumerate(free) if a >= inputs and b >= targets)
        row = next(fits, len(rows))
        if row == len(rows):
            rows.append([])
            free.append((shape.inputs, shape.targets))
        rows[row].append(example)
        free[row] = free[row][0] - inputs, free[row][1] - targets
    return rows


def _cut(order: Sequence[int], rows: int) -> list[list[tuple[int]]]:
    """Parts of so many rows, each of one example."""
    return [[(i,) for i in order[start : start + rows]] for start in range(0, len(order), rows)]


def _round_up(number: int, multiple: int) -> int:
    return -(-number // multiple) * multiple


class ArrangedBatches:
    """`batches(number)` -> (the arrays of each part, the ids of the examples in them).

    Pure in the step's number, as the rows are: what stops goes on with the same parts.
    """

    def __init__(
        self,
        rows: Rows,
        step: Step,
        arrangement: Arrangement = Padded(),
        local: Callable[[int], Sequence[int]] = range,
    ):
        """Raises ValueError if the arrangement cannot be had.

        Args:
          rows: any source of examples; step n takes those from n * B on.
          step: what the parts keep to.
          arrangement: cuts each step into parts.
          local: of a part with so many rows, those that this process makes
            (`sharding.local_rows`).
        """
        self.step, self.shapes = step, arrangement.shapes(step)
        self._rows, self._arrangement, self._local = rows, arrangement, local

    def __call__(self, number: int) -> tuple[list[Batch], list[str]]:
        ids: list[str] = []
        example = functools.cache(functools.partial(self._example, number))
        parts = []
        for shape, rows in self._arrangement.parts(self.step, example):
            chosen = [[example(i) for i in rows[row]] for row in self._local(shape.rows)]
            ids += [x.id for row in chosen for x in row]
            parts.append(self._arrays(chosen, shape))
        return parts, ids

    def fingerprint(self) -> str:
        """Other examples, or another order of them, have another; of the first `_LOOKED_AT`."""
        found = hashlib.sha256()
        for row in map(self._rows.row, range(_LOOKED_AT)):
            for tokens in (row.inputs, row.targets):
                found.update(np.asarray([len(tokens), *tokens], "<i4").tobytes())
        return found.hexdigest()[:16]

    def _example(self, number: int, i: int) -> Row:
        row = self._rows.row(number * self.step.batch_size + i)
        check_lengths(row, self.step.inputs_length, self.step.targets_length)
        return row

    def _arrays(self, rows: Sequence[Sequence[Row]], shape: Shape) -> Batch:
        if self._arrangement.packed:
            return packing.pack(rows, shape.inputs, shape.targets, self.step.slots)
        return collate([row for (row,) in rows], len(rows), shape.inputs, shape.targets)
