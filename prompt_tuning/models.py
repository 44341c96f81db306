"""Which frozen model to use: descriptions that cost nothing until they are loaded.

A description checks itself, and answers with shapes alone, before any weight is read. The format on
disk is checkpoints/weights.py's part.
"""

import dataclasses
import os
import pathlib
from typing import Protocol, runtime_checkable

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import execution as executions
from prompt_tuning.t5 import parameters

ASSETS = pathlib.Path(__file__).parent / "assets"
SHIPPED = ("pocket_t5_0.25M", "pocket_t5_0.5M", "pocket_t5_1M", "pocket_t5_2M", "pocket_t5")


@runtime_checkable
class Model(Protocol):
    """A frozen model that is yet to be loaded."""

    def describe(self) -> weights.FrozenModel:
        """The model with its parameters' shapes and types: no weight is read or made yet. What is on
        disk can be read in part."""

    def load(self) -> weights.FrozenModel:
        """The model; weights on disk are read when they are placed on their devices."""


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """A checkpoint in any known format, or the name of a model that ships with the project.

    Attributes:
      path: a folder of the project's, Hugging Face's or T5X's, a gs:// address of the last, or a
        name such as "pocket_t5" (INITIAL_CHECKPOINT_PATH).
      dtype: of activations, and of the weights in memory.
      dropout_rate: of the frozen model while something is trained.
      config: if given, what the checkpoint must be, but for padded vocabulary rows.
      vocabulary_file: as for `NewModel`, for a checkpoint that brings no vocabulary (T5X's).
      extra_ids: as for `NewModel`.
      execution: how it is computed.
    """

    path: str | os.PathLike
    dtype: str = "float32"
    dropout_rate: float = 0.0
    config: t5_config.T5Config | None = None
    vocabulary_file: str | None = None
    extra_ids: int | None = None
    execution: executions.Execution = executions.Execution()

    def describe(self) -> weights.FrozenModel:
        return self.load()  # which reads no weight either

    def load(self) -> weights.FrozenModel:
        vocabulary = None
        if self.vocabulary_file is not None:
            vocabulary = read_vocabulary(self.vocabulary_file, self.extra_ids)
        model = weights.open_model(
            self._path,
            dtype=self.dtype,
            dropout_rate=self.dropout_rate,
            config=self.config,
            vocabulary=vocabulary,
        )
        return dataclasses.replace(model, name=str(self.path), execution=self.execution)

    @property
    def _path(self) -> str:
        path = str(self.path)
        if path.startswith("gs://") or pathlib.Path(path).exists():
            return path
        if path in SHIPPED:
            return str(ASSETS / path)
        raise weights.CheckpointError(
            f"INITIAL_CHECKPOINT_PATH {path!r}: there is no such folder, nor a model of that name "
            f"among those that ship with the project: {', '.join(SHIPPED)}."
        )


@dataclasses.dataclass(frozen=True)
class NewModel:
    """A model with random weights: to pre-train, or to try shapes and speed.

    Attributes:
      config: dimensions and switches.
      vocabulary_file: a SentencePiece model, a shipped model's name for its own, or "bytes".
      extra_ids: sentinels behind its pieces; None for T5's 100, or none behind bytes (ByT5).
      seed: of the weights.
      execution: how it is computed.
    """

    config: t5_config.T5Config
    vocabulary_file: str
    extra_ids: int | None = None
    seed: int = 0
    execution: executions.Execution = executions.Execution()

    def describe(self) -> weights.FrozenModel:
        dtype = self.config.compute_dtype
        shapes = parameters.expected_shapes(self.config)
        params = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}
        vocabulary = self._vocabulary()
        return weights.FrozenModel("new model", self.config, params, vocabulary, self.execution)

    def load(self) -> weights.FrozenModel:
        described = self.describe()  # checks the vocabulary before weights are made
        params = weights.random_params(self.config, self.seed)
        return dataclasses.replace(described, params=params)

    def _vocabulary(self) -> vocabularies.Vocabulary:
        vocabulary = read_vocabulary(self.vocabulary_file, self.extra_ids)
        if vocabulary.vocab_size > self.config.vocab_size:
            raise ValueError(
                f"The vocabulary {vocabulary.name} has {vocabulary.vocab_size} ids, sentinels "
                f"included, but T5Config.vocab_size is {self.config.vocab_size}: raise it."
            )
        return vocabulary


def read_vocabulary(file: str, extra_ids: int | None = None) -> vocabularies.Vocabulary:
    """The vocabulary that VOCABULARY_FILE and EXTRA_IDS name: see `NewModel`."""
    path = pathlib.Path(file)
    if file in SHIPPED and not path.exists():
        shipped = weights.read_checkpoint(ASSETS / file).vocabulary
        path, extra_ids = shipped.path, shipped.extra_ids if extra_ids is None else extra_ids
    given = {} if extra_ids is None else {"extra_ids": extra_ids}
    if file == "bytes":
        return vocabularies.ByteVocabulary(**given)
    return vocabularies.SentencePieceVocabulary(path, **given)
