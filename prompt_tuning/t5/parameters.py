"""Parameters by name: flat dicts, `{"encoder/prompt/prompt/prompt": array}`, and the tree they make.

Everything outside the network handles parameters in the flat form, so that names are keys. Which of
them are trained is training/partition.py's part.
"""

from collections.abc import Mapping
import functools
from typing import Any

from flax import traverse_util
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


@functools.cache
def expected_shapes(config: t5_config.T5Config) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's parameters, without allocating them."""
    tokens = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    variables = jax.eval_shape(
        lambda key, x: network.T5(config).init(key, x, x, enable_dropout=False),
        jax.random.key(0),
        tokens,
    )
    return {name: x.shape for name, x in flatten(variables["params"]).items()}
