"""How likely a model finds each of a few given targets, such as the labels of a task.

What is made of the scores lives in evaluation/.
"""

import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network


def rank_scores(
    model: network.T5,
    params: decoding.Params,
    encoder_input_tokens: Int[Array, "B T"],
    candidates: Int[Array, "C L"],
) -> Float[Array, "B C"]:
    """Log-probability of every candidate after every input, summed over its tokens.

    A candidate ends in the end of sequence, which counts, and then padding, which
    does not. Each input is encoded once; the decoder sees B * C rows.
    """
    batch, count = len(encoder_input_tokens), len(candidates)
    encoded = model.apply(
        {"params": params}, encoder_input_tokens, enable_dropout=False, method="encode"
    )
    start = ((0, 0), (1, 0))
    shifted = jnp.pad(candidates, start, constant_values=decoding.START_ID)[:, :-1]
    logits = model.apply(
        {"params": params},
        jnp.repeat(encoded, count, axis=0),
        jnp.repeat(encoder_input_tokens, count, axis=0),
        jnp.tile(shifted, (batch, 1)),
        enable_dropout=False,
        method="decode",
    )
    targets = jnp.tile(candidates, (batch, 1))
    log_probs = decoding.log_probs_of(targets, logits)
    log_probs = jnp.sum(log_probs, axis=1, where=targets != network.PAD_ID)
    return log_probs.reshape(batch, count)
