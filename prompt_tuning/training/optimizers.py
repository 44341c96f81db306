"""Optimizers and schedules, and the freezing of everything that is not trained.

`freeze` is the one place where a parameter's name decides whether it moves.
The optimizers are optax's with the settings that matter here spelled out.
"""

from collections.abc import Sequence
import math
from typing import Any

import jax
from jaxtyping import Float
import optax
import optax.contrib

from prompt_tuning.t5 import partition

# The step at which the public LM-adapted T5 1.1 checkpoints stand. The original
# code goes on counting from there (see `adafactor`).
LM_ADAPTED_STEP = 1_100_000


def freeze(
    optimizer: optax.GradientTransformation, trainable: Sequence[str]
) -> optax.GradientTransformation:
    """`optimizer` on the parameters that `trainable` names, zero on the rest.

    No state is kept for frozen parameters. Works on a whole tree (as T5X's
    trainer passes it) and on the trained subtree alone (as ours does).
    """
    return optax.partition(
        {partition.TRAINED: optimizer, partition.FROZEN: optax.set_to_zero()},
        lambda params: partition.labels(params, trainable),
    )


def adafactor(
    learning_rate: optax.ScalarOrSchedule = 0.3,
    *,
    clock_start: int = LM_ADAPTED_STEP,
    decay_rate: float = 0.8,
    weight_decay: float = 1e-5,
    clipping_threshold: float = 1.0,
    parameter_scale: bool = False,
    factored: bool = False,
) -> optax.GradientTransformation:
    """The paper's Adafactor (section 3.2): no parameter scaling, not factored.

    Args:
      learning_rate: a number or a schedule.
      clock_start: the step from which the second-moment decay
        beta2 = 1 - (t + 1) ** -decay_rate counts. The original code trains on
        from step 1,100,000, where beta2 is so close to 1 that the accumulator
        stays near zero and clipping sets the size of every update to about
        `learning_rate` RMS. With 0 the accumulator follows the gradient.
      decay_rate: exponent of the second-moment decay.
      weight_decay: taken off at every step, not multiplied by the learning rate.
      clipping_threshold: largest RMS of an update before the learning rate.
      parameter_scale: multiply updates by the parameter's RMS (full tuning).
      factored: second moments by row and column where both axes are >= 128.

    Raises ValueError for a learning rate that is a number but not above 0.
    """
    _check_rate("adafactor.learning_rate", learning_rate)
    return optax.adafactor(
        learning_rate,
        factored=factored,
        decay_rate=decay_rate,
        decay_offset=-clock_start,
        multiply_by_parameter_scale=parameter_scale,
        clipping_threshold=clipping_threshold,
        weight_decay_rate=weight_decay,
    )


def short_run_adafactor(
    steps: int, learning_rate: float | Float[jax.Array, ""] = 0.3
) -> optax.GradientTransformation:
    """What learns in a few hundred steps, by measurement on the shipped tasks (README.md).

    The paper's Adafactor with its clock from zero and a learning rate that falls
    to a twentieth by the last step: a short run must settle, where the paper's
    30,000 steps at a constant rate can pick their best evaluation. The rate may be traced, as a
    sweep's is. Raises ValueError for one that is a number but not above 0.
    """
    _check_rate("short_run_adafactor.learning_rate", learning_rate)
    warmup_steps = min(10, steps // 2)
    # Optax compares a schedule's peak with 0, so it peaks at 1.
    schedule = warmup_cosine(1.0, warmup_steps=warmup_steps, steps=steps, end_fraction=0.05)
    return adafactor(lambda count: learning_rate * schedule(count), clock_start=0)


def adamw(
    learning_rate: optax.ScalarOrSchedule = 0.3,
    *,
    b1: float = 0.9,
    b2: float = 0.999,
    weight_decay: float = 1e-5,
    clip_norm: float | None = None,
) -> optax.GradientTransformation:
    """AdamW, with the gradient's global norm clipped if `clip_norm` is given.

    Raises ValueError for a learning rate that is a number but not above 0.
    """
    _check_rate("adamw.learning_rate", learning_rate)
    optimizer = optax.adamw(learning_rate, b1=b1, b2=b2, weight_decay=weight_decay)
    if clip_norm is None:
        return optimizer
    return optax.chain(optax.clip_by_global_norm(clip_norm), optimizer)


def muon(
    learning_rate: optax.ScalarOrSchedule = 0.01, *, weight_decay: float = 0.0, ns_steps: int = 5
) -> optax.GradientTransformation:
    """Muon on the kernels of the layers, AdamW on tables, norms and logits.

    For pre-training from scratch. Updates have the RMS of AdamW's
    (arXiv 2502.16982), so that one learning rate serves both.

    Raises ValueError for a learning rate that is a number but not above 0.
    """
    _check_rate("muon.learning_rate", learning_rate)

    def dimensions(params):
        label = partition.labels(params, [r".*/layers_\d+/.*kernel"])
        matrix = optax.contrib.MuonDimensionNumbers()
        return jax.tree.map(lambda x: matrix if x == partition.TRAINED else None, label)

    return optax.contrib.muon(
        learning_rate,
        ns_steps=ns_steps,
        weight_decay=weight_decay,
        adam_weight_decay=0.0,
        consistent_rms=0.2,
        muon_weight_dimension_numbers=dimensions,
    )


def warmup_cosine(
    peak: float, *, warmup_steps: int, steps: int, end_fraction: float = 0.1
) -> optax.Schedule:
    """Linear from zero to `peak`, then a half cosine to `end_fraction * peak` (1: constant).

    Raises ValueError for a peak that is not above 0, and where nothing is left of `steps` behind the
    warm-up.
    """
    _check_rate("warmup_cosine.peak", peak)
    if not 0 <= warmup_steps < steps:
        raise ValueError(
            f"warmup_cosine.warmup_steps must be at least 0 and less than all {steps} steps, found "
            f"{warmup_steps}: change it, or TRAIN_STEPS."
        )
    return optax.warmup_cosine_decay_schedule(
        0.0, peak, warmup_steps, steps, end_value=peak * end_fraction
    )


def _check_rate(what: str, rate: Any) -> None:
    """Raises ValueError for a number that is not above 0; a schedule, or a traced rate, may be any."""
    if callable(rate) or isinstance(rate, jax.core.Tracer):
        return
    if not 0 < float(rate) < math.inf:
        raise ValueError(
            f"{what} must be a finite number above 0, found {rate}: change LEARNING_RATE."
        )
