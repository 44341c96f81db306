"""Beam search as Hugging Face transformers does it, with static shapes.

The rules are those of its `generate(num_beams=N, do_sample=False,
early_stopping=False)` (class GenerationMixin, version 5), so the same weights
give the same text. A hypothesis is scored by
log-probability / length ** length_penalty, where length counts its tokens, the
end of sequence included and the start token not. (T5X divides by Wu et al.'s
((5 + length) / 6) ** alpha instead.)

The shared start of decoding lives in decoding.py.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters


class NBest(NamedTuple):
    """The N best hypotheses found for each row, best first."""

    tokens: Int[Array, "B N L"]  # up to and with the end of sequence, then padding
    log_probs: Float[Array, "B N"]
    scores: Float[Array, "B N"]  # log_probs / length ** length_penalty


class _Beams(NamedTuple):
    """Hypotheses that have not ended; -inf marks a beam that is not followed."""

    tokens: Int[Array, "B N L"]
    log_probs: Float[Array, "B N"]


def beam_search(
    model: network.T5,
    params: decoding.Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    *,
    num_beams: int,
    length_penalty: float | Float[Array, ""] = 1.0,
    eos_id: int = decoding.EOS_ID,
) -> decoding.Decoded:
    """The best hypothesis of `n_best`."""
    found = n_best(
        model,
        params,
        encoder_input_tokens,
        max_decode_length,
        num_beams=num_beams,
        length_penalty=length_penalty,
        eos_id=eos_id,
    )
    return decoding.Decoded(found.tokens[:, 0], found.log_probs[:, 0])


def n_best(
    model: network.T5,
    params: decoding.Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    *,
    num_beams: int,
    length_penalty: float | Float[Array, ""] = 1.0,
    eos_id: int = decoding.EOS_ID,
) -> NBest:
    """The best hypotheses that beam search finds.

    Rows of nothing but padding get empty hypotheses, with a score of -inf.

    Args:
      model: the network with its method's modules in place.
      params: its parameters.
      encoder_input_tokens: padded inputs; each is encoded once.
      max_decode_length: L, the most tokens of a hypothesis, which ends there.
      num_beams: N, hypotheses that are followed and returned; 1 is greedy decoding.
      length_penalty: exponent of the length; the higher, the longer the text.
      eos_id: the token that ends a hypothesis.

    Raises:
      ValueError: there is no beam.
    """
    if num_beams < 1:
        raise ValueError(f"num_beams must be at least 1, found {num_beams}.")
    logits, cache, advance = decoding.begin(model, params, encoder_input_tokens, max_decode_length)

    def expand(step, beams, ended, logits):
        log_probs, source, token = _continuations(beams, logits)
        tokens = _take(beams.tokens, source).at[:, :, step].set(token)
        ends = (token == eos_id) | (step == max_decode_length - 1)
        penalty = (step + 1.0) ** length_penalty
        # The second half only makes sure that there are N continuations that do not end.
        counts = ends & (jnp.arange(2 * num_beams) < num_beams)
        scores = jnp.where(counts, log_probs / penalty, -jnp.inf)
        ended = _best(ended, NBest(tokens, log_probs, scores))
        log_probs, kept = jax.lax.top_k(jnp.where(ends, -jnp.inf, log_probs), num_beams)
        # Heuristic: a longer text is no better than this one would be if it ended here.
        hopeless = log_probs[:, :1] / penalty <= ended.scores[:, -1:]
        beams = _Beams(_take(tokens, kept), jnp.where(hopeless, -jnp.inf, log_probs))
        return beams, ended, _take(source, kept)

    def unfinished(state):
        _, beams, _, _ = state
        return jnp.any(beams.log_probs > -jnp.inf)

    def extend(state):
        step, beams, ended, cache = state
        logits, cache = advance(cache, beams.tokens[:, :, step - 1].reshape(-1))
        beams, ended, source = expand(step, beams, ended, logits)
        return step + 1, beams, ended, _reorder(cache, source)

    beams, ended = _empty(encoder_input_tokens, num_beams, max_decode_length)
    cache = _by_rows(lambda name, x: jnp.repeat(x, num_beams, axis=0), cache)
    beams, ended, _ = expand(0, beams, ended, jnp.repeat(logits, num_beams, axis=0))
    return jax.lax.while_loop(unfinished, extend, (1, beams, ended, cache))[2]


def _empty(inputs: Int[Array, "B T"], num_beams: int, length: int) -> tuple[_Beams, NBest]:
    """One beam to start from, none for a row of padding, and no hypothesis."""
    tokens = jnp.zeros((len(inputs), num_beams, length), jnp.int32)
    nothing = jnp.full(tokens.shape[:2], -jnp.inf)
    started = nothing.at[:, 0].set(jnp.where(decoding.no_example(inputs), -jnp.inf, 0))
    return _Beams(tokens, started), NBest(tokens, jnp.zeros_like(nothing), nothing)


def _continuations(
    beams: _Beams, logits: Float[Array, "BN V"]
) -> tuple[Float[Array, "B M"], Int[Array, "B M"], Int[Array, "B M"]]:
    """The M = 2 N most likely: log-probabilities, the beams they continue, and next tokens."""
    batch, num_beams = beams.log_probs.shape
    next_log_probs = jax.nn.log_softmax(logits).reshape(batch, num_beams, -1)
    log_probs = (beams.log_probs[..., None] + next_log_probs).reshape(batch, -1)
    log_probs, index = jax.lax.top_k(log_probs, 2 * num_beams)
    return log_probs, *jnp.divmod(index, logits.shape[-1])


def _best(ended: NBest, added: NBest) -> NBest:
    """The N best of both."""
    joined = jax.tree.map(lambda *x: jnp.concatenate(x, axis=1), ended, added)
    _, index = jax.lax.top_k(joined.scores, ended.scores.shape[1])
    return jax.tree.map(lambda x: _take(x, index), joined)


def _take(x: Shaped[Array, "B M *S"], index: Int[Array, "B N"]) -> Shaped[Array, "B N *S"]:
    """Each row's chosen entries."""
    return jax.vmap(lambda entries, chosen: entries[chosen])(x, index)


def _reorder(cache: decoding.Cache, source: Int[Array, "B N"]) -> decoding.Cache:
    """The cache of the beams that are followed, from that of the beams they continue."""

    def rows(name, x):
        if "encoder_decoder_attention" in name:  # all beams of a row attend to the same input
            return x
        return _take(x.reshape(*source.shape, *x.shape[1:]), source).reshape(x.shape)

    return _by_rows(rows, cache)


def _by_rows(
    change: Callable[[str, Shaped[Array, "M *S"]], Shaped[Array, "N *S"]], cache: decoding.Cache
) -> decoding.Cache:
    """What `change(name, x)` makes of the cache's arrays, whose rows it sees in front."""

    def changed(name, x):
        if x.ndim == 0:
            return x
        axis = 1 if "/layers/" in name else 0  # a scanned stack's layers are in front of the rows
        return jnp.moveaxis(change(name, jnp.moveaxis(x, axis, 0)), 0, axis)

    flat = parameters.flatten(cache)
    return parameters.unflatten({name: changed(name, x) for name, x in flat.items()})
