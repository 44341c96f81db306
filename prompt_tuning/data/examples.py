"""The one form of data: token arrays with example ids, whoever provided them.

Reading files lives in files.py and seqio_tasks/, keeping them on disk in cache.py, batching in
batches.py.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.vocabulary import EOS_ID, Vocabulary


class DataError(ValueError):
    """Data that cannot be used; the message names the file and row, or the argument to change."""


@dataclass(frozen=True)
class Ragged:
    """R rows of different lengths in one array: row i is `values[offsets[i]:offsets[i + 1]]`,
    bounds = R + 1.
    """

    values: Int[np.ndarray, "N"]
    offsets: Int[np.ndarray, "bounds"]

    @classmethod
    def from_rows(cls, rows: Sequence[Sequence[int] | np.ndarray]) -> "Ragged":
        """Joins rows of token ids."""
        offsets = np.cumsum([0, *map(len, rows)], dtype=np.int64)
        values = (
            np.concatenate([np.asarray(row, np.int32) for row in rows])
            if len(rows)
            else np.zeros(0, np.int32)
        )
        return cls(values, offsets)

    def __len__(self) -> int:
        return len(self.offsets) - 1

    def __getitem__(self, index: int) -> Int[np.ndarray, "n"]:
        return self.values[self.offsets[index] : self.offsets[index + 1]]

    @property
    def lengths(self) -> Int[np.ndarray, "R"]:
        return np.diff(self.offsets)


@dataclass(frozen=True)
class Report:
    """What happened to the rows on the way in: nothing is dropped or cut without being counted
    here.
    """

    rows_read: int = 0
    rows_skipped: int = 0
    first_skipped: tuple[str, ...] = ()  # messages with file and row
    inputs_truncated: int = 0
    targets_truncated: int = 0
    control_characters_replaced: int = 0  # rows

    def __str__(self) -> str:
        kept = self.rows_read - self.rows_skipped
        lines = [
            f"{kept} of {self.rows_read} rows kept, {self.rows_skipped} skipped; "
            f"truncated: {self.inputs_truncated} inputs, {self.targets_truncated} targets; "
            f"rows with control characters replaced: {self.control_characters_replaced}"
        ]
        return "\n  skipped: ".join([*lines, *self.first_skipped])


@dataclass(frozen=True)
class Examples:
    """R examples: ids, token rows ending in eos, and (for metrics and predictions) their text
    fields.

    `fields[i]` is a JSON-able dict with "inputs" and "targets" as text, and whatever else the
    task's metric needs.
    """

    ids: list[str]
    inputs: Ragged
    targets: Ragged
    fields: list[dict]
    report: Report = field(default_factory=Report)

    def __len__(self) -> int:
        return len(self.ids)

    def take(self, indices: Sequence[int]) -> "Examples":
        """These of the examples, in this order; one may come more than once."""
        return Examples(
            [self.ids[i] for i in indices],
            Ragged.from_rows([self.inputs[i] for i in indices]),
            Ragged.from_rows([self.targets[i] for i in indices]),
            [self.fields[i] for i in indices],
            self.report,
        )

    def sample(self, count: int | None, seed: int = 0) -> "Examples":
        """`count` of the examples, drawn at random and kept in their order; all of them if None."""
        if count is None or count >= len(self):
            return self
        return self.take(
            np.sort(np.random.default_rng(seed).permutation(len(self))[:count]).tolist()
        )


def label_texts(labels: Sequence[str] | Mapping[str, str]) -> tuple[str, ...]:
    """The legal target texts of CLASS_LABELS, in order: of a mapping from a file's, what it makes of them."""
    texts = labels.values() if isinstance(labels, Mapping) else labels
    return tuple(dict.fromkeys(texts))


def examples_from_text(
    ids: Sequence[str],
    fields: Sequence[dict],
    vocabulary: Vocabulary,
    inputs_length: int,
    targets_length: int,
    report: Report = Report(),
) -> Examples:
    """Tokenises `fields[i]["inputs"]` and `["targets"]` and closes both with eos; inference leaves
    targets empty.
    """
    inputs, targets = (
        [[*vocabulary.encode(row[side]), EOS_ID] for row in fields]
        for side in ("inputs", "targets")
    )
    return examples_from_tokens(ids, fields, inputs, targets, inputs_length, targets_length, report)


def examples_from_tokens(
    ids: Sequence[str],
    fields: Sequence[dict],
    inputs: Sequence[Sequence[int]],
    targets: Sequence[Sequence[int]],
    inputs_length: int,
    targets_length: int,
    report: Report = Report(),
) -> Examples:
    """Cuts token rows to the given lengths, keeping a closing eos, and adds the number of cut rows
    to `report`.
    """
    return Examples(
        ids=list(ids),
        inputs=Ragged.from_rows([_cut(row, inputs_length) for row in inputs]),
        targets=Ragged.from_rows([_cut(row, targets_length) for row in targets]),
        fields=list(fields),
        report=replace(
            report,
            inputs_truncated=sum(len(row) > inputs_length for row in inputs),
            targets_truncated=sum(len(row) > targets_length for row in targets),
        ),
    )


def _cut(row: Sequence[int], length: int) -> Sequence[int]:
    """As seqio's append_eos_after_trim does it, on a row that has its eos already."""
    if len(row) <= length:
        return row
    return [*row[: length - 1], EOS_ID] if row[-1] == EOS_ID else row[:length]
