"""The prompts of a sweep: which there are, their state, and the one step that takes all of them further.

The order of steps, evaluations and saves is sweep.py's.
"""

from collections.abc import Callable, Sequence
import dataclasses
import itertools
import math
from typing import Any

import flax
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np
import optax

from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import optimizers
from prompt_tuning.training import step as training_step

_KEY_BITS = 32  # of a seed, as many as jax.random.key uses

LearningRate = float | Float[Array, ""]
# It is called inside the compiled step, where the learning rate has no value yet.
Optimizer = Callable[[LearningRate], optax.GradientTransformation]


@dataclasses.dataclass(frozen=True)
class Member:
    """One prompt of a sweep."""

    learning_rate: float
    seed: int

    def __post_init__(self):
        if not 0 < self.learning_rate < math.inf or self.seed < 0:
            raise ValueError(
                "A member needs a finite learning rate above 0 and a seed of at least 0, found "
                f"{self}: change LEARNING_RATES (--learning_rates) or SEEDS (--seeds)."
            )

    @property
    def name(self) -> str:
        """Of its folder."""
        return f"lr_{self.learning_rate}--seed_{self.seed}"


def grid(learning_rates: Sequence[float], seeds: Sequence[int]) -> list[Member]:
    """Every learning rate with every seed."""
    return [Member(float(rate), seed) for rate, seed in itertools.product(learning_rates, seeds)]


@flax.struct.dataclass
class SweepState:
    """All that a step changes, of N members: what a sweep must save to go on."""

    step: Any
    members: training_step.TrainState  # each array with N in front
    finite: Any  # [N]: whose steps go on


class Together:
    """N members on one network: their first state, and the step that takes all of them further.

    `step(state, frozen, batch) -> (state, metrics)` is compiled once, whatever the learning rates
    and seeds. A batch's arrays are [B, N, ...], so that its rows lie on devices as always; metrics
    are [N]. The state is donated.
    """

    def __init__(
        self,
        model: network.T5,
        trainable: Sequence[str],
        optimizer: Optimizer,
        members: Sequence[Member],
        mesh: jax.sharding.Mesh,
    ):
        """Compiles nothing yet.

        Args:
          model: the network with the method's modules in place.
          trainable: the method's.
          optimizer: that of a learning rate; freezing is added here.
          members: in the order of all arrays.
          mesh: where the frozen weights lie.
        """
        self._trainable, self._optimizer = trainable, optimizer
        # The small arrays of a sweep lie whole on every device.
        self._whole = jax.sharding.NamedSharding(mesh, jax.sharding.PartitionSpec())
        rates = np.array([member.learning_rate for member in members], np.float32)
        seeds = np.array([member.seed % 2**_KEY_BITS for member in members], np.uint32)
        self._rates, self._seeds = jax.device_put((rates, seeds), self._whole)

        def member_step(state, proceed, batch, learning_rate, seed, frozen):
            step = training_step.make_train_step(model, self._frozen(learning_rate), seed)
            return step(state, frozen, batch, proceed)

        def sweep_step(state, frozen, batch, learning_rates, seeds):
            each = jax.vmap(member_step, in_axes=(0, 0, 1, 0, 0, None))
            members, metrics = each(
                state.members, state.finite, batch, learning_rates, seeds, frozen
            )
            return SweepState(state.step + 1, members, metrics["finite"]), metrics

        self._step = jax.jit(sweep_step, donate_argnums=0, out_shardings=self._whole)

    def first(self, prompts: Sequence[parameters.Flat]) -> SweepState:
        """The state before the first step, from each member's first prompts.

        Raises ValueError if the optimizer needs the learning rate's value.
        """
        stacked = {
            name: np.stack([np.asarray(prompt[name], np.float32) for prompt in prompts])
            for name in prompts[0]
        }

        def create(trained, learning_rate):
            return training_step.TrainState.create(trained, self._frozen(learning_rate))

        try:
            members = jax.vmap(create)(jax.device_put(stacked, self._whole), self._rates)
        except jax.errors.ConcretizationTypeError as error:
            raise ValueError(
                "sweep.optimizer is called inside the compiled step, where the learning rate is an "
                "array without a value, but this one branches on its value: give another, such as "
                "@adafactor or @adamw, or a schedule that multiplies by it."
            ) from error
        count = len(prompts)
        state = SweepState(jnp.zeros((), jnp.int32), members, jnp.ones(count, bool))
        return jax.device_put(state, self._whole)

    def step(
        self, state: SweepState, frozen: parameters.Flat, batch: training_step.Batch
    ) -> tuple[SweepState, training_step.Metrics]:
        return self._step(state, frozen, batch, self._rates, self._seeds)

    def lower(
        self, state: SweepState, frozen: parameters.Flat, batch: training_step.Batch
    ) -> jax.stages.Lowered:
        """The step before it is compiled, to be looked at."""
        return self._step.lower(state, frozen, batch, self._rates, self._seeds)

    def _frozen(self, learning_rate: LearningRate) -> optax.GradientTransformation:
        return optimizers.freeze(self._optimizer(learning_rate), self._trainable)


def side_by_side(batches: Sequence[training_step.Batch]) -> dict[str, np.ndarray]:
    """One batch of N members' batches: [B, ...] each becomes [B, N, ...]."""
    return {name: np.stack([batch[name] for batch in batches], axis=1) for name in batches[0]}
