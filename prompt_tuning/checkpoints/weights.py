"""The frozen model: found in whatever format it lies, checked, and told from other models.

Formats are recognised by looking: the project's own (native.py), Hugging Face's (hugging_face.py),
T5X's (t5x.py). Weights go in one direction, in. A tuned or pre-trained model is written by
`save_model`; training a prompt never writes the frozen weights.
"""

from collections.abc import Mapping
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
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

_SENTINEL = re.compile(r"▁?<extra_id_\d+>")


@dataclasses.dataclass(frozen=True)
class FrozenModel:
    """A T5: configuration, flat parameters, vocabulary.

    Attributes:
      name: the folder it came from, for reports.
      config: dimensions and switches.
      params: flat `{name: array}`; arrays in memory, or on disk (`stored.StoredArray`).
      vocabulary: turns text into ids and back.
    """

    name: str
    config: t5_config.T5Config
    params: parameters.Flat
    vocabulary: vocabularies.Vocabulary

    @property
    def table(
        self,
    ) -> Float[Array, "V D"] | Float[np.ndarray, "V D"] | Float[StoredArray, "V D"]:
        """The [V, D] vocabulary table."""
        return self.params["token_embedder/embedding"]


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
      config: what a format that has no configuration (T5X) does not tell.
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
    if t5x.is_t5x(str(path)):
        return "t5x"
    file = pathlib.Path(path) / "config.json"
    if not file.is_file():
        return None
    return "native" if "format" in json.loads(file.read_text()) else "hugging_face"


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
            f"Face's), and nothing of a T5X checkpoint. Check INITIAL_CHECKPOINT_PATH."
        )
    if kind == "t5x":
        found = t5x.read_t5x(str(path), config)
    else:
        read = native.read_native if kind == "native" else hugging_face.read_hugging_face
        found = read(pathlib.Path(path))
    check_params(found.params, found.config, str(path))
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


def fingerprint(model: FrozenModel) -> str:
    """Tells base models apart: the same in every format, type and number of padded vocabulary rows.

    A hash of the vocabulary's pieces but for the sentinels, which are in its file or behind it, and of
    all parameters' names and values: of a vector all of them, of a matrix a corner, so that an XXL
    model on a far disk is not read for it. Values are rounded to bfloat16 first.
    """
    pieces = map(model.vocabulary.piece, range(model.vocabulary.vocab_size))
    text = "\n".join(piece for piece in pieces if not _SENTINEL.fullmatch(piece))
    digest = hashlib.sha256(text.encode())
    for name in sorted(model.params):
        x = model.params[name]
        x = np.asarray(jax.device_get(x[...] if x.ndim == 1 else x[:8, :8]))
        digest.update(name.encode())
        digest.update(np.ascontiguousarray(x.astype(jnp.bfloat16)).tobytes())
    return digest.hexdigest()[:16]


@functools.cache
def expected_shapes(config: t5_config.T5Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's parameters, without allocating them."""
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(
        lambda key, x: network.T5(config).init(key, x, x, enable_dropout=False),
        jax.random.key(0),
        tokens,
    )
    return {name: x.shape for name, x in parameters.flatten(variables["params"]).items()}


def random_params(config: t5_config.T5Config, seed: int) -> parameters.Flat:
    """Fresh parameters, for pre-training."""
    tokens = jnp.zeros((1, 1), jnp.int32)
    init = jax.jit(
        lambda key: network.T5(config).init(key, tokens, tokens, enable_dropout=False)["params"]
    )
    return parameters.flatten(init(jax.random.key(seed)))


def check_params(params: Mapping[str, Any], config: t5_config.T5Config, where: str) -> None:
    """Raises a CheckpointError that lists missing, extra and misshapen names."""
    expected = expected_shapes(config)
    problems = [f"missing {name} {expected[name]}" for name in expected if name not in params]
    problems += [
        f"unexpected {name} {params[name].shape}" for name in params if name not in expected
    ]
    problems += [
        f"{name}: expected {expected[name]}, found {x.shape}"
        for name, x in params.items()
        if name in expected and tuple(x.shape) != expected[name]
    ]
    if problems:
        shown = "\n  ".join(problems[:20])
        raise CheckpointError(
            f"{where} does not hold the parameters of its T5Config "
            f"({len(problems)} differences):\n  {shown}"
        )
