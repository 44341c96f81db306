"""Metrics of tasks whose targets are labels.

An illegal prediction is one that is no label of the task. It counts as wrong in all of them.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Bool

from prompt_tuning.data.metrics.results import Results, percentage, with_mean


def accuracy(results: Results) -> dict[str, float]:
    """Predictions that are the target, letter for letter."""
    return {"accuracy": percentage(map(str.__eq__, results.targets, results.predictions))}


def illegal_rate(results: Results) -> dict[str, float]:
    """Predictions that are no label of the task; they count as wrong elsewhere (2104.08691, section
    3.1).
    """
    labels = set(results.labels)
    return {
        "illegal_rate": percentage(prediction not in labels for prediction in results.predictions)
    }


def macro_f1(results: Results) -> dict[str, float]:
    """Unweighted mean of the F1 of every label, or of every text among the targets where the task
    has no labels.

    An illegal prediction is a miss of its target's class and claims none (as T5 scores CB).
    """
    classes = results.labels or sorted(set(results.targets))
    return {"macro_f1": float(np.mean([_class_f1(results, name) for name in classes]))}


def f1(results: Results) -> dict[str, float]:
    """F1 of the task's last label, the positive class.

    An illegal prediction counts as the other class than its target's: a miss where that is
    positive, a false claim where it is not (T5's f1_score_with_invalid).
    """
    return {"f1": _f1(*positives(results))}


def f1_accuracy(results: Results) -> dict[str, float]:
    """`f1` and `accuracy`, and their mean (MRPC, QQP)."""
    return with_mean("f1_accuracy", f1(results) | accuracy(results))


def macro_f1_accuracy(results: Results) -> dict[str, float]:
    """`macro_f1` and `accuracy`, and their mean (CB)."""
    return with_mean("macro_f1_accuracy", macro_f1(results) | accuracy(results))


def positives(results: Results) -> tuple[Bool[np.ndarray, "R"], Bool[np.ndarray, "R"]]:
    """Which targets and which predictions are the task's last label; an illegal prediction is the
    opposite of its target.
    """
    positive, labels = results.labels[-1], set(results.labels)
    targets = _equal(results.targets, positive)
    predictions = _equal(results.predictions, positive)
    legal = np.array([prediction in labels for prediction in results.predictions])
    return targets, np.where(legal, predictions, ~targets)


def _class_f1(results: Results, name: str) -> float:
    return _f1(_equal(results.targets, name), _equal(results.predictions, name))


def _f1(targets: Bool[np.ndarray, "R"], predictions: Bool[np.ndarray, "R"]) -> float:
    """In per cent; 0 for a class that is neither there nor claimed."""
    claimed = targets.sum() + predictions.sum()
    return float(200 * (targets & predictions).sum() / claimed) if claimed else 0.0


def _equal(texts: Sequence[str], name: str) -> Bool[np.ndarray, "R"]:
    return np.array([text == name for text in texts])
