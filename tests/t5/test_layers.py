"""The parts of a layer against numpy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import layers

X = np.random.default_rng(0).normal(2, 3, (2, 4, 6)).astype(np.float32)


def draw(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def test_norm_scales_by_the_root_mean_square_only():
    scale = draw(1, 6)
    found = layers.RMSNorm().apply({"params": {"scale": scale}}, jnp.asarray(X))
    expected = X / np.sqrt(np.mean(X**2, axis=-1, keepdims=True) + 1e-6) * scale
    np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_norm_takes_its_statistics_in_float32():
    x = jnp.full((1, 6), 3e30, jnp.bfloat16) * 1e-14
    found = layers.RMSNorm(jnp.bfloat16).apply({"params": {"scale": jnp.ones(6)}}, x)
    assert found.dtype == jnp.bfloat16
    np.testing.assert_allclose(np.float32(found), 1, rtol=1e-2)


@pytest.mark.parametrize("gated, activation", [(True, "gelu"), (False, "relu")])
def test_mlp_equals_numpy(gated, activation):
    names = ("wi_0", "wi_1") if gated else ("wi",)
    params = {name: {"kernel": draw(i, 6, 5)} for i, name in enumerate(names)}
    params["wo"] = {"kernel": draw(9, 5, 6)}
    found = layers.MLP(5, gated, activation, dropout_rate=0.0).apply(
        {"params": params}, jnp.asarray(X), False
    )
    x = X.astype(np.float64)
    inner = [x @ params[name]["kernel"] for name in names]
    h = inner[0]
    if activation == "gelu":
        h = 0.5 * h * (1 + np.tanh(np.sqrt(2 / np.pi) * (h + 0.044715 * h**3)))
    else:
        h = np.maximum(h, 0)
    expected = (h * inner[1] if gated else h) @ params["wo"]["kernel"]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_tied_logits_are_the_scaled_transposed_table():
    table, x = draw(2, 7, 6), draw(3, 2, 4, 6)
    found = layers.Embedding(7, 6).apply(
        {"params": {"embedding": table}}, jnp.asarray(x), method="attend"
    )
    np.testing.assert_allclose(found, x @ table.T / np.sqrt(6), rtol=1e-4, atol=1e-5)


def test_dropout_masks_whole_columns_along_the_length():
    dropped = layers.Dropout(0.5).apply(
        {}, jnp.ones((8, 5, 16)), True, rngs={"dropout": jax.random.key(0)}
    )
    assert set(np.unique(dropped)) == {0.0, 2.0}
    np.testing.assert_array_equal(dropped, np.broadcast_to(dropped[:, :1], dropped.shape))
    kept = layers.Dropout(0.5).apply({}, jnp.ones((1, 5, 16)), False)
    np.testing.assert_array_equal(kept, 1)
