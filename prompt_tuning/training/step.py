"""One training step: the gradient of what is trained, and the update it makes.

The whole step is one pure function of (state, frozen, batch), or, of a batch in
several parts (data/arrangements.py), the sum of their gradients and then the
update. The gradient is taken with respect to the trained arrays only, so that
the compiled program holds no weight gradient of a frozen kernel.
"""

from collections.abc import Callable, Mapping, Sequence
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
# Of what is trained, the network's own parameters (methods/method.py `Method.materialize`).
Materialize = Callable[[parameters.Flat], parameters.Flat]
# The gradient of what is trained, and the loss sums that it is of.
Gradient = tuple[parameters.Flat, losses.LossSums]


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
        batch.get("encoder_segment_ids"),
        batch.get("decoder_segment_ids"),
        enable_dropout=bool(dropout),
        rngs=dropout,
    )
    return losses.cross_entropy(
        logits, batch["decoder_target_tokens"], batch["decoder_loss_weights"]
    )


def _as_they_are(trained: parameters.Flat) -> parameters.Flat:
    return trained


def make_gradient(
    model: network.T5, dropout_seed: int | jax.Array, materialize: Materialize = _as_they_are
) -> Callable[[TrainState, parameters.Flat, Batch, int | jax.Array], Gradient]:
    """`(state, frozen, batch, part) -> (gradient, loss sums)`.

    Dropout is a function of the seed, the state's step and the part's number in the step.
    """
    use_dropout = model.config.dropout_rate > 0

    def gradient(state, frozen, batch, part):
        key = jax.random.fold_in(jax.random.key(dropout_seed), state.step)
        key = jax.random.fold_in(key, part) if use_dropout else None

        def loss(trained):
            sums = batch_loss(model, {**frozen, **materialize(trained)}, batch, key)
            return sums.loss, sums

        return jax.grad(loss, has_aux=True)(state.trained)

    return gradient


def make_update(
    optimizer: optax.GradientTransformation,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """`(state, gradient and sums, proceed) -> (state, metrics)`.

    A step that went wrong changes nothing, so that the state before it can be saved, and neither
    does one that is not to `proceed`: metrics["finite"] of the step before.
    """

    def update(state, gradient: Gradient, proceed=True):
        grads, sums = gradient
        updates, optimizer_state = optimizer.update(grads, state.optimizer, state.trained)
        trained = optax.apply_updates(state.trained, updates)
        update_norm = optax.tree.norm(updates)
        finite = proceed & jnp.isfinite(sums.loss) & jnp.isfinite(update_norm)
        new = TrainState(state.step + 1, trained, optimizer_state)
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

    return update


def make_train_step(
    model: network.T5,
    optimizer: optax.GradientTransformation,
    dropout_seed: int | jax.Array,
    materialize: Materialize = _as_they_are,
) -> Callable[..., tuple[TrainState, Metrics]]:
    """The step `(state, frozen, batch, proceed) -> (state, metrics)`, not yet compiled.

    Args:
      model: the network with the method's modules in place.
      optimizer: of the trained arrays, from `optimizers.freeze`.
      dropout_seed: dropout is a function of this and the step; traced in a sweep.
      materialize: the method's.
    """
    gradient, update = make_gradient(model, dropout_seed, materialize), make_update(optimizer)

    def train_step(state, frozen, batch, proceed=True):
        return update(state, gradient(state, frozen, batch, 0), proceed)

    return train_step


class CompiledStep:
    """`step(state, frozen, parts, proceed) -> (state, metrics)`, compiled once for each shape.

    A step of one part is one program. Of several, each part's adds to what those before it have
    summed, and one more program makes the update. The state is donated, and stays where it is.
    """

    def __init__(
        self,
        model: network.T5,
        optimizer: optax.GradientTransformation,
        dropout_seed: int,
        state: TrainState,
        materialize: Materialize = _as_they_are,
    ):
        """Takes `make_train_step`'s arguments, and a state whose arrays are on their devices."""
        gradient = make_gradient(model, dropout_seed, materialize)

        def add(total, state, frozen, batch, part):
            return jax.tree.map(jnp.add, total, gradient(state, frozen, batch, part))

        places = jax.tree.map(lambda x: x.sharding, state)
        everywhere = state.step.sharding
        self._step = jax.jit(
            make_train_step(model, optimizer, dropout_seed, materialize),
            donate_argnums=0,
            # Or the second step would be compiled anew.
            out_shardings=(places, everywhere),
        )
        self._zeros = jax.jit(
            lambda trained: (jax.tree.map(jnp.zeros_like, trained), _no_sums()),
            out_shardings=(places.trained, everywhere),
        )
        self._add = jax.jit(add, donate_argnums=0, out_shardings=(places.trained, everywhere))
        self._update = jax.jit(
            make_update(optimizer), donate_argnums=0, out_shardings=(places, everywhere)
        )

    def __call__(
        self,
        state: TrainState,
        frozen: parameters.Flat,
        parts: Sequence[Batch],
        proceed: jax.Array,
    ) -> tuple[TrainState, Metrics]:
        if len(parts) == 1:
            return self._step(state, frozen, parts[0], proceed)
        total = self._zeros(state.trained)
        for number, part in enumerate(parts):
            total = self._add(total, state, frozen, part, number)
        return self._update(state, total, proceed)

    def lower(
        self, state: TrainState, frozen: parameters.Flat, batch: Any, proceed: Any
    ) -> jax.stages.Lowered:
        """A step of one part before it is compiled; shapes with shardings are enough."""
        return self._step.lower(state, frozen, batch, proceed)


def _no_sums() -> losses.LossSums:
    return losses.LossSums(*(jnp.zeros(()) for _ in losses.LossSums._fields))
