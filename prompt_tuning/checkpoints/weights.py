"""The frozen model: found in whatever format it lies, checked, and told from other models.

Formats are recognised by looking: the project's own (native.py), Hugging Face's (hugging_face.py),
T5X's (t5x.py). Weights go in one direction, in. A tuned or pre-trained model is written by
`save_model`; training a prompt never writes the frozen weights.
"""

import dataclasses
import functools
import hashlib
import json
import os
import pathlib
import re
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from prompt_tuning.checkpoints import hugging_face
from prompt_tuning.checkpoints import native
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints.stored import Checkpoint, CheckpointError, StoredArray
from prompt_tuning.checkpoints.stored import check_depth, check_shapes, read_json
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import execution as executions
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

_SENTINEL = re.compile(r"▁?<extra_id_\d+>")
_USE = ("dtype", "dropout_rate")  # of T5Config: how a model is used, not what it is


@dataclasses.dataclass(frozen=True)
class FrozenModel:
    """A T5: configuration, flat parameters, vocabulary.

    Attributes:
      name: the folder it came from, for reports.
      config: dimensions and switches.
      params: flat `{name: array}`; arrays in memory, or on disk (`stored.StoredArray`).
      vocabulary: turns text into ids and back.
      execution: how it is computed.
    """

    name: str
    config: t5_config.T5Config
    params: parameters.Flat
    vocabulary: vocabularies.Vocabulary
    execution: executions.Execution = executions.Execution()

    @property
    def table(
        self,
    ) -> Float[Array, "V D"] | Float[np.ndarray, "V D"] | Float[StoredArray, "V D"]:
        """The [V, D] vocabulary table."""
        return self.params["token_embedder/embedding"]

    @functools.cached_property
    def fingerprint(self) -> str:
        """Tells base models apart: the same in every format, in float32 and bfloat16, and with any
        number of padded vocabulary rows.

        A hash of the configuration, the vocabulary's pieces (but for the sentinels, which are in its
        file or behind it) and values, rounded to bfloat16: all of the norms, and corners of the
        position tables and of the last decoder layer's matrices, so that an XXL model on a far disk
        need not be read for it.
        """
        config = dataclasses.asdict(self.config)
        described = {k: x for k, x in config.items() if k not in (*_USE, "vocab_size")}
        pieces = map(self.vocabulary.piece, range(self.vocabulary.vocab_size))
        pieces = [piece for piece in pieces if not _SENTINEL.fullmatch(piece)]
        digest = hashlib.sha256(json.dumps([described, pieces]).encode())
        last = f"decoder/layers_{self.config.num_decoder_layers - 1}/"
        for name in sorted(self.params):
            x = self.params[name]
            if x.ndim == 1 or name.endswith("rel_embedding") or name.startswith(last):
                x = np.asarray(jax.device_get(x[...] if x.ndim == 1 else x[:8, :8]))
                digest.update(name.encode())
                digest.update(np.ascontiguousarray(x.astype(jnp.bfloat16)).tobytes())
        return digest.hexdigest()[:16]


def open_model(
    path: str | os.PathLike,
    *,
    dtype: str = "float32",
    dropout_rate: float = 0.0,
    config: t5_config.T5Config | None = None,
    vocabulary: vocabularies.Vocabulary | None = None,
) -> FrozenModel:
    """The model of a folder, its arrays on disk until they are placed.

    Args:
      path: the folder (INITIAL_CHECKPOINT_PATH), or a gs:// address of a T5X checkpoint.
      dtype: of the activations, and of the weights in memory.
      dropout_rate: of the frozen model while a prompt is trained.
      config: what the model must be, but for the number of vocabulary rows; tells what a format that
        has no configuration (T5X) does not.
      vocabulary: for a checkpoint that brings none.

    Raises:
      CheckpointError: what is wrong, by name; nothing but names and shapes has been read by then.
    """
    found = read_checkpoint(path, config=config, vocabulary=vocabulary)
    if found.vocabulary is None:
        raise CheckpointError(
            f"{path} brings no vocabulary: set VOCABULARY_FILE to its SentencePiece model, or to "
            '"bytes" for ByT5.'
        )
    config = dataclasses.replace(found.config, dtype=dtype, dropout_rate=dropout_rate)
    params = {name: x.astype(config.compute_dtype) for name, x in found.params.items()}
    return FrozenModel(str(path), config, params, found.vocabulary)


