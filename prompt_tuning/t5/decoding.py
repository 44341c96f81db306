"""Decoding with a key-value cache and static shapes, to be called inside jit.

`begin` does what every way of decoding starts with: it encodes once and feeds
the start token. How batches become text lives in evaluation/predict.py.
"""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from prompt_tuning.t5 import network

EOS_ID = 1
START_ID = 0

Params = Mapping[str, Any]
Cache = Mapping[str, Any]
Logits = Float[Array, "B V"]
Advance = Callable[[Cache, Int[Array, "B"]], tuple[Logits, Cache]]


def begin(
    model: network.T5,
    params: Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
) -> tuple[Logits, Cache, Advance]:
    """Logits of each row's first token, the cache behind them, and `advance`.

    `advance(cache, tokens)` appends one token to every row and gives the logits
    of the next. The cache has room for `max_decode_length` tokens, the start
    token among them, besides the rows of a decoder prompt.
    """
    encoded = model.apply(
        {"params": params}, encoder_input_tokens, enable_dropout=False, method="encode"
    )

    def feed(cache, tokens, first_step=False):
        logits, changed = model.apply(
            {"params": params, "cache": cache},
            encoded,
            encoder_input_tokens,
            tokens,
            enable_dropout=False,
            decode=True,
            max_decode_length=max_decode_length,
            first_step=first_step,
            mutable=["cache"],
            method="decode",
        )
        return logits[:, -1], changed["cache"]

    start = jnp.full((len(encoder_input_tokens), max_decode_length), START_ID)
    _, cache = feed({}, start)  # only creates the cache, at its full length
    logits, cache = feed(cache, start[:, :1], first_step=True)
    return logits, cache, lambda cache, tokens: feed(cache, tokens[:, None])


def greedy(
    model: network.T5,
    params: Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    eos_id: int = EOS_ID,
) -> Int[Array, "B L"]:
    """The most likely token at each step, up to and with `eos_id`, then padding.

    Stops when every row has ended. Rows of nothing but padding, which fill up a
    last batch, are no examples: they come back empty and keep nobody waiting.
    """
    logits, cache, advance = begin(model, params, encoder_input_tokens, max_decode_length)

    def choose(step, tokens, ended, logits):
        token = jnp.where(ended, network.PAD_ID, jnp.argmax(logits, axis=-1))
        return tokens.at[:, step].set(token), ended | (token == eos_id)

    def unfinished(state):
        step, _, ended, _ = state
        return (step < max_decode_length) & ~jnp.all(ended)

    def extend(state):
        step, tokens, ended, cache = state
        logits, cache = advance(cache, tokens[:, step - 1])
        return step + 1, *choose(step, tokens, ended, logits), cache

    empty = jnp.zeros((len(encoder_input_tokens), max_decode_length), jnp.int32)
    no_example = jnp.all(encoder_input_tokens == network.PAD_ID, axis=1)
    first = choose(0, empty, no_example, logits)
    return jax.lax.while_loop(unfinished, extend, (1, *first, cache))[1]
