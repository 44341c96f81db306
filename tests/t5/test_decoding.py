"""Greedy decoding against a loop that has no cache and Hugging Face, and when it stops."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import decoding
from tests.t5 import reference
from tests.t5 import tiny


def grow_without_cache(model, params, inputs, length):
    """Argmax of teacher-forced logits, token by token; nothing ends a row."""
    forced, targets = tiny.applied(model), np.zeros((len(inputs), length), np.int32)
    for i in range(length):
        targets[:, i] = np.argmax(forced(params, inputs, tiny.shifted(targets))[:, i], axis=-1)
    return targets


def cut_after(tokens, eos_id):
    ended_before = np.cumsum(tokens == eos_id, axis=1) - (tokens == eos_id) > 0
    return np.where(ended_before, 0, tokens)


@hypothesis.settings(max_examples=2)
@hypothesis.example(0, (4, 2), 5, 0, 0, "front", False)
@hypothesis.example(1, (4, 2), 5, 3, 0, "end", True)
@hypothesis.example(2, (4, 2), 5, 0, 3, "front", True)
@hypothesis.example(3, (4, 2), 5, 3, 2, "after_first", False)
@hypothesis.given(
    seed=st.integers(0, 1000),
    lengths=st.lists(st.integers(1, 6), min_size=1, max_size=3),
    length=st.integers(1, 6),
    encoder=st.integers(0, 3),
    decoder=st.integers(0, 3),
    location=st.sampled_from(["front", "after_first"]),
    switches=st.booleans(),
)
def test_greedy_equals_a_loop_without_cache(
    seed, lengths, length, encoder, decoder, location, switches
):
    config = dataclasses.replace(
        tiny.CONFIG,
        num_encoder_layers=1,
        num_decoder_layers=2,
        relpos_per_layer=switches,
        tied_logits=switches,
    )
    model = tiny.build(config, encoder, decoder, location)
    params = tiny.random_params(model, seed)
    inputs = tiny.tokens(seed, lengths, width=6)
    expected = grow_without_cache(model, params, inputs, length)
    eos_id = int(expected[0, length // 2])  # so that a row does end

    found = jax.jit(lambda params, inputs: decoding.greedy(model, params, inputs, length, eos_id))(
        params, inputs
    )

    np.testing.assert_array_equal(found.tokens, cut_after(expected, eos_id))
    log_probs = reference.forced_log_probs(model, params, inputs, expected, eos_id)
    np.testing.assert_allclose(found.log_probs, log_probs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("case", ["plain", "prompted"])
def test_greedy_equals_hugging_face(case):
    model, params, inputs, expected = reference.hugging_face(case)
    length = expected["greedy"]["tokens"].shape[1]

    found = jax.jit(lambda params, inputs: decoding.greedy(model, params, inputs, length))(
        params, inputs
    )

    np.testing.assert_array_equal(found.tokens, expected["greedy"]["tokens"])
    np.testing.assert_allclose(found.log_probs, expected["greedy"]["log_probs"], atol=1e-4)


def scripted(monkeypatch, script):
    """Makes every model say `script` [B, L]; gives the list of steps it was asked for."""
    logits = jax.nn.one_hot(jnp.array(script), 10)
    steps = []

    def advance(step, tokens):
        steps.append(tokens.tolist())
        return logits[:, step + 1], step + 1

    monkeypatch.setattr(decoding, "begin", lambda *_: (logits[:, 0], 0, advance))
    return steps


def test_decoding_stops_when_all_rows_have_ended(monkeypatch):
    steps = scripted(monkeypatch, [[5, 1, 7, 7, 7], [6, 8, 1, 7, 7]])
    with jax.disable_jit():
        found = decoding.greedy(tiny.build(), {}, jnp.ones((2, 3), int), max_decode_length=5)
    assert found.tokens.tolist() == [[5, 1, 0, 0, 0], [6, 8, 1, 0, 0]]
    assert steps == [[5, 6], [1, 8]]


def test_rows_of_padding_keep_nobody_waiting(monkeypatch):
    steps = scripted(monkeypatch, [[5, 1, 7], [7, 7, 7]])
    with jax.disable_jit():
        found = decoding.greedy(tiny.build(), {}, jnp.array([[3, 1], [0, 0]]), max_decode_length=3)
    assert found.tokens.tolist() == [[5, 1, 0], [0, 0, 0]]
    assert found.log_probs[0] < found.log_probs[1] == 0
    assert steps == [[5, 0]]
