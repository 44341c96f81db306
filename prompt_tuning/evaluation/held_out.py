"""Loss on held-out text, and the files that scores and predictions go to.

Predictions are made by predict.py and scored by their task (data/tasks.py).
"""

from collections.abc import Callable, Iterable, Mapping
import json
import os

import jax
import numpy as np

from prompt_tuning import atomic
from prompt_tuning.data import batches as data
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import losses
from prompt_tuning.t5 import network
from prompt_tuning.training import partition
from prompt_tuning.training import step

Path = str | os.PathLike


def make_evaluate_loss(
    model: network.T5, sharding: jax.sharding.Sharding | None = None
) -> Callable[..., dict[str, float]]:
    """`evaluate_loss(params, batches)`, compiled once for each shape of a batch.

    It gives the mean cross-entropy (nats) and accuracy of all target tokens in
    `batches`, pairs of (batch, example ids), under teacher forcing.

    Args:
      model: the network with its method's modules in place.
      sharding: of a batch's arrays, where the parameters lie on a mesh. Every
        process must then bring the same batches.
    """
    batch_sums = jax.jit(lambda params, batch: step.batch_loss(model, params, batch))

    def evaluate_loss(
        params: partition.Flat, batches: Iterable[tuple[data.Batch, list[str]]]
    ) -> dict[str, float]:
        params = jax.device_put(params)
        sums = [batch_sums(params, jax.device_put(batch, sharding)) for batch, _ in batches]
        if not sums:
            raise ValueError("Held-out loss needs at least one batch, found none.")
        total = losses.LossSums(*np.sum(jax.device_get(sums), axis=0, dtype=np.float64))
        return {
            "loss_per_token": float(total.cross_entropy / total.tokens),
            "token_accuracy": float(100 * total.correct / total.tokens),
        }

    return evaluate_loss


def write_metrics(path: Path, values: Mapping[str, float]) -> None:
    """Writes one JSON object, whole or not at all."""
    _write_whole(path, [json.dumps(values, indent=2)])


def write_predictions(path: Path, predictions: Iterable[predict.Prediction]) -> None:
    """Writes a JSON object a line, whole or not at all, as they come."""
    _write_whole(path, (json.dumps(row, ensure_ascii=False) for row in predictions))


def _write_whole(path: Path, lines: Iterable[str]) -> None:
    with atomic.writing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
