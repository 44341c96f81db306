"""One training step: the gradient of what is trained, and the update it makes.

The whole step is one pure function of (state, frozen, batch). The gradient is
taken with respect to the trained arrays only, so that the compiled program
holds no weight gradient of a frozen kernel.
"""

from collections.abc import Callable, Mapping
from typing import Any

import flax
import jax
import jax.numpy as jnp
import numpy as np
import optax

from prompt_tuning.t5 import losses
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

Batch = Mapping[str, jax.Array | np.ndarray]
Metrics = dict[str, jax.Array]


@flax.struct.dataclass
class TrainState:
    """All that a step changes: what a run must save to go on."""

    step: Any  # an array, or what a map over the tree puts in its place
    trained: parameters.Flat
    optimizer: optax.OptState

    @classmethod
    def create(
        cls, trained: parameters.Flat, optimizer: optax.GradientTransformation
    ) -> "TrainState":
        return cls(jnp.zeros((), jnp.int32), trained, optimizer.init(trained))


def batch_loss(
    model: network.T5, params: parameters.Flat, batch: Batch, dropout_key: jax.Array | None = None
) -> losses.LossSums:
    """Loss sums of a batch; dropout is on where a key for it is given."""
    dropout = {} if dropout_key is None else {"dropout": dropout_key}
    logits = model.apply(
        {"params": parameters.unflatten(params)},
        batch["encoder_input_tokens"],
        batch["decoder_input_tokens"],
        batch["decoder_target_tokens"],
        enable_dropout=bool(dropout),
        rngs=dropout,
    )
    return losses.cross_entropy(
        logits, batch["decoder_target_tokens"], batch["decoder_loss_weights"]
    )


def make_train_step(
    model: network.T5,
    optimizer: optax.GradientTransformation,
    dropout_seed: int,
    accumulate: int = 1,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """The step `(state, frozen, batch) -> (state, metrics)`, not yet compiled.

    Args:
      model: the network with the method's modules in place.
      optimizer: of the trained arrays, from `optimizers.freeze`.
      dropout_seed: dropout is a function of this and the step.
      accumulate: the batch is cut into this many parts whose gradients add up.
    """
    use_dropout = model.config.dropout_rate > 0

    def loss_fn(trained, frozen, batch, key):
        sums = batch_loss(model, {**frozen, **trained}, batch, key if use_dropout else None)
        return sums.loss, sums

    def gradient(trained, frozen, batch, key):
        (_, sums), grads = jax.value_and_grad(loss_fn, has_aux=True)(trained, frozen, batch, key)
        return grads, sums

    def accumulated(trained, frozen, batch, key):
        # Interleaved, so that each part keeps the batch's sharding over devices.
        parts = jax.tree.map(
            lambda x: jnp.moveaxis(
                x.reshape(x.shape[0] // accumulate, accumulate, *x.shape[1:]), 1, 0
            ),
            batch,
        )

        def add(total, part_and_index):
            part, index = part_and_index
            out = gradient(trained, frozen, part, jax.random.fold_in(key, index))
            return jax.tree.map(jnp.add, total, out), None

        shapes = jax.eval_shape(gradient, trained, frozen, jax.tree.map(lambda x: x[0], parts), key)
        zeros = jax.tree.map(lambda x: jnp.zeros(x.shape, x.dtype), shapes)
        return jax.lax.scan(add, zeros, (parts, jnp.arange(accumulate)))[0]

    def train_step(
        state: TrainState, frozen: parameters.Flat, batch: Batch
    ) -> tuple[TrainState, Metrics]:
        key = jax.random.fold_in(jax.random.key(dropout_seed), state.step)
        compute = gradient if accumulate == 1 else accumulated
        grads, sums = compute(state.trained, frozen, batch, key)
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.trained)
        trained = optax.apply_updates(state.trained, updates)
        update_norm = optax.tree.norm(updates)
        finite = jnp.isfinite(sums.loss) & jnp.isfinite(update_norm)
        new = TrainState(state.step + 1, trained, optimizer_state)
        # A step that went wrong changes nothing: the state before it can be saved.
        state = jax.tree.map(lambda new, old: jnp.where(finite, new, old), new, state)
        metrics = {
            "finite": finite,
            "loss": sums.cross_entropy / sums.tokens,
            "loss_with_z": sums.loss / sums.tokens,
            "token_accuracy": sums.correct / sums.tokens,
            "target_tokens": sums.tokens,
            "gradient_norm": optax.tree.norm(grads),
            "update_norm": update_norm,
            "trained_norm": optax.tree.norm(trained),
        }
        return state, metrics

    return train_step
