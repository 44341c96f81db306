"""Decoding through the cache gives teacher forcing's logits, position by position."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import attention
from prompt_tuning.t5 import decoding
from tests.t5 import tiny

L = 5
INPUTS, TARGETS = tiny.tokens(1, [6, 2], 6), tiny.tokens(2, [L, L], L)
SHIFTED = tiny.shifted(TARGETS)


@pytest.mark.parametrize(
    "prompts, location, switches",
    [
        ((3, 0), "end", {"relpos_per_layer": True}),
        ((0, 2), "front", {"tied_logits": True}),
        ((3, 2), "after_first", {}),
    ],
)
def test_cache_equals_teacher_forcing(prompts, location, switches):
    model = tiny.build(dataclasses.replace(tiny.CONFIG, **switches), *prompts, location)
    params = tiny.random_params(model)
    expected = tiny.applied(model)(params, INPUTS, SHIFTED, TARGETS)

    @jax.jit
    def decode(params, inputs, tokens):
        logits, cache, advance = decoding.begin(model, params, inputs, L)

        def step(cache, token):
            logits, cache = advance(cache, token)
            return cache, logits

        return jnp.stack([logits, *jax.lax.scan(step, cache, tokens.T[1:])[1]], axis=1)

    found = decode(params, INPUTS, SHIFTED)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_t5x_makes_the_cache_from_ones_and_then_decodes():
    """T5X's model makes the cache with `__call__` on dummy inputs."""
    model = tiny.build()
    params = tiny.random_params(model)
    expected = tiny.applied(model)(params, INPUTS, SHIFTED, TARGETS)

    @jax.jit
    def decode(params, inputs, tokens):
        variables = {"params": params}
        _, created = model.apply(
            variables,
            encoder_input_tokens=jnp.ones_like(inputs),
            decoder_input_tokens=jnp.ones_like(tokens),
            decoder_target_tokens=jnp.ones_like(tokens),
            mutable=["cache"],
            decode=True,
            enable_dropout=False,
        )
        encoded = model.apply(variables, inputs, enable_dropout=False, method=model.encode)

        def step(cache, token):
            logits, changed = model.apply(
                variables | {"cache": cache},
                encoded,
                inputs,
                token[:, None],
                token[:, None],
                enable_dropout=False,
                decode=True,
                max_decode_length=L,
                mutable=["cache"],
                method=model.decode,
            )
            return changed["cache"], logits[:, 0]

        return jnp.swapaxes(jax.lax.scan(step, created["cache"], tokens.T)[1], 0, 1)

    found = decode(params, INPUTS, SHIFTED)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


def test_several_tokens_at_a_time_are_the_same_as_one():
    model = tiny.build(decoder_prompt=2)
    params = tiny.random_params(model)
    expected = tiny.applied(model)(params, INPUTS, SHIFTED, TARGETS)

    @jax.jit
    def decode(params, inputs, tokens):
        encoded = model.apply({"params": params}, inputs, enable_dropout=False, method="encode")

        def feed(variables, tokens, first_step=False):
            logits, changed = model.apply(
                {"params": params, **variables},
                encoded,
                inputs,
                tokens,
                enable_dropout=False,
                decode=True,
                max_decode_length=L,
                first_step=first_step,
                mutable=["cache", attention.KERNELS],
                method="decode",
            )
            return logits, changed

        _, created = feed({}, tokens)
        head, first = feed(created, tokens[:, :3], first_step=True)
        tail, _ = feed(first, tokens[:, 3:])
        return jnp.concatenate([head, tail], axis=1)

    found = decode(params, INPUTS, SHIFTED)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
