"""T5X's checkpoints, in and out; T5X itself is not needed, and gs:// is as good as a folder.

    checkpoint_{step}/checkpoint            msgpack: small arrays, and for each of the others a
                      target.…/             TensorStore specification that names its zarr array
    checkpoint_{step}/state/manifest.ocdbt  or, newer, by Orbax: all zarr arrays in one database,
    checkpoint_{step}/state/target.…/       or, where its OCDBT is switched off, a folder for each

Only the parameters ("target") are of use here, not the optimizer's state. What they tell of the
model is in t5x_config.py, the layers that newer networks stack in t5x_stacks.py.
"""

from collections.abc import Mapping
import os
import pathlib
import re
import shutil
from typing import Any
import uuid

from flax import serialization
from flax import traverse_util
import jax
import numpy as np

from prompt_tuning import atomic
from prompt_tuning.checkpoints import t5x_config
from prompt_tuning.checkpoints import t5x_stacks
from prompt_tuning.checkpoints import zarr
from prompt_tuning.checkpoints.stored import Checkpoint, CheckpointError, StoredArray, floating
from prompt_tuning.checkpoints.stored import reporting
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import parameters

STATE = "state"
MSGPACK, OCDBT = "checkpoint", f"{STATE}/manifest.ocdbt"
VERSION = 3


def is_t5x(path: str) -> bool:
    """Whether a T5X checkpoint, or a MODEL_DIR of them, is at a folder or gs:// address."""
    if os.path.isfile(path):
        return False
    files = (_content(path, file) for file in (OCDBT, MSGPACK))
    found = any(file is not None for file in files)
    return found or bool(_orbax_keys(path, STATE) or _steps(path))


def read_t5x(path: str, config: t5_config.T5Config | None) -> Checkpoint:
    """The model of one checkpoint, without its prompts; a T5X checkpoint has no vocabulary.

    Args:
      path: of `checkpoint_{step}`, a folder or gs://bucket/….
      config: what shapes do not tell (t5x_config.py); must agree with what they do.

    Raises:
      CheckpointError: nothing readable is there, or another model than `config`'s.
    """
    params = {name: x for name, x in _read_target(path).items() if not _of_prompt(name)}
    shapes = {name: x.shape for name, x in params.items()}
    with reporting(path):
        found = t5x_config.infer_config(shapes, config, path)
    return Checkpoint(found, params, vocabulary=None)


def read_t5x_prompt(path: str) -> dict[str, np.ndarray]:
    """The prompts that a checkpoint holds, by name: {"encoder/prompt/prompt/prompt": [P, D]}.

    Raises:
      CheckpointError: there is none.
    """
    prompts = {name: np.asarray(x) for name, x in _read_target(path).items() if _of_prompt(name)}
    if not prompts:
        raise CheckpointError(f"{path} holds no prompt: expected encoder/prompt/prompt/prompt.")
    return prompts


def write_t5x(folder: str | os.PathLike, step: int, params: Mapping[str, Any]) -> pathlib.Path:
    """Writes `folder/checkpoint_{step}`, in the msgpack form, which every version of T5X restores.

    It has no optimizer state, so T5X evaluates and serves it; to train from it, T5X's
    RestoreCheckpointConfig needs an assignment_map that gives "state/param_states/.*" None. One
    array is in memory at a time, and the checkpoint is complete or absent.

    Args:
      folder: T5X's MODEL_DIR, on a local disk.
      step: T5X's clock; its optimizers and schedules go on from it.
      params: by flat name, prompts among them if they are to be in it; `StoredArray`s too.

    Raises:
      FileExistsError: MODEL_DIR has a checkpoint of that step.
    """
    if step < 0:
        raise ValueError(f"A T5X checkpoint's step must be 0 or more, found {step}.")
    path = pathlib.Path(folder) / f"checkpoint_{step}"
    if path.exists():
        raise FileExistsError(f"{path} is there already: change the folder or the step.")
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        target = {name: _write(partial, name, x) for name, x in params.items()}
        optimizer = {
            "state": {"step": np.asarray(step, np.int32)},
            "target": parameters.unflatten(target),
        }
        content = serialization.msgpack_serialize({"version": VERSION, "optimizer": optimizer})
        with atomic.writing(partial / MSGPACK) as file:
            file.write_bytes(content)
        partial.rename(path)
    finally:
        shutil.rmtree(partial, ignore_errors=True)
    return path


def _write(folder: pathlib.Path, name: str, x: Any) -> np.ndarray | dict[str, Any]:
    """What the msgpack file holds of an array: a vector itself, of others where they are."""
    if x.ndim < 2:
        return np.asarray(jax.device_get(x))
    own = f"target.{name.replace('/', '.')}"
    spec = zarr.write_array(folder / own, x)
    return {**spec, "kvstore": {"driver": "file", "path": own}}  # it may be moved


