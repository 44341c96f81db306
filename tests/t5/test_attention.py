"""Relative positions and attention against their definitions."""

from hypothesis import given, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import attention

B, Q, S, D, H, K = 2, 3, 5, 6, 2, 4


def bucket_by_definition(offset, bidirectional, num_buckets, max_distance):
    """One bucket, in whole numbers.

    Logarithmic bucket b of a half of n buckets, e of them exact, starts at
    distance e * (max_distance / e) ** ((b - e) / (n - e)).
    """
    sign = 0
    if bidirectional:
        num_buckets //= 2
        sign = num_buckets if offset > 0 else 0
    distance = abs(offset) if bidirectional else max(-offset, 0)
    exact = num_buckets // 2
    if distance < exact:
        return sign + distance
    logarithmic = num_buckets - exact
    reached = [
        step
        for step in range(logarithmic)
        if distance**logarithmic * exact**step >= max_distance**step * exact**logarithmic
    ]
    return sign + exact + max(reached)


@given(
    st.sampled_from([(32, 128), (8, 14), (4, 8), (16, 100)]),
    st.booleans(),
    st.lists(st.integers(-3000, 3000), min_size=6, max_size=6),
)
def test_buckets_equal_the_definition(sizes, bidirectional, offsets):
    num_buckets, max_distance = sizes
    found = attention.relative_position_bucket(
        jnp.array(offsets),
        bidirectional=bidirectional,
        num_buckets=num_buckets,
        max_distance=max_distance,
    )
    assert found.tolist() == [
        bucket_by_definition(offset, bidirectional, num_buckets, max_distance) for offset in offsets
    ]


@pytest.mark.parametrize("bidirectional", [True, False])
def test_every_bucket_of_t5_equals_the_definition(bidirectional):
    offsets = range(-600, 601)
    found = attention.relative_position_bucket(
        jnp.array(offsets), bidirectional=bidirectional, num_buckets=32, max_distance=128
    )
    assert found.tolist() == [bucket_by_definition(o, bidirectional, 32, 128) for o in offsets]
    assert set(found.tolist()) == set(range(32)) - ({16} if bidirectional else set())


def test_bias_is_the_bucket_column_of_the_table():
    bias = attention.RelativePositionBias(H, 8, 14, bidirectional=False)
    table = np.random.default_rng(0).normal(size=(H, 8)).astype(np.float32)
    queries, keys = jnp.array([[4, 5]]), jnp.array([[0, 3, 4, 9]])
    found = bias.apply({"params": {"rel_embedding": table}}, queries, keys)
    for q, k in np.ndindex(2, 4):
        column = bucket_by_definition(int(keys[0, k] - queries[0, q]), False, 8, 14)
        np.testing.assert_array_equal(found[0, :, q, k], table[:, column])


@pytest.fixture(scope="module")
def case():
    rng = np.random.default_rng(1)
    draw = lambda *shape: rng.normal(size=shape).astype(np.float32)
    params = {name: {"kernel": draw(D, H * K)} for name in ("query", "key", "value")}
    params["out"] = {"kernel": draw(H * K, D)}
    mask = np.ones((B, 1, Q, S), bool)
    mask[0, 0, 1, 2:] = False
    mask[1, 0, 2] = False  # sees nothing
    return params, draw(B, Q, D), draw(B, S, D), mask, draw(1, H, Q, S)


def test_attention_equals_numpy(case):
    params, queries, keys, mask, bias = case
    module = attention.MultiHeadAttention(H, K, dropout_rate=0.0)
    found, state = module.apply(
        {"params": params},
        *map(jnp.asarray, case[1:]),
        enable_dropout=False,
        mutable=["intermediates"],
    )
    expected, mean_weights = np.zeros((B, Q, D)), np.zeros((B, Q, S))
    for b, h in np.ndindex(B, H):
        columns = slice(h * K, (h + 1) * K)
        query, key, value = (
            x @ params[name]["kernel"][:, columns]
            for name, x in (("query", queries[b]), ("key", keys[b]), ("value", keys[b]))
        )
        logits = np.where(mask[b, 0], query @ key.T + bias[0, h], -1e10)
        weights = np.exp(logits - logits.max(axis=1, keepdims=True))
        weights /= weights.sum(axis=1, keepdims=True)
        mean_weights[b] += weights / H
        expected[b] += weights @ value @ params["out"]["kernel"][columns]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)

    (found,) = state["intermediates"]["mean_weights"]
    np.testing.assert_allclose(found, mean_weights, rtol=1e-4, atol=1e-6)
    np.testing.assert_array_equal(found[0, 1, 2:], 0)


def test_logits_are_kept_in_float32_under_bfloat16(case):
    """Large equal offsets cancel in softmax only if they were not rounded away."""
    params, queries, keys, mask, bias = map(lambda x: jax.tree.map(jnp.asarray, x), case)
    module = attention.MultiHeadAttention(H, K, 0.0, jnp.bfloat16)
    apply = lambda bias: module.apply(
        {"params": params}, queries, keys, mask, bias, enable_dropout=False
    ).astype(jnp.float32)
    np.testing.assert_allclose(apply(bias + 512.0), apply(bias), atol=0.05)
