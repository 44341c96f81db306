"""The frozen model on disk, in the project's own format: one folder.

    config.json         {"format": ..., "t5": T5Config, "vocabulary": {...}}
    model.safetensors   flat parameter names of T5X, any float dtype
    vocabulary.model    SentencePiece

Weights go in one direction: read once, here. A tuned or pre-trained model is
written by `save_model`; training a prompt never writes the frozen weights.
"""

import dataclasses
import hashlib
import json
import os
import pathlib
import shutil
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np
from safetensors import numpy as safetensors_numpy
import safetensors

from prompt_tuning import atomic
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

FORMAT = "prompt_tuning/1"


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, and why."""


@dataclasses.dataclass(frozen=True)
class FrozenModel:
    """A T5 in memory: configuration, flat parameters, vocabulary.

    Attributes:
      name: the folder it came from, for reports.
      config: dimensions and switches.
      params: flat `{name: array}`.
      vocabulary: turns text into ids and back.
    """

    name: str
    config: t5_config.T5Config
    params: parameters.Flat
    vocabulary: vocabularies.Vocabulary

    @property
    def table(self) -> Float[Array, "V D"] | Float[np.ndarray, "V D"]:
        """The [V, D] vocabulary table."""
        return self.params["token_embedder/embedding"]


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


def check_params(params: parameters.Flat, config: t5_config.T5Config, where: str) -> None:
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


def describe_model(
    path: str | os.PathLike, *, dtype: str = "float32", dropout_rate: float = 0.0
) -> FrozenModel:
    """A model folder's model with `jax.ShapeDtypeStruct` for arrays: no weight is read.

    Args:
      path: the folder (INITIAL_CHECKPOINT_PATH).
      dtype: of the activations, and of the weights in memory.
      dropout_rate: of the frozen model while a prompt is trained.
    """
    path = pathlib.Path(path)
    described = _read_config(path)
    config = t5_config.T5Config.from_dict(
        described["t5"] | dict(dtype=dtype, dropout_rate=dropout_rate),
        where=str(path / "config.json"),
    )
    params = {
        name: jax.ShapeDtypeStruct(shape, config.compute_dtype)
        for name, shape in expected_shapes(config).items()
    }
    return FrozenModel(str(path), config, params, _read_vocabulary(path, described["vocabulary"]))


def load_model(
    path: str | os.PathLike, *, dtype: str = "float32", dropout_rate: float = 0.0
) -> FrozenModel:
    """Reads a model folder; arguments as in `describe_model`. Weights are cast once, here."""
    model = describe_model(path, dtype=dtype, dropout_rate=dropout_rate)
    file = pathlib.Path(path) / "model.safetensors"
    try:
        stored = safetensors_numpy.load_file(file)
    except (OSError, safetensors.SafetensorError) as error:
        raise CheckpointError(
            f"{file} cannot be read: {error}. Check INITIAL_CHECKPOINT_PATH."
        ) from error
    check_params(stored, model.config, str(path))
    params = {name: x.astype(model.config.compute_dtype) for name, x in stored.items()}
    return dataclasses.replace(model, params=params)


def save_model(
    path: str | os.PathLike, model: FrozenModel, params: parameters.Flat, *, dtype: str = "bfloat16"
) -> None:
    """Writes `params` with the configuration and vocabulary of `model`."""
    path = pathlib.Path(path)
    path.mkdir(parents=True, exist_ok=True)
    described = {
        "format": FORMAT,
        "t5": dataclasses.asdict(model.config) | dict(dtype="float32", dropout_rate=0.0),
        "vocabulary": _write_vocabulary(path, model.vocabulary),
    }
    with atomic.writing(path / "config.json") as partial:
        partial.write_text(json.dumps(described, indent=2) + "\n")
    stored = {
        name: np.asarray(jax.device_get(x)).astype(jnp.dtype(dtype)) for name, x in params.items()
    }
    with atomic.writing(path / "model.safetensors") as partial:
        safetensors_numpy.save_file(stored, partial)
        partial.chmod(0o644)  # safetensors leaves it to its owner alone


def fingerprint(params: parameters.Flat) -> str:
    """A short hash of names, shapes and values: the same base model or not."""
    digest = hashlib.sha256()
    for name in sorted(params):
        x = np.asarray(jax.device_get(params[name]), np.float32)
        digest.update(f"{name}{x.shape}".encode())
        digest.update(np.ascontiguousarray(x).tobytes())
    return digest.hexdigest()[:16]


def _write_vocabulary(
    folder: pathlib.Path,
    vocabulary: vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary,
) -> dict[str, Any]:
    """Puts the vocabulary's file beside the weights, if it has one; returns its entry in config.json."""
    if isinstance(vocabulary, vocabularies.ByteVocabulary):
        return {"bytes": True, "extra_ids": vocabulary.extra_ids}
    file = folder / "vocabulary.model"
    if pathlib.Path(vocabulary.path).resolve() != file.resolve():
        shutil.copyfile(vocabulary.path, file)
    return {"file": file.name, "extra_ids": vocabulary.extra_ids}


def _read_vocabulary(folder: pathlib.Path, entry: dict[str, Any]) -> vocabularies.Vocabulary:
    if entry.get("bytes"):
        return vocabularies.ByteVocabulary(entry["extra_ids"])
    return vocabularies.SentencePieceVocabulary(folder / entry["file"], entry["extra_ids"])


def _read_config(path: pathlib.Path) -> dict:
    file = path / "config.json"
    if not file.is_file():
        raise CheckpointError(
            f"{path} is no model folder: it has no config.json. Check INITIAL_CHECKPOINT_PATH."
        )
    described = json.loads(file.read_text())
    if described.get("format") != FORMAT:
        raise CheckpointError(
            f'{file}: expected "format": "{FORMAT}", found {described.get("format")!r}.'
        )
    return described
