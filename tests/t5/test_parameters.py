"""Of one layer a stack, what all layers declare."""

from flax.linen import partitioning
import jax
import jax.numpy as jnp
import pytest

from prompt_tuning.methods import adapters
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import execution
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from tests import models

LAYERS = dict(num_encoder_layers=3, num_decoder_layers=12)
T5_1_0 = {"gated": False, "activation": "relu", "tied_logits": True}


def traced(model):
    """Names, shapes and axes as the whole network's initialisation gives them."""
    tokens = jnp.ones((1, 1), jnp.int32)
    found = jax.eval_shape(
        lambda key: model.init(key, tokens, tokens, enable_dropout=False), jax.random.key(0)
    )
    axes = parameters.flatten(partitioning.get_axis_names(found["params_axes"]))
    shapes = parameters.flatten(found["params"])
    return {name: (x.shape, tuple(axes[name])) for name, x in shapes.items()}


@pytest.mark.parametrize("fields", [{}, {"relpos_per_layer": True}, T5_1_0])
@pytest.mark.parametrize("chosen", [{}, {"scan_layers": True}, {"int8_weights": True}])
def test_every_layer_is_declared_as_the_network_has_it(fields, chosen):
    config = models.tiny_config(**LAYERS, **fields)
    model = network.T5(config, execution=execution.Execution(**chosen))
    assert parameters.declared(model) == traced(model)


@pytest.mark.parametrize("method", [soft_prompt.SoftPrompt(4), adapters.Adapters(width=3)])
def test_what_a_method_adds_is_declared_too(method):
    base = models.tiny_model(**LAYERS)
    model = method.network(base)
    assert parameters.declared(model) == traced(model)
    assert set(parameters.declared(model)) > set(parameters.expected_shapes(base.config))
