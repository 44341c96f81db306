"""Weights go from disk to their devices: no more of them is read than the devices hold."""

import jax
import numpy as np
import pytest

from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import weights
from prompt_tuning.t5 import network
from prompt_tuning.training import sharding


@pytest.mark.parametrize(
    "layout", [sharding.Layout(), sharding.Layout(2), sharding.Layout(2, shard_frozen=True)]
)
def test_every_part_is_read_once(model_folder, monkeypatch, layout):
    model = weights.open_model(model_folder)
    read = {name: 0 for name in model.params}

    def counted(name, array):
        def part(index):
            found = array.read(index)
            read[name] += found.size
            return found

        return stored.StoredArray(array.shape, array.dtype, part)

    params = {name: counted(name, x) for name, x in model.params.items()}
    mesh = layout.mesh()
    placed = layout.put_params(network.T5(model.config), params, mesh)
    assert read == {name: x.size for name, x in model.params.items()}
    whole = weights.load_model(model_folder).params
    shardings = layout.param_shardings(network.T5(model.config), mesh, params)
    for name, x in placed.items():
        assert x.sharding == shardings[name]
        np.testing.assert_array_equal(x, whole[name])


def test_weights_land_in_the_wanted_type(model_folder):
    model = weights.open_model(model_folder, dtype="bfloat16")
    placed = sharding.Layout().put_params(
        network.T5(model.config), model.params, sharding.Layout().mesh()
    )
    assert {x.dtype for x in jax.tree.leaves(placed)} == {np.dtype("bfloat16")}
