"""Which frozen model to use: descriptions that cost nothing until they are loaded.

A description checks itself, and answers with shapes alone, before any weight is read. The format on
disk is checkpoints/weights.py's part.
"""

import dataclasses
import os
import pathlib
from typing import Protocol, runtime_checkable

import jax
import jax.numpy as jnp

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config

ASSETS = pathlib.Path(__file__).parent / "assets"
SHIPPED = ("pocket_t5",)
_NOT_STORED = ("dtype", "dropout_rate")  # how a model is used, not what it is


@runtime_checkable
class Model(Protocol):
    """A frozen model that is yet to be loaded."""

    def describe(self) -> weights.FrozenModel:
        """The model with shapes and types (`jax.ShapeDtypeStruct`) for parameters."""

    def load(self) -> weights.FrozenModel: ...


@dataclasses.dataclass(frozen=True)
class PretrainedModel:
    """A model folder, or the name of a model that ships with the project.

    Attributes:
      path: of the folder, or a name such as "pocket_t5" (INITIAL_CHECKPOINT_PATH).
      dtype: of activations, and of the weights in memory.
      dropout_rate: of the frozen model while something is trained.
      config: if given, the dimensions that the checkpoint must have.
    """

    path: str | os.PathLike
    dtype: str = "float32"
    dropout_rate: float = 0.0
    config: t5_config.T5Config | None = None

    def describe(self) -> weights.FrozenModel:
        return self._checked(weights.describe_model(self._folder, **self._options))

    def load(self) -> weights.FrozenModel:
        self.describe()  # what is wrong shows before the weights are read
        return weights.load_model(self._folder, **self._options)

    @property
    def _folder(self) -> pathlib.Path:
        path = pathlib.Path(self.path)
        if not path.exists() and str(self.path) in SHIPPED:
            path = ASSETS / self.path
        if not (path / "config.json").is_file():
            raise weights.CheckpointError(
                f"INITIAL_CHECKPOINT_PATH {str(self.path)!r}: {path} has no config.json, so it is no "
                f"model folder. Models that ship with the project: {', '.join(SHIPPED)}."
            )
        return path

    @property
    def _options(self) -> dict:
        return dict(dtype=self.dtype, dropout_rate=self.dropout_rate)

    def _checked(self, model: weights.FrozenModel) -> weights.FrozenModel:
        if self.config is None:
            return model
        asked, found = dataclasses.asdict(self.config), dataclasses.asdict(model.config)
        differing = [
            f"{name} {asked[name]!r}, found {found[name]!r}"
            for name in asked
            if asked[name] != found[name] and name not in _NOT_STORED
        ]
        if differing:
            raise weights.CheckpointError(
                f"{model.name} has other dimensions than T5Config asks for: expected "
                f"{'; '.join(differing)}. Change INITIAL_CHECKPOINT_PATH or the size's gin file."
            )
        return model


@dataclasses.dataclass(frozen=True)
class NewModel:
    """A model with random weights, for pre-training.

    Attributes:
      config: dimensions and switches.
      vocabulary_file: a SentencePiece model.
      extra_ids: sentinels behind its pieces.
      seed: of the weights.
    """

    config: t5_config.T5Config
    vocabulary_file: str
    extra_ids: int = 100
    seed: int = 0

    def describe(self) -> weights.FrozenModel:
        dtype = jnp.dtype("float32")
        shapes = weights.expected_shapes(self.config)
        params = {name: jax.ShapeDtypeStruct(shape, dtype) for name, shape in shapes.items()}
        return weights.FrozenModel("new model", self.config, params, self._vocabulary())

    def load(self) -> weights.FrozenModel:
        vocabulary = self._vocabulary()
        params = weights.random_params(self.config, self.seed)
        return weights.FrozenModel("new model", self.config, params, vocabulary)

    def _vocabulary(self) -> vocabularies.Vocabulary:
        path = pathlib.Path(self.vocabulary_file)
        if not path.exists() and self.vocabulary_file in SHIPPED:
            path = ASSETS / self.vocabulary_file / "vocabulary.model"
        vocabulary = vocabularies.SentencePieceVocabulary(path, self.extra_ids)
        if vocabulary.vocab_size > self.config.vocab_size:
            raise ValueError(
                f"The vocabulary {path} has {vocabulary.vocab_size} ids, sentinels included, but "
                f"T5Config.vocab_size is {self.config.vocab_size}: raise it."
            )
        return vocabulary
