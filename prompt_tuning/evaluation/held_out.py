"""Loss on held-out text, under teacher forcing.

Predictions are made by predict.py and scored by their task (data/tasks.py).
"""

from collections.abc import Callable, Iterable

import jax
import numpy as np

from prompt_tuning.data import batches as data
from prompt_tuning.t5 import losses
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import interrupt
from prompt_tuning.training import sharding
from prompt_tuning.training import step

SCORE_NAMES = ("loss_per_token", "token_accuracy")


def make_evaluate_loss(
    model: network.T5, mesh: jax.sharding.Mesh | None = None
) -> Callable[..., dict[str, float]]:
    """`evaluate_loss(params, batches)`, compiled once for each shape of a batch.

    It gives the mean cross-entropy (nats) and accuracy of all target tokens in
    `batches`, pairs of (batch, example ids), under teacher forcing.

    Args:
      model: the network with its method's modules in place.
      mesh: where the parameters lie on one. Every process then brings its own
        rows of each batch (`sharding.local_rows`).
    """
    batch_sums = jax.jit(lambda params, batch: step.batch_loss(model, params, batch))

    def evaluate_loss(
        params: parameters.Flat, batches: Iterable[tuple[data.Batch, list[str]]]
    ) -> dict[str, float]:
        sums = []
        for batch, _ in batches:
            interrupt.check()
            sums.append(batch_sums(params, sharding.put_batch(batch, mesh)))
        if not sums:
            raise ValueError("Held-out loss needs at least one batch, found none.")
        total = losses.LossSums(*np.sum(jax.device_get(sums), axis=0, dtype=np.float64))
        values = total.cross_entropy / total.tokens, 100 * total.correct / total.tokens
        return dict(zip(SCORE_NAMES, map(float, values)))

    return evaluate_loss
