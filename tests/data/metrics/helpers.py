"""A metric's score from texts."""

from prompt_tuning.data.metrics import METRICS, Results

BINARY = ("no", "yes")  # the last label is the positive class


def scores(name, targets, predictions, labels=None, **columns):
    """All scores of a metric; a column gives a field of every row."""
    fields = [dict(zip(columns, values)) for values in zip(*columns.values())]
    return METRICS[name](Results(list(targets), list(predictions), labels, fields))


def value(name, targets, predictions, labels=None, **columns):
    """The score that has the metric's own name."""
    return scores(name, targets, predictions, labels, **columns)[name]
