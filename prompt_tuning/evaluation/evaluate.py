"""Metrics of predictions, loss on held-out text, and the files they go to.

The metrics themselves live in data/metrics.py; predictions are made by
predict.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import json
import os
import pathlib

import jax
import numpy as np

from prompt_tuning.data import batches as data
from prompt_tuning.data import metrics
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import losses
from prompt_tuning.t5 import network
from prompt_tuning.training import partition
from prompt_tuning.training import step

Path = str | os.PathLike


def evaluate(predictions: Sequence[predict.Prediction], names: Sequence[str],
             labels: Sequence[str] | None,
             vocabulary: vocabularies.Vocabulary) -> dict[str, float]:
  """The metrics called `names`, in percent, of what a Predictor yielded.

  A task with `labels` gets the share of illegal outputs (text that is no
  label), asked for or not: it tells a prompt that has not learned the task
  from one that has not learned what the answers are.
  """
  if labels is not None:
    names = dict.fromkeys([*names, metrics.illegal_rate.__name__])
  results = metrics.Results(
      targets=[row["targets"] for row in predictions],
      predictions=[row["prediction"] for row in predictions],
      labels=labels, fields=predictions)
  return metrics.score(list(names), results, vocabulary)


def make_evaluate_loss(model: network.T5, sharding: jax.sharding.Sharding | None = None
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

  def evaluate_loss(params: partition.Flat,
                    batches: Iterable[tuple[data.Batch, list[str]]]) -> dict[str, float]:
    params = jax.device_put(params)
    sums = [batch_sums(params, jax.device_put(batch, sharding)) for batch, _ in batches]
    if not sums:
      raise ValueError("Held-out loss needs at least one batch, found none.")
    total = losses.LossSums(*np.sum(jax.device_get(sums), axis=0, dtype=np.float64))
    return {"loss_per_token": float(total.cross_entropy / total.tokens),
            "token_accuracy": float(100 * total.correct / total.tokens)}

  return evaluate_loss


def write_metrics(path: Path, values: Mapping[str, float]) -> None:
  """Writes one JSON object, whole or not at all."""
  _write_whole(path, [json.dumps(values, indent=2)])


def write_predictions(path: Path, predictions: Iterable[predict.Prediction]) -> None:
  """Writes a JSON object a line, whole or not at all, as they come."""
  _write_whole(path, (json.dumps(row, ensure_ascii=False) for row in predictions))


def _write_whole(path: Path, lines: Iterable[str]) -> None:
  path = pathlib.Path(path)
  path.parent.mkdir(parents=True, exist_ok=True)
  partial = path.with_name(f".{path.name}.{os.getpid()}")
  try:
    with partial.open("w", encoding="utf-8") as file:
      file.writelines(f"{line}\n" for line in lines)
    os.replace(partial, path)
  finally:
    partial.unlink(missing_ok=True)
