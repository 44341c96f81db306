"""Named arrays in safetensors files, as Hugging Face lays them out in a folder.

    model.safetensors                                  all of them, or
    model-00001-of-00002.safetensors, …                parts of them, and
    model.safetensors.index.json                       {"weight_map": {name: file}}

What the names mean is the business of the formats that use this.
"""

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

import jax
import numpy as np
import safetensors
from safetensors import numpy as safetensors_numpy

from prompt_tuning import atomic
from prompt_tuning.checkpoints.stored import CheckpointError, StoredArray, floating
from prompt_tuning.checkpoints.stored import read_json, reporting

FILE = "model.safetensors"
INDEX = f"{FILE}.index.json"
PART_BYTES = 5 * 10**9  # Hugging Face's largest


def read_tensors(folder: str | os.PathLike) -> dict[str, StoredArray]:
    """The arrays of a folder by name; only headers are read.

    Raises CheckpointError where a file is missing or is no safetensors file.
    """
    folder = pathlib.Path(folder)
    if (folder / FILE).exists() or not (folder / INDEX).exists():
        return read_file(folder / FILE)
    files = read_index(folder / INDEX)
    parts = {file: read_file(folder / file) for file in sorted(set(files.values()))}
    lost = [name for name, file in files.items() if name not in parts[file]]
    if lost:
        raise CheckpointError(f"{folder / INDEX} names arrays that its files lack: {lost[:20]}.")
    return {name: parts[file][name] for name, file in files.items()}


def read_index(file: pathlib.Path) -> dict[str, str]:
    """The file that each array is in, by the array's name."""
    files = read_json(file, "weight_map")["weight_map"]
    for name, part in files.items():
        if not isinstance(part, str):
            raise CheckpointError(f"{file}: expected the file that has {name}, found {part!r}.")
    return files


def read_file(file: pathlib.Path) -> dict[str, StoredArray]:
    """The arrays of one safetensors file."""
    with reporting(f"{file} cannot be read"):
        opened = safetensors.safe_open(file, "numpy")
        slices = {name: opened.get_slice(name) for name in opened.keys()}
    return {
        name: StoredArray(
            tuple(x.get_shape()), _dtype(x.get_dtype(), f"{file}: {name}"), x.__getitem__
        )
        for name, x in slices.items()
    }


def write_tensors(
    folder: str | os.PathLike,
    arrays: Mapping[str, Any],
    dtype: str,
    *,
    part_bytes: int = PART_BYTES,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes floating-point arrays, cast to `dtype`; one part is in memory at a time.

    Args:
      folder: is made if it is not there.
      arrays: by name; whatever NumPy can read, `StoredArray`s too.
      dtype: on disk.
      part_bytes: largest size of a file.
      metadata: texts for the files' headers.
    """
    folder = pathlib.Path(folder)
    parts = _parts(
        {name: x.size * np.dtype(dtype).itemsize for name, x in arrays.items()}, part_bytes
    )
    if len(parts) == 1:
        return write_file(folder / FILE, arrays, dtype, metadata)
    # Without them no reader takes parts of an older write for parts of this one.
    for name in (FILE, INDEX):
        (folder / name).unlink(missing_ok=True)
    files = {}
    for number, names in enumerate(parts, 1):
        file = FILE.replace(".", f"-{number:05}-of-{len(parts):05}.")
        write_file(folder / file, {name: arrays[name] for name in names}, dtype, metadata)
        files |= dict.fromkeys(names, file)
    size = sum(x.size for x in arrays.values()) * np.dtype(dtype).itemsize
    with atomic.writing(folder / INDEX) as partial:
        index = {"metadata": {"total_size": size}, "weight_map": files}
        partial.write_text(json.dumps(index, indent=2) + "\n")


def _parts(sizes: Mapping[str, int], limit: int) -> list[list[str]]:
    """Names in their order, cut where the next would pass the limit."""
    parts, room = [[]], limit
    for name, size in sizes.items():
        if parts[-1] and size > room:
            parts.append([])
            room = limit
        parts[-1].append(name)
        room -= size
    return parts


def write_file(
    file: pathlib.Path,
    arrays: Mapping[str, Any],
    dtype: str,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Writes one safetensors file; arguments as of `write_tensors`."""
    cast = {
        name: np.ascontiguousarray(np.asarray(jax.device_get(x)).astype(dtype))
        for name, x in arrays.items()
    }
    with atomic.writing(file) as partial:
        try:
            safetensors_numpy.save_file(cast, partial, metadata=metadata and dict(metadata))
        except safetensors.SafetensorError as error:  # as where the disk is full
            raise OSError(str(error)) from error
        partial.chmod(0o644)  # safetensors leaves it to its owner alone


def _dtype(name: str, where: str) -> np.dtype:
    """NumPy's dtype for safetensors' name of a floating-point one."""
    known = {"F64": "float64", "F32": "float32", "F16": "float16", "BF16": "bfloat16"}
    return floating(known.get(name, name), where)
