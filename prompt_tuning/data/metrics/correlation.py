"""Metrics that correlate predictions with targets, from -100 to 100; 0 where either side is
constant, which leaves nothing to correlate.
"""

import numpy as np
from jaxtyping import Float

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics.classification import positives
from prompt_tuning.data.metrics.results import Results, with_mean

_LOWEST, _HIGHEST = 0, 5  # similarities of STS-B
_NO_NUMBER = -1.0


def matthews(results: Results) -> dict[str, float]:
    """Matthews correlation of the task's last label against the rest (CoLA, AX-b).

    An illegal prediction counts as the wrong class.
    """
    targets, predictions = positives(results)
    # Of truth values, Pearson's coefficient is Matthews'.
    return {"matthews": _pearson(targets.astype(float), predictions.astype(float))}


def pearson_spearman(results: Results) -> dict[str, float]:
    """Pearson and Spearman correlation of similarities from 0 to 5 (STS-B), and their mean.

    A prediction that is no such number counts as -1, below the scale (as T5 reads what is no
    number). Raises DataError for a target that is none.
    """
    targets, predictions = (
        np.array([_similarity(text) for text in texts])
        for texts in (results.targets, results.predictions)
    )
    if _NO_NUMBER in targets:
        bad = results.targets[int(np.argmin(targets))]
        raise DataError(
            f"metric 'pearson_spearman' needs targets from {_LOWEST} to {_HIGHEST}, found {bad!r}: "
            "change the task's metrics, or bring its targets to that scale"
        )
    scores = {
        "pearson": _pearson(targets, predictions),
        "spearman": _pearson(_ranks(targets), _ranks(predictions)),
    }
    return with_mean("pearson_spearman", scores)


def _similarity(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        return _NO_NUMBER
    return value if _LOWEST <= value <= _HIGHEST else _NO_NUMBER


def _pearson(x: Float[np.ndarray, "R"], y: Float[np.ndarray, "R"]) -> float:
    if np.ptp(x) == 0 or np.ptp(y) == 0:
        return 0.0
    return float(100 * np.corrcoef(x, y)[0, 1])


def _ranks(values: Float[np.ndarray, "R"]) -> Float[np.ndarray, "R"]:
    """Ranks from 1; equal values share the mean of theirs."""
    _, positions, counts = np.unique(values, return_inverse=True, return_counts=True)
    return (np.cumsum(counts) - (counts - 1) / 2)[positions]
