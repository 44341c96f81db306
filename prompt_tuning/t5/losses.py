"""T5's training loss: cross-entropy of the target tokens, plus z-loss."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

Z_LOSS = 1e-4


class LossSums(NamedTuple):
    """Sums over the target tokens of a batch; divide by `tokens` to report."""

    loss: Float[Array, ""]  # cross-entropy + z-loss: what is minimised
    cross_entropy: Float[Array, ""]
    tokens: Float[Array, ""]
    correct: Float[Array, ""]  # tokens whose argmax is the target


def cross_entropy(
    logits: Float[Array, "B L V"],
    targets: Int[Array, "B L"],
    weights: Float[Array, "B L"],
    z_loss: float = Z_LOSS,
) -> LossSums:
    """Cross-entropy + z_loss * log(Z)^2 (T5X), summed where weights are > 0."""
    log_z = jax.nn.logsumexp(logits, axis=-1)
    target_logits = jnp.take_along_axis(logits, targets[..., None], axis=-1)[..., 0]
    token_loss = log_z - target_logits
    correct = jnp.argmax(logits, axis=-1) == targets
    ce = jnp.sum(token_loss * weights)
    return LossSums(
        loss=ce + z_loss * jnp.sum(jnp.square(log_z) * weights),
        cross_entropy=ce,
        tokens=jnp.sum(weights),
        correct=jnp.sum(correct * weights),
    )
