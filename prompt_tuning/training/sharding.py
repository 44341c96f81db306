"""The mesh, and one table of rules from logical axis names to its axes.

The model names the axes of its parameters (T5X's names); nothing else knows
which device holds what. One code path serves one CPU and a pod.
"""

from collections.abc import Iterable, Mapping, Sequence
import dataclasses
from typing import Any

import jax
from jax.experimental import mesh_utils
from jax.experimental import multihost_utils
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import numpy as np

from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import weights
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import weight_forms

DATA, MODEL = "data", "model"

# Logical axis -> mesh axis. Names that are absent are not split.
RULES = {"vocab": MODEL, "heads": MODEL, "joined_kv": MODEL, "mlp": MODEL}
# Axes that only the small arrays have that methods add: these lie whole on every device.
ADDED = {"prompt", "added"}
# The same of activations, whose "embed" is never divided.
ACTIVATION_RULES = RULES | {"batch": DATA}


@dataclasses.dataclass(frozen=True)
class Layout:
    """How arrays lie on the devices.

    Attributes:
      model_parallel: devices among which every frozen weight is divided; the
        rest of the devices divide the batch.
      shard_frozen: divide frozen weights over the data axis too, along "embed".
        Each is gathered where it is used: memory for traffic.
    """

    model_parallel: int = 1
    shard_frozen: bool = False

    def mesh(self, devices: list[jax.Device] | None = None) -> Mesh:
        devices = jax.devices() if devices is None else devices
        if self.model_parallel < 1 or len(devices) % self.model_parallel:
            raise ValueError(
                f"Layout.model_parallel is {self.model_parallel}, which does not divide "
                f"the {len(devices)} devices."
            )
        shape = len(devices) // self.model_parallel, self.model_parallel
        return Mesh(_grid(devices, *shape), (DATA, MODEL))

    def bind(self, base: weights.FrozenModel, mesh: Mesh) -> weights.FrozenModel:
        """The model, computed with activations where this layout has them.

        Left to itself the compiler may rather move activations between devices than weights.
        """
        if mesh.size == 1:
            return base
        execution = dataclasses.replace(base.execution, constrain=_Constrain(mesh))
        return dataclasses.replace(base, execution=execution)

    def param_shardings(
        self, model: network.T5, mesh: Mesh, names: Iterable[str]
    ) -> dict[str, NamedSharding]:
        """A sharding for each of these names. What is none of the network's, because parameters are
        made of it (`Method.materialize`), is everywhere.
        """
        declared = parameters.declared(model)
        rules = RULES | ({"embed": DATA} if self.shard_frozen else {})

        def spec(name):
            if name not in declared or ADDED & set(declared[name].axes):
                return PartitionSpec()
            return _spec(*declared[name], rules, mesh)

        return {name: NamedSharding(mesh, spec(name)) for name in names}

    def put_params(
        self, model: network.T5, params: Mapping[str, Any], mesh: Mesh
    ) -> dict[str, jax.Array]:
        """Every array of a flat parameter dict on its devices, one after the other.

        Layers come in the plain form, and go in the form of the model's execution.
        """
        params = weight_forms.in_form(params, model.execution)
        shardings = self.param_shardings(model, mesh, params)
        return {name: _put(x, shardings[name]) for name, x in params.items()}


@dataclasses.dataclass(frozen=True)
class _Constrain:
    """See `t5.execution.Execution`."""

    mesh: Mesh

    def __call__(self, x: jax.Array, axes: Sequence[str | None]) -> jax.Array:
        spec = _spec(x.shape, axes, ACTIVATION_RULES, self.mesh)
        return jax.lax.with_sharding_constraint(x, NamedSharding(self.mesh, spec))


