"""Random predictions: temperature, top-k and nucleus sampling.

The loop over tokens lives in decoding.py.
"""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Key

from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network


def row_keys(key: Key[Array, ""], rows: Int[Array, "B"]) -> Key[Array, "B"]:
    """A key for each row, from its number among all examples, not in its batch."""
    return jax.vmap(lambda row: jax.random.fold_in(key, row))(rows)


def sample(
    model: network.T5,
    params: decoding.Params,
    encoder_input_tokens: Int[Array, "B T"],
    max_decode_length: int,
    keys: Key[Array, "B"],
    *,
    temperature: float = 1.0,
    top_k: int = 0,
    top_p: float = 1.0,
    eos_id: int = decoding.EOS_ID,
) -> decoding.Decoded:
    """Draws each token from softmax(logits / temperature), cut by `likely`.

    A row's draws depend on its key alone, see `row_keys`, so that an example gets
    the same text in every batch. The log-probabilities are the model's, of the
    uncut distribution at temperature 1, whatever it was drawn from.

    Raises:
      ValueError: an argument is out of its range.
    """
    check_arguments(temperature, top_k, top_p)

    def draw(logits, step):
        step_keys = jax.vmap(jax.random.fold_in, (0, None))(keys, step)
        return jax.vmap(jax.random.categorical)(
            step_keys, likely(logits / temperature, top_k, top_p)
        )

    return decoding.token_by_token(
        model, params, encoder_input_tokens, max_decode_length, draw, eos_id
    )


def check_arguments(temperature: float, top_k: int, top_p: float) -> None:
    """Raises ValueError, naming the argument that is out of its range."""
    if not temperature > 0:
        raise ValueError(
            f"temperature must be above 0, found {temperature}. For the most likely tokens "
            "use greedy decoding."
        )
    if top_k < 0:
        raise ValueError(f"top_k must be at least 1, or 0 for all tokens, found {top_k}.")
    if not 0 < top_p <= 1:
        raise ValueError(f"top_p must be above 0 and at most 1, for all tokens, found {top_p}.")


def likely(logits: Float[Array, "B V"], top_k: int, top_p: float) -> Float[Array, "B V"]:
    """The logits of likely tokens, -inf at the others.

    First only the `top_k` most likely stay (Fan et al. 2018), 0 for all; of these
    the fewest that have a share of at least `top_p` (Holtzman et al. 2020).
    Tokens as likely as the last one stay as well.
    """
    if top_k:
        least = jax.lax.top_k(logits, min(top_k, logits.shape[-1]))[0][:, -1:]
        logits = jnp.where(logits < least, -jnp.inf, logits)
    if top_p < 1:
        ranked = jnp.sort(logits, axis=-1, descending=True)
        shares = jax.nn.softmax(ranked)
        more_likely = jnp.cumsum(shares, axis=-1) - shares
        least = jnp.min(jnp.where(more_likely < top_p, ranked, jnp.inf), axis=-1, keepdims=True)
        logits = jnp.where(logits < least, -jnp.inf, logits)
    return logits
