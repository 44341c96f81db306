"""The names and shapes that T5X's scalable T5 (umT5's) gives its parameters, made those of its plain T5.

Its layers are one: `encoder/encoder/attention/query/kernel [D, layers, H, K]` stands for every
`encoder/layers_{i}/attention/query/kernel [D, H * K]`. Nothing is read here. A part of a layer is
read from the whole stack's file, so where chunks span layers a checkpoint is read once for each.
"""

from collections.abc import Mapping

import numpy as np

from prompt_tuning.checkpoints.stored import Index, StoredArray

LAYERS_AXIS = 1  # T5X's param_scan_axis


def unstack(params: Mapping[str, StoredArray]) -> dict[str, StoredArray]:
    """Every layer's parameters under their own names, attention kernels as matrices."""
    plain = {}
    for name, x in params.items():
        stack, inner, *rest = [*name.split("/"), ""]
        if stack != inner:
            plain[name] = _join_heads(name, x)
            continue
        for layer in range(x.shape[LAYERS_AXIS]):
            of_layer = f"{stack}/layers_{layer}/{'/'.join(rest[:-1])}"
            plain[of_layer] = _join_heads(of_layer, _layer(x, layer))
    return plain


def _layer(x: StoredArray, layer: int) -> StoredArray:
    def read(index: Index) -> np.ndarray:
        part = x.read((*index[:LAYERS_AXIS], slice(layer, layer + 1), *index[LAYERS_AXIS:]))
        return part.squeeze(LAYERS_AXIS)

    return StoredArray(x.shape[:LAYERS_AXIS] + x.shape[LAYERS_AXIS + 1 :], x.dtype, read)


def _join_heads(name: str, x: StoredArray) -> StoredArray:
    """[D, H, K] as [D, H * K], and the output's [H, K, D] as [H * K, D]."""
    if x.ndim != 3:
        return x
    axis = 0 if name.endswith("/out/kernel") else 1

    def read(index: Index) -> np.ndarray:
        part = x.read((*index[:axis], slice(None), slice(None), *index[axis + 1 :]))
        joined = part.reshape(*part.shape[:axis], -1, *part.shape[axis + 2 :])
        return joined[(slice(None),) * axis + (index[axis],)]

    heads, width = x.shape[axis : axis + 2]
    return StoredArray((*x.shape[:axis], heads * width, *x.shape[axis + 2 :]), x.dtype, read)
