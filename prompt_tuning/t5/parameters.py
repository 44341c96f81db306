"""Parameters by name: flat dicts, `{"encoder/prompt/prompt/prompt": array}`, and the tree they make.

Everything outside the network handles parameters in the flat form, so that names are keys. Which of
them are trained is partition.py's part.
"""

from collections.abc import Mapping
import dataclasses
import functools
from typing import Any, NamedTuple

from flax import traverse_util
from flax.linen import partitioning
import jax
import jax.numpy as jnp

from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network

Flat = dict[str, Any]


def flatten(tree: Mapping[str, Any]) -> Flat:
    return traverse_util.flatten_dict(tree, sep="/")


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dict that `model.apply` takes."""
    return traverse_util.unflatten_dict(dict(flat), sep="/")


class Declared(NamedTuple):
    """A parameter as its network declares it."""

    shape: tuple[int, ...]
    axes: tuple[str, ...]  # their logical names


def declared(model: network.T5) -> dict[str, Declared]:
    """By name, every parameter of a network, without allocating it."""
    layers = {
        "encoder": model.config.num_encoder_layers,
        "decoder": model.config.num_decoder_layers,
    }
    if not model.execution.scan_layers:  # every layer of a stack declares what its first does
        one_each = dataclasses.replace(model.config, num_encoder_layers=1, num_decoder_layers=1)
        model = model.clone(config=one_each)
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(
        lambda key, x: model.init(key, x, x, enable_dropout=False), jax.random.key(0), tokens
    )
    axes = flatten(partitioning.get_axis_names(variables["params_axes"]))
    found = {}
    for name, x in flatten(variables["params"]).items():
        stack, *rest = name.split("/layers_0/")
        names = [f"{stack}/layers_{i}/{rest[0]}" for i in range(layers[stack])] if rest else [name]
        found |= dict.fromkeys(names, Declared(x.shape, tuple(axes[name])))
    return found


@functools.cache
def expected_shapes(config: t5_config.T5Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's parameters, without allocating them."""
    return {name: x.shape for name, x in declared(network.T5(config)).items()}
