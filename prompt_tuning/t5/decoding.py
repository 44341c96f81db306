"""Decoding with a key-value cache and static shapes, to be called inside jit.

`begin` does what every way of decoding starts with: it encodes once and feeds
the start token. `token_by_token` is what greedy decoding, here, and sampling.py
share; beam_search.py keeps several continuations of each row. How batches
become text lives in evaluation/predict.py.
"""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from prompt_tuning.t5 import attention
from prompt_tuning.t5 import network

EOS_ID = 1
START_ID = 0

Params = Mapping[str, Any]
Cache = Mapping[str, Any]
Logits = Float[Array, "B V"]
Advance = Callable[[Cache, Int[Array, "B"]], tuple[Logits, Cache]]
Choose = Callable[[Logits, Int[Array, ""] | int], Int[Array, "B"]]


class Decoded(NamedTuple):
    """A batch of predictions, whichever way they were found.

    A row of nothing but padding, which fills up a last batch, is no example: its
    prediction is empty and its log-probability 0.
    """

    tokens: Int[Array, "B L"]  # up to and with the end of sequence, then padding
    log_probs: Float[Array, "B"]  # that the model gives to these tokens, summed


def log_probs_of(tokens: Int[Array, "*B"], logits: Float[Array, "*B V"]) -> Float[Array, "*B"]:
    """Log-probability of each token under the softmax of its logits."""
    chosen = jnp.take_along_axis(logits, tokens[..., None], axis=-1)[..., 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def no_example(encoder_input_tokens: Int[Array, "B T"]) -> Bool[Array, "B"]:
    """Rows of nothing but padding."""
    return jnp.all(encoder_input_tokens == network.PAD_ID, axis=1)


def begin(
    model: network.T5,
    params: Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
) -> tuple[Logits, Cache, Advance]:
    """Logits of each row's first token, the cache behind them, and `advance`.

    `advance(cache, tokens)` appends one token to every row and gives the logits
    of the next. The cache has room for `max_decode_length` tokens, the start
    token among them, besides the rows of a decoder prompt. Its rows, and those of
    `tokens`, may be repeated, each row's copies side by side.
    """
    encoded = model.apply(
        {"params": params}, encoder_input_tokens, enable_dropout=False, method="encode"
    )

    def feed(variables, tokens, first_step=False):
        copies = len(tokens) // len(encoded)
        logits, changed = model.apply(
            {"params": params, **variables},
            jnp.repeat(encoded, copies, axis=0),
            jnp.repeat(encoder_input_tokens, copies, axis=0),
            tokens,
            enable_dropout=False,
            decode=True,
            max_decode_length=max_decode_length,
            first_step=first_step,
            mutable=["cache", attention.KERNELS] if first_step else ["cache"],
            method="decode",
        )
        return logits[:, -1], changed

    start = jnp.full((len(encoder_input_tokens), max_decode_length), START_ID)
    _, created = feed({}, start)  # only creates the cache, at its full length
    logits, first = feed(created, start[:, :1], first_step=True)

    def advance(cache, tokens):
        logits, changed = feed({**first, "cache": cache}, tokens[:, None])
        return logits, changed["cache"]

    return logits, first["cache"], advance


def token_by_token(
    model: network.T5,
    params: Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    choose: Choose,
    eos_id: int,
) -> Decoded:
    """Each token by `choose(logits, step)`, until every row has ended with `eos_id`."""
    logits, cache, advance = begin(model, params, encoder_input_tokens, max_decode_length)

    def append(step, decoded, ended, logits):
        token = jnp.where(ended, network.PAD_ID, choose(logits, step))
        log_probs = jnp.where(ended, 0, log_probs_of(token, logits))
        decoded = Decoded(decoded.tokens.at[:, step].set(token), decoded.log_probs + log_probs)
        return decoded, ended | (token == eos_id)

    def unfinished(state):
        step, _, ended, _ = state
        return (step < max_decode_length) & ~jnp.all(ended)

    def extend(state):
        step, decoded, ended, cache = state
        logits, cache = advance(cache, decoded.tokens[:, step - 1])
        return step + 1, *append(step, decoded, ended, logits), cache

    batch = len(encoder_input_tokens)
    empty = Decoded(jnp.zeros((batch, max_decode_length), jnp.int32), jnp.zeros(batch))
    first = append(0, empty, no_example(encoder_input_tokens), logits)
    return jax.lax.while_loop(unfinished, extend, (1, *first, cache))[1]


def greedy(
    model: network.T5,
    params: Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    eos_id: int = EOS_ID,
) -> Decoded:
    """The most likely token at each step, up to and with `eos_id`."""
    return token_by_token(
        model,
        params,
        encoder_input_tokens,
        max_decode_length,
        lambda logits, step: jnp.argmax(logits, axis=-1),
        eos_id,
    )
