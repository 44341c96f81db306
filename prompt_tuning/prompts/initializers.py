"""First values of a prompt: one small dataclass for each way to start.

An initializer is called once, outside any compiled function, as
`init(key, (P, D), table=table, vocabulary=vocabulary)` and gives float32
[P, D], or an error that names what to change. `table` is the frozen model's
embedding [V, D], wherever it already lies; only the rows that are used leave
it. Each initializer that needs one takes `embedding_file` in its place.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints.stored import StoredArray
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.data.examples import label_texts
from prompt_tuning.prompts import files

Initializer = Callable[..., Float[Array, "P D"]]
Table = Float[Array, "V D"] | Float[np.ndarray, "V D"] | Float[StoredArray, "V D"]
Vocabulary = vocabularies.Vocabulary
Shape = tuple[int, int]


@dataclasses.dataclass(frozen=True)
class Uniform:
    """Draws from [low, high).

    The default is the paper's [-0.5, 0.5] (section 3.2). The original's code
    draws from [0, 0.5): `Uniform(0.0, 0.5)`.
    """

    low: float = -0.5
    high: float = 0.5

    def __post_init__(self):
        if not self.low < self.high:
            raise ValueError(f"Uniform needs low < high, found low={self.low}, high={self.high}.")

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        return jax.random.uniform(key, shape, jnp.float32, self.low, self.high)


@dataclasses.dataclass(frozen=True, kw_only=True)
class _FromTable:
    """What initializers that gather rows of an embedding table share.

    Attributes:
      embedding_file: a .npy table [V, D] to use instead of the model's own.
    """

    embedding_file: str | None = None

    def _table(self, table: Table | None, width: int) -> Table:
        """The table to gather from, checked."""
        source = "The frozen model's embedding table"
        if self.embedding_file is not None:
            source = f"EMBEDDING_FILE {self.embedding_file}"
            table = files.read_array(self.embedding_file, "EMBEDDING_FILE", in_place=True)
        if table is None:
            raise ValueError(
                f"{type(self).__name__} needs an embedding table: give it the "
                "frozen model's, or set EMBEDDING_FILE."
            )
        if table.ndim != 2 or table.shape[1] != width:
            raise ValueError(
                f"{source}: expected [V, {width}], the width of the model, found "
                f"{table.shape}. Change EMBEDDING_FILE or the model."
            )
        return table


def _gather(
    table: Table, ids: Sequence[int] | Int[np.ndarray, "N"] | Int[Array, "N"]
) -> Float[Array, "N D"]:
    return jnp.asarray(table[np.asarray(ids)], jnp.float32)


@dataclasses.dataclass(frozen=True)
class SampledVocab(_FromTable):
    """Draws rows from the first, and so most common, pieces (paper, section 3.2).

    As in the original, these are ids 0 to `first` - 1, special ids included.
    Where it only warns (a vocabulary smaller than `first`, a prompt longer than
    `first`) and goes on with other settings, this raises an error.

    Attributes:
      first: how many pieces to draw from.
      replace: whether a piece may be drawn more than once.
    """

    first: int = 5000
    replace: bool = False

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        length, width = shape
        table = self._table(table, width)
        if not 1 <= self.first <= len(table):
            raise ValueError(
                f"SampledVocab.first must be between 1 and {len(table)}, the rows "
                f"of the embedding table, found {self.first}."
            )
        if length > self.first and not self.replace:
            raise ValueError(
                f"PROMPT_LENGTH {length} exceeds SampledVocab.first {self.first}: "
                "shorten the prompt or set SampledVocab.replace = True."
            )
        with jax.ensure_compile_time_eval():  # numbers, also where only shapes are asked for
            ids = jax.random.choice(key, self.first, (length,), self.replace)
        return _gather(table, ids)


@dataclasses.dataclass(frozen=True)
class ClassLabels(_FromTable):
    """One row a label, the mean of its pieces' rows; the rest from `fallback`.

    Paper, section 3.2. Labels that do not fit are an error, where the original
    warns and leaves them out. The fallback draws all P rows, as in the original,
    and uses this table unless it has its own.

    Attributes:
      labels: in the order of their rows; or a mapping to them, as `FilesTask.labels`.
      fallback: fills the rows behind the labels.
      truncate: of more than P labels, use the first P (the original's way).
    """

    labels: Sequence[str] | Mapping[str, str]
    fallback: Initializer = SampledVocab()
    truncate: bool = False

    def __post_init__(self):
        if isinstance(self.labels, str) or not self.labels:
            raise ValueError(
                f"CLASS_LABELS must be a list of at least one label, found {self.labels!r}."
            )

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        length, width = shape
        table = self._table(table, width)
        labels = label_texts(self.labels) if isinstance(self.labels, Mapping) else self.labels
        if self.truncate:
            labels = labels[:length]
        if len(labels) > length:
            raise ValueError(
                f"CLASS_LABELS has {len(labels)} labels, which need as many rows, "
                f"but PROMPT_LENGTH is {length}: raise PROMPT_LENGTH, or set "
                "ClassLabels.truncate = True."
            )
        pieces = [_encode(label, vocabulary, table, "CLASS_LABELS") for label in labels]
        rows = jnp.stack([_gather(table, ids).mean(axis=0) for ids in pieces])
        prompt = self.fallback(key, shape, table=table, vocabulary=vocabulary)
        return prompt.at[: len(rows)].set(rows)


@dataclasses.dataclass(frozen=True)
class FromText(_FromTable):
    """One row a piece of `text`; then the text again, or rows of `fallback`.

    Text that does not fit is an error, where the original warns and cuts it.

    Attributes:
      text: any text; no end-of-sequence is appended.
      fallback: fills the rows behind the text (the original's way); None
        repeats the text up to P rows.
    """

    text: str
    fallback: Initializer | None = None

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        length, width = shape
        table = self._table(table, width)
        ids = _encode(self.text, vocabulary, table, "FromText.text")
        if len(ids) > length:
            raise ValueError(
                f"FromText.text has {len(ids)} pieces, but PROMPT_LENGTH is "
                f"{length}: shorten the text or raise PROMPT_LENGTH."
            )
        if self.fallback is None:
            return _gather(table, np.resize(ids, length))
        prompt = self.fallback(key, shape, table=table, vocabulary=vocabulary)
        return prompt.at[: len(ids)].set(_gather(table, ids))


def _encode(text: str, vocabulary: Vocabulary | None, table: Table, flag: str) -> list[int]:
    """The ids of `text`, which the vocabulary must know and the table must have."""
    if vocabulary is None:
        raise ValueError(f"{flag} needs the model's vocabulary to split {text!r} into pieces.")
    ids = vocabulary.encode(text)
    # SentencePiece puts a bare space in front of characters that it lacks.
    known = [i for i in ids if i != vocabularies.UNK_ID and vocabulary.piece(i) != "▁"]
    if not known:
        raise ValueError(f"{flag}: {text!r} has no piece in the vocabulary {vocabulary.name}.")
    if max(ids) >= len(table):
        raise ValueError(
            f"{flag}: {text!r} has id {max(ids)} in the vocabulary "
            f"{vocabulary.name}, but the embedding table has {len(table)} rows: "
            "the vocabulary is another model's."
        )
    return ids


@dataclasses.dataclass(frozen=True)
class FromFile:
    """The encoder prompt in a file or folder of any form (prompts/files.py), or of a run, [P, D] exactly."""

    path: files.Path

    @property
    def prompt_files(self) -> Sequence[files.Path]:
        """Where other prompts come in, whose base models can then be checked."""
        return (model_dirs.find_learned(self.path),)

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        (file,) = self.prompt_files
        return jnp.asarray(files.read_prompt(file, *shape))


@dataclasses.dataclass(frozen=True)
class AverageOf:
    """The mean of other tasks' prompts, each [P, D] (SPoT, 2110.07904)."""

    paths: Sequence[files.Path]

    def __post_init__(self):
        if isinstance(self.paths, str) or not self.paths:
            raise ValueError(
                f"AverageOf.paths must be a list of at least one prompt file, found {self.paths!r}."
            )

    @property
    def prompt_files(self) -> Sequence[files.Path]:
        """As of `FromFile`."""
        return [model_dirs.find_learned(path, "AverageOf.paths") for path in self.paths]

    def __call__(
        self,
        key: jax.Array,
        shape: Shape,
        *,
        table: Table | None = None,
        vocabulary: Vocabulary | None = None,
    ) -> Float[Array, "P D"]:
        return jnp.asarray(
            np.mean([files.read_prompt(path, *shape) for path in self.prompt_files], axis=0)
        )