def _of_prompt(name: str) -> bool:
    return "/prompt/" in name


def _read_target(path: str) -> dict[str, StoredArray]:
    """All parameters of the one checkpoint at `path`, as an unscanned model names them."""
    if _content(path, OCDBT) is not None:
        target = _read_orbax(path, OCDBT)
    elif (content := _content(path, MSGPACK)) is not None:
        target = _read_msgpack(path, content)
    elif _orbax_keys(path, STATE):
        target = _read_orbax(path, STATE)
    elif steps := _steps(path):
        raise CheckpointError(
            f"{path} is no T5X checkpoint but holds {len(steps)} of them. Name one: the newest is "
            f"{path.rstrip('/')}/checkpoint_{max(steps)}."
        )
    else:
        raise CheckpointError(
            f"{path} is no T5X checkpoint: it has neither {MSGPACK} nor {OCDBT}, nor arrays "
            f"in {STATE}. Check INITIAL_CHECKPOINT_PATH."
        )
    with reporting(f"{path}: stacked layers"):
        return t5x_stacks.unstack(target)


def _read_msgpack(path: str, content: bytes) -> dict[str, StoredArray]:
    with reporting(f"{path}/{MSGPACK} cannot be read"):
        saved = serialization.msgpack_restore(content)
        if not isinstance(saved, dict):
            raise ValueError("it is no checkpoint of T5X")
        if saved["version"] not in (2, VERSION):
            raise ValueError(f"expected version {VERSION}, found {saved['version']!r}")
        target = traverse_util.flatten_dict(
            dict(saved["optimizer"]["target"]), sep="/", is_leaf=lambda _, x: "kvstore" in x
        )
        elsewhere = {
            name: zarr.location(path, _zarr_folder(x))
            for name, x in target.items()
            if isinstance(x, dict)
        }
        here = {
            name: _in_memory(f"{path}/{MSGPACK}: {name}", np.asarray(x))
            for name, x in target.items()
            if name not in elsewhere
        }
    return here | zarr.open_arrays(path, elsewhere)


def _zarr_folder(spec: dict[str, Any]) -> str:
    """TensorStore before 0.1.14 had the path beside its kvstore."""
    return (dict(spec["kvstore"]).get("path") or spec["path"]).rstrip("/")


def _in_memory(where: str, x: np.ndarray) -> StoredArray:
    return StoredArray(x.shape, floating(x.dtype, where), x.__getitem__)


def _read_orbax(path: str, place: str) -> dict[str, StoredArray]:
    """From the database OCDBT, or from folders in STATE."""
    store, keys = _orbax_store(path, place), _orbax_keys(path, place)
    target = {}
    for driver, metadata in zarr.METADATA.items():
        folders = [key.removesuffix(metadata) for key in keys if key.endswith(f"/{metadata}")]
        specs = {
            folder.removeprefix("target.").rstrip("/").replace(".", "/"): {
                **store,
                "path": store.get("path", "") + folder,
            }
            for folder in folders
        }
        target |= zarr.open_arrays(path, specs, driver)
    if not target:
        raise CheckpointError(
            f"{path}/{STATE} holds no model (no array under target). The MODEL_DIR of a run of this "
            "project is given as PROMPT_FILE."
        )
    return target


def _orbax_keys(path: str, place: str) -> list[str]:
    """Of the files of the parameters' arrays."""
    with reporting(f"{path}/{place} cannot be read"):
        return zarr.keys(zarr.open_store(_orbax_store(path, place)), "target.", "target/")


def _orbax_store(path: str, place: str) -> zarr.Spec:
    folder = zarr.location(path, STATE)
    return {"driver": "ocdbt", "base": folder} if place == OCDBT else folder


def _content(path: str, file: str) -> bytes | None:
    """None if the file is not there."""
    with reporting(f"{path}/{file} cannot be read"):
        found = zarr.open_store(zarr.location(path)).read(file).result()
        return found.value if found.state == "value" else None


def _steps(path: str) -> set[int]:
    """Of the checkpoints in a MODEL_DIR."""
    checkpoint = re.compile(rf"checkpoint_(\d+)/({MSGPACK}|{re.escape(OCDBT)}|{STATE}/target\..*)")
    with reporting(f"{path} cannot be read"):  # ":" follows "9"
        found = zarr.keys(zarr.open_store(zarr.location(path)), "checkpoint_0", "checkpoint_:")
    return {int(match[1]) for key in found if (match := checkpoint.fullmatch(key))}
