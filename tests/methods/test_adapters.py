"""Adapters: what they compute, where they stand, and what every method must hold."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.methods import adapters
from prompt_tuning.t5 import attention
from prompt_tuning.t5 import execution
from prompt_tuning.t5 import layers
from tests import models
from tests.methods import adding

SMALL = adapters.Adapters(width=3)
METHODS = {"with norms": SMALL, "alone": adapters.Adapters(width=3, train_layer_norms=False)}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture(scope="module")
def base():
    return models.tiny_model(num_heads=2, head_dim=5)  # H * K is not D


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def by_hand(h, arrays):
    """h + gelu(h W + a) U + b."""
    x = h @ arrays["down"] + arrays["down_bias"]
    gelu = 0.5 * x * (1 + jnp.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3)))
    return h + gelu @ arrays["up"] + arrays["up_bias"]


@each_method
def test_they_stand_behind_every_sublayer(base, batch, method):
    """The plain network, whose sub-layers' outputs are changed by hand."""
    learned, frozen = adding.trained(base, method, scale=0.3)
    added = {name for name in learned if "/added/" in name}
    changed = []

    def change(run, args, kwargs, context):
        y = run(*args, **kwargs)
        module = context.module
        if context.method_name != "__call__" or not isinstance(
            module, (attention.MultiHeadAttention, layers.MLP)
        ):
            return y
        where = "/".join(module.path) + "/added/"
        names = {name for name in added if name.startswith(where)}
        changed.extend(names)
        return by_hand(y, {name.removeprefix(where): learned[name] for name in names})

    norms = {name: x for name, x in learned.items() if name not in added}
    model = dataclasses.replace(base, params=frozen | norms)
    with nn.intercept_methods(change):
        expected = adding.plain_logits(model, batch)
    assert set(changed) == added and len(changed) == 4 * (2 * 2 + 2 * 3)
    found = adding.logits(base, method, learned, frozen, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_they_start_nearly_as_the_frozen_model(base, batch):
    learned, frozen = adding.trained(base, SMALL)
    found = adding.logits(base, SMALL, learned, frozen, batch)
    plain = adding.plain_logits(base, batch)
    difference = np.abs(found - plain).max()
    assert 0 < difference < 0.01 * np.abs(plain).max()
    for name, x in learned.items():
        if name.endswith("_norm/scale"):
            np.testing.assert_array_equal(x, base.params[name])
        elif name.endswith("bias"):
            assert not np.any(x)
        else:
            assert 0 < np.abs(x).max() < 0.025  # two standard deviations, of 0.01 once cut


def test_layer_norms_are_trained_or_not(base):
    norms = {name for name in base.params if name.endswith("_norm/scale")}
    assert len(norms) == 2 * 2 + 2 * 3 + 2
    trained = {name: set(adding.trained(base, method)[0]) for name, method in METHODS.items()}
    assert trained["with norms"] - trained["alone"] == norms
    assert not trained["alone"] & set(base.params)


@pytest.mark.parametrize(("size", "norms"), [("small", True), ("small", False), ("xl", True)])
def test_count(size, norms):
    """2 m D + D + m for each adapter, two of an encoder's and three of a decoder's layer."""
    base = models.paper_model(size)
    width, config = base.config.d_model, base.config
    sublayers = 2 * config.num_encoder_layers + 3 * config.num_decoder_layers
    expected = sublayers * (2 * 64 * width + width + 64) + norms * (sublayers + 2) * width
    adding.check_count(base, adapters.Adapters(train_layer_norms=norms), expected)


@each_method
def test_steps_train_them(base, batch, method):
    adding.check_step(base, method, batch)


@each_method
def test_files(base, batch, method, tmp_path):
    adding.check_files(base, method, batch, tmp_path)


def test_a_file_without_layer_norms_is_refused(base, tmp_path):
    alone = METHODS["alone"]
    alone.write(base, adding.trained(base, alone)[0], tmp_path, {})
    with pytest.raises(ValueError, match="does not fit Adapters: .*_norm/scale.*found nothing"):
        SMALL.read(base, tmp_path)


def test_decoding_padding_and_packing(base, batch):
    adding.check_decoding(base, SMALL, batch)
    adding.check_padding(base, SMALL, batch)
    adding.check_packed(base, SMALL)


def test_activations_stay_in_their_type(batch):
    base, exact = (models.tiny_model(dtype=dtype) for dtype in ("bfloat16", "float32"))
    learned, frozen = adding.trained(base, SMALL, scale=0.1)
    found = adding.logits(base, SMALL, learned, frozen, batch)
    expected = adding.logits(exact, SMALL, learned, frozen, batch)
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())


def test_int8_weights_need_norms_that_stay(base):
    held = dataclasses.replace(base, execution=execution.Execution(int8_weights=True))
    with pytest.raises(ValueError, match="Adapters trains .*_norm/scale.*Execution.int8_weights"):
        SMALL.check_trained(held)
    METHODS["alone"].check_trained(held)


def test_bad_settings():
    with pytest.raises(ValueError, match="Adapters.width must be at least 1, found 0"):
        adapters.Adapters(width=0)


def test_other_seeds_give_other_first_values(base):
    first, second = (SMALL.initial(base, jax.random.key(seed)) for seed in (0, 1))
    down = "decoder/layers_1/encoder_decoder_attention/added/down"
    assert not np.array_equal(first[down], second[down])
    assert not np.array_equal(first[down], first[down.replace("layers_1", "layers_0")])