def format_of(path: str | os.PathLike) -> str | None:
    """Of the model at `path`: "native", "hugging_face" or "t5x"; None where there is no model."""
    file = pathlib.Path(path) / "config.json"
    if file.is_file():
        return "native" if "format" in read_json(file) else "hugging_face"
    return "t5x" if t5x.is_t5x(str(path)) else None


def read_checkpoint(
    path: str | os.PathLike,
    *,
    config: t5_config.T5Config | None = None,
    vocabulary: vocabularies.Vocabulary | None = None,
) -> Checkpoint:
    """What is stored at `path`, in the types it is stored in: for tools. For use, `open_model`.

    Arguments and errors are those of `open_model`, but a vocabulary may be missing.
    """
    kind = format_of(path)
    if kind is None:
        raise CheckpointError(
            f"{path} is no model folder: it has no config.json (the project's format, or Hugging "
            f"Face's), and nothing of a T5X checkpoint. Check INITIAL_CHECKPOINT_PATH.{_hint(path)}"
        )
    if kind == "t5x":
        found = t5x.read_t5x(str(path), config)
    else:
        read = native.read_native if kind == "native" else hugging_face.read_hugging_face
        found = read(pathlib.Path(path))
    check_depth(found.config, found.params, str(path))
    check_shapes(found.params, parameters.expected_shapes(found.config), str(path))
    if config and (differing := config.differences(found.config, "vocab_size", *_USE)):
        raise CheckpointError(
            f"{path} holds another model than T5Config asks for: {'; '.join(differing)}. Change "
            "INITIAL_CHECKPOINT_PATH or the size's gin file."
        )
    found = dataclasses.replace(found, vocabulary=vocabulary or found.vocabulary)
    if found.vocabulary is not None and found.vocabulary.vocab_size > found.config.vocab_size:
        raise CheckpointError(
            f"The vocabulary {found.vocabulary.name} has {found.vocabulary.vocab_size} ids, sentinels "
            f"included, but {path} has {found.config.vocab_size} rows: change VOCABULARY_FILE or "
            "EXTRA_IDS."
        )
    return found


def in_memory(model: FrozenModel) -> FrozenModel:
    """The model with every array read into the host's memory: for use more than once."""
    return dataclasses.replace(model, params={k: np.asarray(x) for k, x in model.params.items()})


def load_model(path: str | os.PathLike, **options: Any) -> FrozenModel:
    """`open_model`, in memory."""
    return in_memory(open_model(path, **options))


def save_model(
    path: str | os.PathLike, model: FrozenModel, params: parameters.Flat, *, dtype: str = "bfloat16"
) -> None:
    """Writes `params`, with the configuration and vocabulary of `model`, in the project's format."""
    native.write_native(path, model.config, params, model.vocabulary, dtype=dtype)


def random_params(config: t5_config.T5Config, seed: int) -> parameters.Flat:
    """Fresh parameters, in the type of the activations."""
    tokens = jnp.zeros((1, 1), jnp.int32)

    @jax.jit
    def init(key):
        params = network.T5(config).init(key, tokens, tokens, enable_dropout=False)["params"]
        return jax.tree.map(lambda x: x.astype(config.compute_dtype), params)

    return parameters.flatten(init(jax.random.key(seed)))


def _hint(path: str | os.PathLike) -> str:
    """What a path that is no model may have been meant for."""
    path = pathlib.Path(path)
    if (path / "best" / "config.json").is_file():
        return f" A tuned model is in {path / 'best'}."
    learned = ("best", "numpy_checkpoints", "prompt.safetensors", "adapter_config.json")
    if path.is_file() or any((path / name).exists() for name in learned):
        return " What a run learned is given as PROMPT_FILE."
    return ""
