"""Several sources of rows mixed at fixed rates, themselves a source of rows."""

from collections.abc import Mapping

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.batches import Row, Rows, generator
from prompt_tuning.data.examples import DataError

_CYCLE = 3  # the random stream of cycles, beside batches.py's and text.py's
CYCLE_LENGTH = 1 << 16


class MixedRows:
    """Draws from the named `sources` at `rates` (any positive numbers; only their ratios count).

    A seeded cycle of 65,536 slots says which source a row comes from, with every rate met to one
    slot in each cycle; a row's position in its source is the number of that source's slots before
    it. Ids become `name/id`. A mixture can be a source of another.
    """

    def __init__(self, sources: Mapping[str, Rows], rates: Mapping[str, float | int], seed: int):
        if set(sources) != set(rates) or not sources:
            raise DataError(
                f"a mixture of {sorted(sources)} has rates for {sorted(rates)}: "
                "give one rate a source"
            )
        self.names = list(sources)
        self._sources = list(sources.values())
        self._slots = _slots_per_cycle(
            np.array([rates[name] for name in self.names], np.float64), self.names
        )
        which = np.repeat(np.arange(len(self.names)), self._slots)
        self._which = generator(seed, _CYCLE, 0).permutation(which)
        self._before = np.zeros(CYCLE_LENGTH, np.int64)
        for source, count in enumerate(self._slots):
            self._before[self._which == source] = np.arange(count)

    def row(self, index: int) -> Row:
        cycle, slot = divmod(index, CYCLE_LENGTH)
        source = self._which[slot]
        row = self._sources[source].row(int(cycle * self._slots[source] + self._before[slot]))
        return row._replace(id=f"{self.names[source]}/{row.id}")


def _slots_per_cycle(rates: np.ndarray, names: list[str]) -> Int[np.ndarray, "n"]:
    """Whole slots in proportion to the rates, the largest remainders rounded up."""
    if not (np.isfinite(rates).all() and (rates > 0).all()):
        raise DataError(
            f"mixture rates must be positive numbers, found {dict(zip(names, rates.tolist()))}"
        )
    exact = rates / rates.sum() * CYCLE_LENGTH
    slots = np.floor(exact).astype(np.int64)
    remainders_first = np.argsort(slots - exact, kind="stable")
    slots[remainders_first[: CYCLE_LENGTH - slots.sum()]] += 1
    if not slots.all():
        never = [name for name, count in zip(names, slots) if not count]
        raise DataError(
            f"the rates of {never} are under one row in {CYCLE_LENGTH}: "
            "raise them or leave the sources out"
        )
    return slots