def _grid(devices: list[jax.Device], data: int, model: int) -> np.ndarray:
    """Devices [data, model] such that those of a model axis are neighbours in one TPU slice."""
    slices = len({getattr(device, "slice_index", 0) for device in devices})
    if devices[0].platform != "tpu" or slices == 1:
        return mesh_utils.create_device_mesh((data, model), devices, allow_split_physical_axes=True)
    if data % slices:
        raise ValueError(
            f"Layout.model_parallel is {model}, which does not divide the "
            f"{len(devices) // slices} devices of each of the {slices} slices."
        )
    return mesh_utils.create_hybrid_device_mesh(
        (data // slices, model), (slices, 1), devices, allow_split_physical_axes=True
    )


def _put(x: Any, sharding: NamedSharding) -> jax.Array:
    """An array in memory or on disk; of one on disk a process reads its own devices' parts alone."""
    if not isinstance(x, stored.StoredArray):
        return jax.device_put(x, sharding)
    parts: dict[str, np.ndarray] = {}  # devices that hold the same part share one reading

    def part(index: stored.Index) -> np.ndarray:
        key = str(index)
        if key not in parts:
            parts[key] = x[index]
        return parts[key]

    return jax.make_array_from_callback(x.shape, sharding, part).block_until_ready()


def _spec(shape, names, rules: Mapping[str, str], mesh: Mesh) -> PartitionSpec:
    """Axes by rule; one that the devices do not divide evenly stays whole."""
    return PartitionSpec(
        *(
            rules[name] if name in rules and size % mesh.shape[rules[name]] == 0 else None
            for size, name in zip(shape, names)
        )
    )


def batch_rows(mesh: Mesh) -> NamedSharding:
    """Of arrays whose first axis is the batch: its rows are divided over the data axis."""
    return NamedSharding(mesh, PartitionSpec(DATA))


def check_batch_size(batch_size: int, parts: int, mesh: Mesh) -> None:
    """Raises ValueError unless each of a batch's `parts` divides over the data axis."""
    multiple = parts * mesh.shape[DATA]
    if batch_size < 1 or batch_size % multiple:
        accumulated = f"train.accumulate {parts}, " if parts > 1 else ""
        raise ValueError(
            f"BATCH_SIZE must be a multiple of {multiple} ({accumulated}"
            f"{mesh.shape[DATA]} devices that share a batch), found {batch_size}."
        )


def local_rows(mesh: Mesh | None, batch_size: int) -> Sequence[int]:
    """Rows of a batch that this process's devices hold, ascending; all where there is no mesh.

    Processes that share a model axis hold the same rows.
    """
    if mesh is None:
        return range(batch_size)
    parts = batch_rows(mesh).addressable_devices_indices_map((batch_size,)).values()
    return sorted({row for (part,) in parts for row in range(*part.indices(batch_size))})


def put_batch(batch: Mapping[str, np.ndarray], mesh: Mesh | None) -> dict[str, jax.Array]:
    """This process's `local_rows` of a batch, as arrays of all its rows over the data axis.

    Where there is no mesh they go to the default device.
    """
    if mesh is None:
        return jax.device_put(dict(batch))
    parts = local_rows(mesh, mesh.shape[DATA])  # of the data axis, those that are here

    def put(x: np.ndarray) -> jax.Array:
        rows = len(x) // len(parts)

        def part(index: stored.Index) -> np.ndarray:
            first = parts.index((index[0].start or 0) // rows) * rows
            return x[first : first + rows]

        shape = (rows * mesh.shape[DATA], *x.shape[1:])
        return jax.make_array_from_callback(shape, batch_rows(mesh), part)

    return {name: put(x) for name, x in batch.items()}


def whole(x: jax.Array) -> jax.Array | np.ndarray:
    """The array with all its parts at hand; all processes must ask for it."""
    if x.is_fully_addressable or x.is_fully_replicated:
        return x
    return multihost_utils.process_allgather(x, tiled=True)


def put_state(state: Any, mesh: Mesh) -> Any:
    """Places what is not placed yet (step, counters, accumulators) on every device.

    Arrays that were made from placed ones, as an optimizer's accumulators are,
    keep their sharding.
    """
    whole = NamedSharding(mesh, PartitionSpec())
    return jax.tree.map(
        lambda x: x if isinstance(x.sharding, NamedSharding) else jax.device_put(x, whole), state
    )
