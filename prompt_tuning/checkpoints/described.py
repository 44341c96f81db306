"""Small arrays in one safetensors file with what they are for, and a checksum: what methods learn.

Which arrays there must be is the business of the methods that read them.
"""

from collections.abc import Mapping
import hashlib
import pathlib
from typing import Any

import numpy as np
import safetensors

from prompt_tuning.checkpoints import tensors
from prompt_tuning.checkpoints.stored import reporting

CHECKSUM = "sha256"  # of the numbers, in its header


def write(path: pathlib.Path, arrays: Mapping[str, Any], about: Mapping[str, str]) -> None:
    """Writes arrays by name as float32, what they were trained for, and a checksum."""
    about = {**about, CHECKSUM: _checksum(arrays)}
    tensors.write_file(path, arrays, "float32", about)


def read(path: pathlib.Path) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """(arrays by name, what they are for).

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it is no safetensors file, or damaged.
    """
    if not path.is_file():
        raise FileNotFoundError(f"PROMPT_FILE: there is no file {path}.")
    with (
        reporting(f"PROMPT_FILE {path}: expected arrays in safetensors format", advice=""),
        safetensors.safe_open(path, "numpy") as file,
    ):
        arrays = {name: file.get_tensor(name) for name in file.keys()}
        about = dict(file.metadata() or {})
    if about.pop(CHECKSUM, None) not in (None, _checksum(arrays)):
        raise ValueError(
            f"PROMPT_FILE {path} is damaged: its numbers do not have the checksum that was written with "
            "them. Give a copy, or another save of the run."
        )
    return arrays, about


def _checksum(arrays: Mapping[str, Any]) -> str:
    found = hashlib.sha256()
    for name, x in sorted(arrays.items()):
        found.update(name.encode())
        found.update(np.asarray(x, np.float32).tobytes())
    return found.hexdigest()
