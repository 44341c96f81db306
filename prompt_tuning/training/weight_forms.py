"""Frozen weights in the form in which a network computes with them (t5/execution.py).

Layers stacked for a scan, kernels as int8: made while an array is read, so that a host holds no
second copy. Files, fingerprints and methods know the plain form alone.
"""

from collections.abc import Mapping
import functools
import re
from typing import Any

import jax.numpy as jnp
import numpy as np

from prompt_tuning.checkpoints.stored import Index, StoredArray
from prompt_tuning.t5 import execution as executions

_LAYER = re.compile(r"(encoder|decoder)/layers_(\d+)/(.*)")
_INT8_MAX = 127


def in_form(params: Mapping[str, Any], execution: executions.Execution) -> dict[str, Any]:
    """Plain parameters, by name, as the network of this execution names and holds them."""
    params = dict(params)
    if execution.int8_weights:
        params = _with_int8_kernels(params)
    return _stacked(params) if execution.scan_layers else params


def _stacked(params: Mapping[str, Any]) -> dict[str, Any]:
    """The arrays of "encoder/layers_N/NAME" as one, "encoder/layers/NAME", N in front."""
    others, stacks = {}, {}
    for name, x in params.items():
        if match := _LAYER.fullmatch(name):
            stack, number, rest = match.groups()
            stacks.setdefault(f"{stack}/layers/{rest}", {})[int(number)] = x
        else:
            others[name] = x
    return others | {name: _stack(by_number) for name, by_number in stacks.items()}


def _stack(by_number: Mapping[int, Any]) -> StoredArray:
    arrays = [by_number[number] for number in sorted(by_number)]

    def read(index: Index) -> np.ndarray:
        return np.stack([np.asarray(x[index[1:]]) for x in arrays[index[0]]])

    return StoredArray((len(arrays), *arrays[0].shape), np.dtype(arrays[0].dtype), read)


def _with_int8_kernels(params: Mapping[str, Any]) -> dict[str, Any]:
    """Each layer's kernel [I, O] as int8, and its "kernel_scale" [O] beside it."""
    formed = {}
    for name, x in params.items():
        if _LAYER.fullmatch(name) and name.endswith("/kernel"):
            formed[name], formed[f"{name}_scale"] = _int8(x)
        else:
            formed[name] = x
    return formed


def _int8(kernel: Any) -> tuple[StoredArray, StoredArray]:
    """Symmetric, by output channel: kernel is about int8 * scale."""

    @functools.cache
    def scales() -> np.ndarray:
        largest = np.max(np.abs(np.asarray(kernel[:, :], np.float32)), axis=0)
        # As bfloat16 holds them, so that a scale is the same number wherever it is used.
        scale = (largest / _INT8_MAX).astype(jnp.bfloat16)
        return np.where(scale > 0, scale, jnp.bfloat16(1))

    def read(index: Index) -> np.ndarray:
        steps = np.asarray(kernel[index], np.float32) / scales()[index[1]].astype(np.float32)
        return np.clip(np.rint(steps), -_INT8_MAX, _INT8_MAX).astype(np.int8)

    scale = StoredArray(kernel.shape[1:], np.dtype(jnp.bfloat16), lambda index: scales()[index])
    return StoredArray(kernel.shape, np.dtype(np.int8), read), scale
