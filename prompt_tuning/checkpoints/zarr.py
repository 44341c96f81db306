"""zarr arrays, in folders, in Google Cloud Storage and in OCDBT databases there, by TensorStore.

What the arrays are called and mean is the business of the formats that use this (t5x.py).
"""

from collections.abc import Mapping
import functools
import os
import pathlib
from typing import Any

import jax
import numpy as np
import tensorstore as ts

from prompt_tuning.checkpoints.stored import Index, StoredArray, floating, reporting

CHUNK_BYTES = 64 * 2**20  # as T5X writes them
METADATA = {"zarr": ".zarray", "zarr3": "zarr.json"}  # an array's file of them, by driver
RETRIES = 6  # about a minute, where TensorStore's own 32 are a quarter of an hour
Spec = Mapping[str, Any]


def location(path: str, name: str = "") -> Spec:
    """TensorStore's specification of a key-value store: the folder `name` of a folder or gs://…"""
    if path.startswith("gs://"):
        bucket, _, folder = path.removeprefix("gs://").partition("/")
        folders = [part for part in (folder.strip("/"), name) if part]
        return {"driver": "gcs", "bucket": bucket, "path": "".join(f"{x}/" for x in folders)}
    return {"driver": "file", "path": os.path.join(os.path.abspath(path), name, "")}


def open_store(spec: Spec) -> ts.KvStore:
    return ts.KvStore.open(dict(spec), context=_context()).result()


def keys(store: ts.KvStore, first: str, end: str) -> list[str]:
    """The keys of a store from `first` up to, and without, `end`."""
    return [key.decode() for key in store.list(ts.KvStore.KeyRange(first, end)).result()]


def open_arrays(
    where: str, specs: Mapping[str, Spec], driver: str = "zarr"
) -> dict[str, StoredArray]:
    """The arrays that lie in these key-value stores, by name; only their metadata are read.

    Args:
      where: the checkpoint, for messages.
      specs: of the key-value stores, by the arrays' names.
      driver: TensorStore's for their version of zarr, a key of METADATA.

    Raises:
      CheckpointError: one of them is not there, or is no floating-point array; values that are
        absent or damaged raise it when they are read.
    """
    with reporting(f"{where} cannot be read"):
        opening = {name: _open(spec, driver) for name, spec in specs.items()}
    return {name: _stored(array, f"{where}: {name}") for name, array in opening.items()}


def _open(spec: Spec, driver: str) -> ts.Future:
    # A chunk that is absent is an error: TensorStore would take it for zeros.
    array = {"driver": driver, "kvstore": dict(spec), "fill_missing_data_reads": False}
    return ts.open(array, open=True, read=True, context=_context())


def _stored(opening: ts.Future, where: str) -> StoredArray:
    with reporting(f"{where} cannot be read"):
        array = opening.result()
        dtype = floating(array.dtype.numpy_dtype, where)

    def read(index: Index) -> np.ndarray:
        with reporting(f"{where} cannot be read"):
            return array[index].read().result()

    return StoredArray(array.shape, dtype, read)


def write_array(folder: pathlib.Path, x: Any) -> Spec:
    """Writes an array to a new folder; returns what TensorStore needs to open it, but for where."""
    x = np.asarray(jax.device_get(x))
    rows = min(len(x), max(1, CHUNK_BYTES // x[0].nbytes))
    spec = {
        "driver": "zarr",
        "dtype": ts.dtype(x.dtype).name,
        "metadata": {
            "chunks": [rows, *x.shape[1:]],
            "compressor": {"id": "gzip", "level": 1},
            "shape": list(x.shape),
        },
    }
    array = ts.open(spec | {"kvstore": location(str(folder))}, create=True).result()
    array.write(x).result()
    return spec


@functools.cache
def _context() -> ts.Context:
    """Shared, so that the parts of a chunk, and the arrays of a database, read it once."""
    return ts.Context(
        {
            "gcs_request_retries": {"max_retries": RETRIES},
            "cache_pool": {"total_bytes_limit": 2 * CHUNK_BYTES},
        }
    )
