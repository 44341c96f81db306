"""Rows of TensorFlow Datasets in plain Python, as benchmarks take them.

What becomes of the rows is data/benchmarks/'s part.
"""

from collections.abc import Iterator, Mapping

import numpy as np
import tensorflow as tf
import tensorflow_datasets as tfds

from prompt_tuning.data.benchmarks.benchmark import Row
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.paths import PathLike


def read(name: str, split: str, data_dir: PathLike | None = None) -> Iterator[Row]:
    """The rows of a split in TFDS's own order; text as str, arrays as lists.

    Args:
      name: with configuration and version, "super_glue/boolq:1.0.2".
      split: TFDS's name for it, or for a part of it: "train[10:20]".
      data_dir: where TFDS has its data, or will put what it fetches; None for its own default.

    Raises:
      DataError: TFDS cannot give the data.
    """
    for row in tfds.as_numpy(_load(name, split, data_dir)):
        yield _plain(row)


def size(name: str, split: str, data_dir: PathLike | None = None) -> int:
    """How many rows `read` gives, which takes no reading. Raises DataError as `read` does."""
    return len(_load(name, split, data_dir))


def _load(name: str, split: str, data_dir: PathLike | None) -> tf.data.Dataset:
    try:
        return tfds.load(
            name,
            split=split,
            data_dir=None if data_dir is None else str(data_dir),
            shuffle_files=False,
        )
    except Exception as error:  # of any kind: TFDS reads the network, archives and caches
        raise DataError(
            f"TensorFlow Datasets cannot give {name}, split {split!r}: {error}. Change TFDS_DATA_DIR "
            "to where it is, or set DATA_DIR to a folder with the benchmark's files"
        ) from error


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8")
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    if isinstance(value, np.ndarray | np.generic):
        return _plain(value.tolist())
    return [_plain(item) for item in value] if isinstance(value, list) else value
