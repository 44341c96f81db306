"""The metrics by name, what they need of a task, and scoring with several of them."""

from collections.abc import Callable, Collection, Sequence

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics.classification import (
    accuracy,
    f1,
    f1_accuracy,
    illegal_rate,
    macro_f1,
    macro_f1_accuracy,
)
from prompt_tuning.data.metrics.correlation import matthews, pearson_spearman
from prompt_tuning.data.metrics.question_answering import exact_match, record, squad, token_f1
from prompt_tuning.data.metrics.results import Results, normalised
from prompt_tuning.data.metrics.super_glue import gender_parity, multirc, wsc
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.vocabulary import Vocabulary

METRICS: dict[str, Callable[[Results], dict[str, float]]] = {
    function.__name__: function
    for function in (
        accuracy,
        macro_f1,
        f1,
        macro_f1_accuracy,
        f1_accuracy,
        illegal_rate,
        matthews,
        pearson_spearman,
        exact_match,
        token_f1,
        squad,
        record,
        multirc,
        wsc,
        gender_parity,
    )
}
_OF_LABELS = (f1, f1_accuracy, illegal_rate, matthews, multirc, gender_parity)
_OF_FIELD = {
    squad: "answers",
    record: "answers",
    multirc: "idx",
    gender_parity: "idx",
    wsc: "label",
}


def score(names: Sequence[str], results: Results, vocabulary: Vocabulary) -> dict[str, float]:
    """The named metrics of `results`, after every text has been normalised."""
    compared = normalised(results, vocabulary)
    return {key: value for name in names for key, value in METRICS[name](compared).items()}


def check_metrics(
    names: Sequence[str], has_labels: bool, fields: Collection[str] | None = None
) -> None:
    """Raises DataError for a metric that does not exist or that needs labels or a field the task
    does not have.

    Args:
      names: of the task's metrics.
      has_labels: whether the task says which target texts are legal.
      fields: of each of its rows; None where only the rows will tell.
    """
    for name in names:
        if name not in METRICS:
            raise DataError(
                f"no metric {name!r}; there are {', '.join(METRICS)}{nearest(name, list(METRICS))}"
            )
        if METRICS[name] in _OF_LABELS and not has_labels:
            raise DataError(f"metric {name!r} needs a task with labels")
        needed = _OF_FIELD.get(METRICS[name])
        if needed and fields is not None and needed not in fields:
            raise DataError(
                f"metric {name!r} needs rows with field {needed!r}, this task's have "
                f"{', '.join(fields)}: change the task's metrics"
            )
