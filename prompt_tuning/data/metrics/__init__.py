"""Metrics on decoded text, by name. All are percentages, as T5 and seqio report them.

A metric is a function of Results, and one of its scores has the metric's own name: where there are
two, that is their mean, as GLUE and SuperGLUE count tasks with two metrics. How predictions are
made lives in evaluation/; metrics of seqio tasks come from seqio (seqio_tasks/).
"""

from prompt_tuning.data.metrics.classification import accuracy, illegal_rate
from prompt_tuning.data.metrics.registry import METRICS, check_metrics, score
from prompt_tuning.data.metrics.results import Results, normalise
from prompt_tuning.data.metrics.super_glue import super_glue_average

__all__ = [
    "METRICS",
    "Results",
    "accuracy",
    "check_metrics",
    "illegal_rate",
    "normalise",
    "score",
    "super_glue_average",
]
