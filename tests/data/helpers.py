"""Small sources and examples whose content says where it comes from."""

from pathlib import Path

import numpy as np

import prompt_tuning
from prompt_tuning.data.batches import Row
from prompt_tuning.data.examples import Examples, Ragged
from prompt_tuning.data.vocabulary import EOS_ID

POCKET = Path(prompt_tuning.__file__).parent / "assets/pocket_t5/vocabulary.model"


def numbered_examples(count: int, lengths: tuple[int, int] = (3, 2)) -> Examples:
    """Example i has the id "i" and the token 3 + i throughout."""
    rows = [[3 + i] * (length - 1) + [EOS_ID] for length in lengths for i in range(count)]
    fields = [{"inputs": f"in {i}", "targets": f"out {i}"} for i in range(count)]
    return Examples(
        ids=[str(i) for i in range(count)],
        inputs=Ragged.from_rows(rows[:count]),
        targets=Ragged.from_rows(rows[count:]),
        fields=fields,
    )


class NumberRows:
    """A source that answers with the index it was asked for, and remembers it."""

    def __init__(self, name: str = "n"):
        self.name, self.asked = name, []

    def row(self, index: int) -> Row:
        self.asked.append(index)
        token = np.array([index, EOS_ID], np.int32)
        return Row(token, token, f"{self.name}{index}")
