"""Which rows of a batch a process makes, and where they come to lie, in whatever order devices are."""

from unittest import mock

import jax
import numpy as np
import pytest

from prompt_tuning.training import sharding
from tests import processes

# Order of eight devices, of which the first process has four; its rows of four and the other's.
MESHES = [
    ([[0, 1], [2, 3], [4, 5], [6, 7]], [0, 1], [2, 3]),
    ([[0, 1, 2, 3, 4, 5, 6, 7]], [0, 1, 2, 3], [0, 1, 2, 3]),
    ([[0, 1], [4, 5], [2, 3], [6, 7]], [0, 2], [1, 3]),  # as a TPU's torus may have it
    ([[0, 4], [1, 2], [3, 5], [6, 7]], [0, 1, 2], [0, 2, 3]),
]


def put_rows():
    whole = np.arange(4 * 3).reshape(4, 3)
    for order, *rows in MESHES:
        mesh = jax.sharding.Mesh(np.array(jax.devices())[order], ("data", "model"))
        local = sharding.local_rows(mesh, 4)
        assert local == rows[jax.process_index()]
        placed = sharding.put_batch({"x": whole[local]}, mesh)["x"]
        assert placed.shape == whole.shape
        for shard in placed.addressable_shards:
            np.testing.assert_array_equal(shard.data, whole[shard.index])


def test_rows_come_to_the_devices_that_hold_them():
    processes.run(2, put_rows)


def slices(count):
    """Devices of as many TPU slices of four chips in a row."""
    return [
        mock.Mock(
            spec=jax.Device,
            platform="tpu",
            device_kind="TPU v4",
            slice_index=index,
            coords=(x, 0, 0),
            core_on_chip=0,
        )
        for x in range(4)
        for index in range(count)
    ]


@pytest.mark.parametrize("model_parallel", [1, 2, 4])
def test_a_model_axis_stays_in_one_slice(model_parallel):
    grid = sharding._grid(slices(2), 8 // model_parallel, model_parallel)
    assert grid.shape == (8 // model_parallel, model_parallel)
    assert all(len({device.slice_index for device in row}) == 1 for row in grid)


def test_a_model_axis_longer_than_a_slice_is_refused():
    with pytest.raises(ValueError, match="model_parallel is 8.* the 4 devices of each of the 2"):
        sharding.Layout(model_parallel=8).mesh(slices(2))
