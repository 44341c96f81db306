"""Arrays on disk that are read where, and as far as, they are needed.

Every format's reader gives a `Checkpoint` of them: names and shapes are known at once, values are
read when an array is placed on its devices (training/sharding.py), each device's part alone. What
is in memory beside the placed weights is then one array at most.
"""

from collections.abc import Callable, Iterator, Mapping, Sized
import contextlib
import dataclasses
import json
import pathlib
from types import EllipsisType
from typing import Any

import jax.numpy as jnp
from jaxtyping import Int
import numpy as np

from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config

Index = tuple[slice, ...]


class CheckpointError(ValueError):
    """A checkpoint that cannot be used, and why."""


@contextlib.contextmanager
def reporting(problem: str, advice: str = " Check INITIAL_CHECKPOINT_PATH.") -> Iterator[None]:
    """Turns whatever reading damaged content raises into a CheckpointError.

    Parsers have no error in common: a wrong byte can come to their own, but also to a KeyError, a
    TypeError, an OverflowError, a RecursionError or a MemoryError.

    Args:
      problem: begins the message and names the file.
      advice: ends it.
    """
    try:
        yield
    except CheckpointError:
        raise  # names the file itself
    except Exception as error:
        found = error if isinstance(error, OSError | ValueError) else repr(error)
        raise CheckpointError(f"{problem}: {found}.{advice}") from error


def read_json(file: pathlib.Path, *required: str) -> dict[str, Any]:
    """The object in a JSON file, of which the `required` members are objects, too.

    Raises CheckpointError.
    """
    with reporting(f"{file} cannot be read", advice=""):
        content = json.loads(file.read_text(encoding="utf-8"))
    if not isinstance(content, dict):
        raise CheckpointError(f"{file}: expected an object, found {type(content).__name__}.")
    if missing := [key for key in required if key not in content]:
        raise CheckpointError(f"{file} lacks {', '.join(missing)}.")
    for key in required:
        if not isinstance(content[key], dict):
            raise CheckpointError(
                f"{file}: expected {key} to be an object, found {content[key]!r}."
            )
    return content


def check_depth(config: t5_config.T5Config, arrays: Sized, where: str) -> None:
    """Raises CheckpointError where a configuration has more layers than there are arrays.

    Names and shapes are made for every layer before they are compared: one wrong digit must not
    fill the memory.
    """
    layers = config.num_encoder_layers + config.num_decoder_layers
    if layers > len(arrays):
        raise CheckpointError(
            f"{where}: the configuration has {layers} layers, but there are {len(arrays)} arrays."
        )


def check_shapes(
    found: Mapping[str, Any], expected: Mapping[str, tuple[int, ...]], where: str
) -> None:
    """Raises a CheckpointError that lists missing, unexpected and misshapen arrays by name."""
    problems = [f"missing {name} {shape}" for name, shape in expected.items() if name not in found]
    for name, x in found.items():
        if name not in expected:
            problems.append(f"unexpected {name} {tuple(x.shape)}")
        elif tuple(x.shape) != expected[name]:
            problems.append(f"{name}: expected {expected[name]}, found {tuple(x.shape)}")
    if problems:
        shown = "\n  ".join(problems[:20])
        raise CheckpointError(
            f"{where} does not hold the parameters of its configuration "
            f"({len(problems)} differences):\n  {shown}"
        )


def floating(dtype: Any, where: str) -> np.dtype:
    """The dtype of an array in a checkpoint; raises CheckpointError if it is no floating-point one."""
    try:
        if jnp.issubdtype(found := np.dtype(dtype), jnp.floating):
            return found
    except TypeError:
        pass  # a name that NumPy does not know, such as that of an 8-bit float
    raise CheckpointError(f"{where}: expected floating-point numbers, found {dtype}.")


@dataclasses.dataclass(frozen=True, eq=False)
class StoredArray:
    """An array that stays on disk until a part of it is asked for.

    Attributes:
      shape: of the whole.
      dtype: that parts are cast to.
      read: gives the part at a tuple of slices, one an axis, in whatever type is stored.
    """

    shape: tuple[int, ...]
    dtype: np.dtype
    read: Callable[[Index], np.ndarray]

    @property
    def ndim(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> int:
        return int(np.prod(self.shape))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, index: slice | EllipsisType | Index | Int[np.ndarray, "N"]) -> np.ndarray:
        """A part by slices, or rows by their numbers."""
        if isinstance(index, np.ndarray):
            first = int(index.min())
            return self[first : int(index.max()) + 1][index - first]
        slices = () if index is ... else index if isinstance(index, tuple) else (index,)
        slices += (slice(None),) * (self.ndim - len(slices))
        within = tuple(slice(*x.indices(size)) for x, size in zip(slices, self.shape, strict=True))
        return np.asarray(self.read(within)).astype(self.dtype, copy=False)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        del copy  # it is read anew each time
        return self[...].astype(self.dtype if dtype is None else dtype, copy=False)

    def astype(self, dtype: Any) -> "StoredArray":
        return dataclasses.replace(self, dtype=np.dtype(dtype))

    @property
    def T(self) -> "StoredArray":
        """The transposed array."""
        return StoredArray(self.shape[::-1], self.dtype, lambda index: self.read(index[::-1]).T)


@dataclasses.dataclass(frozen=True)
class Checkpoint:
    """What a format's reader finds in a folder.

    Attributes:
      config: dimensions and switches.
      params: arrays by T5X's flat names.
      vocabulary: None where the format has none.
    """

    config: t5_config.T5Config
    params: Mapping[str, StoredArray]
    vocabulary: vocabularies.Vocabulary | None
