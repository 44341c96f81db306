"""Sampling: what may be drawn, how often, and what a draw depends on."""

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import sampling
from tests.t5 import reference
from tests.t5 import tiny

L, EOS = 6, 20
MODEL = tiny.build(tiny.CONFIG, encoder_prompt=3, decoder_prompt=2)
PARAMS = jax.tree.map(jnp.array, tiny.random_params(MODEL))
INPUTS = jnp.array(tiny.tokens(1, [6, 2, 4], width=6))


def keys(rows, seed=0):
    return sampling.row_keys(jax.random.key(seed), jnp.array(rows))


def sampler(**options):
    return jax.jit(
        lambda inputs, keys: sampling.sample(MODEL, PARAMS, inputs, L, keys, eos_id=EOS, **options)
    )


@pytest.fixture(scope="module")
def draw():
    return sampler(temperature=0.8, top_p=0.9)


def test_one_likely_token_is_greedy_decoding():
    expected = jax.jit(lambda inputs: decoding.greedy(MODEL, PARAMS, inputs, L, EOS))(INPUTS)
    found = sampler(top_k=1)(INPUTS, keys([0, 1, 2]))
    np.testing.assert_array_equal(found.tokens, expected.tokens)
    np.testing.assert_allclose(found.log_probs, expected.log_probs, atol=1e-4)


def test_a_row_is_the_same_in_every_batch(draw):
    found = draw(INPUTS, keys([4, 9, 2]))
    padded = jnp.stack([jnp.zeros_like(INPUTS[0]), INPUTS[2], INPUTS[0]])
    moved = draw(padded, keys([0, 2, 4]))
    alone = draw(INPUTS[1:2], keys([9]))

    np.testing.assert_array_equal(moved.tokens, [np.zeros(L), found.tokens[2], found.tokens[0]])
    assert moved.log_probs[0] == 0
    np.testing.assert_array_equal(alone.tokens, found.tokens[1:2])


def test_rows_seeds_and_steps_draw_for_themselves(draw):
    same = jnp.repeat(INPUTS[:1], 3, axis=0)
    rows, seeds = draw(same, keys([0, 1, 2])), draw(same, keys([0, 1, 2], seed=1))
    assert len(np.unique(np.concatenate([rows.tokens, seeds.tokens]), axis=0)) == 6
    again = draw(same, keys([0, 0, 0]))
    assert len(np.unique(again.tokens, axis=0)) == 1


def test_log_probs_are_the_models_own(draw):
    found = draw(INPUTS, keys([4, 9, 2]))
    expected = reference.forced_log_probs(MODEL, PARAMS, INPUTS, np.asarray(found.tokens), EOS)
    np.testing.assert_allclose(found.log_probs, expected, rtol=1e-4, atol=1e-4)


def test_two_tokens_are_as_frequent_as_the_product_of_their_probabilities(monkeypatch):
    rows, temperature = 20_000, 2.0
    steps = jnp.array([[2.0, 0.0, 1.0, -1.0], [0.0, 1.5, -2.0, 0.5]])
    logits = lambda step: jnp.tile(steps[step], (rows, 1))
    monkeypatch.setattr(
        decoding, "begin", lambda *_: (logits(0), 0, lambda step, _: (logits(step + 1), step + 1))
    )

    tokens, _ = jax.jit(
        lambda keys: sampling.sample(
            MODEL, {}, jnp.ones((rows, 1), int), 2, keys, temperature=temperature, eos_id=EOS
        )
    )(keys(np.arange(rows)))

    first, second = jax.nn.softmax(steps / temperature)
    expected = rows * np.outer(first, second).reshape(-1).astype(np.float64)
    found = np.bincount(tokens[:, 0] * 4 + tokens[:, 1], minlength=16)
    assert np.sum((found - expected) ** 2 / expected) < stats.chi2.ppf(0.999, df=15)


def test_top_k_and_top_p_keep_what_they_say():
    logits = jnp.log(jnp.array([[0.15, 0.5, 0.05, 0.3]]))

    def kept(top_k, top_p):
        return np.flatnonzero(np.isfinite(sampling.likely(logits, top_k, top_p))).tolist()

    assert kept(0, 1.0) == kept(9, 1.0) == [0, 1, 2, 3]
    assert kept(2, 1.0) == [1, 3]
    assert kept(0, 0.45) == [1]
    assert kept(0, 0.55) == kept(0, 0.75) == [1, 3]
    assert kept(0, 0.85) == [0, 1, 3]
    # 0.5 of the 0.8 that top-k leaves is more than 0.6, of all it would be less.
    assert kept(2, 0.6) == [1]
    assert kept(0, 0.6) == [1, 3]


@hypothesis.settings(max_examples=30)
@hypothesis.given(seed=st.integers(0, 999), top_p=st.floats(0.01, 0.99))
def test_top_p_keeps_the_fewest_that_reach_it(seed, top_p):
    logits = np.random.default_rng(seed).normal(0, 2, (2, 7)).astype(np.float32)
    shares = np.asarray(jax.nn.softmax(logits), np.float64)

    kept = np.isfinite(sampling.likely(jnp.array(logits), 0, top_p))

    for row, share in zip(kept, shares):
        assert np.sum(share[row]) >= top_p - 1e-5
        assert np.sum(share[row]) - np.min(share[row]) <= top_p + 1e-5
        assert np.min(share[row]) > np.max(share[~row], initial=0)


def test_tokens_as_likely_as_the_last_stay():
    kept = np.isfinite(sampling.likely(jnp.zeros((1, 4)), 2, 0.3))
    assert kept.all()


@pytest.mark.parametrize(
    "options, message",
    [
        ({"temperature": 0.0}, r"temperature must be above 0, found 0\.0.*greedy"),
        ({"temperature": float("nan")}, "temperature must be above 0, found nan"),
        ({"top_k": -1}, "top_k must be at least 1, or 0 for all tokens, found -1"),
        ({"top_p": 0.0}, r"top_p must be above 0 and at most 1.*found 0\.0"),
        ({"top_p": 1.1}, r"top_p must be above 0 and at most 1.*found 1\.1"),
    ],
)
def test_arguments_out_of_range_are_named(options, message):
    with pytest.raises(ValueError, match=message):
        sampling.sample(MODEL, PARAMS, INPUTS, L, keys([0, 1, 2]), **options)
