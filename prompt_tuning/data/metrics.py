"""Metrics on decoded text, by name. All are percentages, as T5 and seqio report them.

How predictions are made lives in evaluation/; metrics of seqio tasks come from seqio
(seqio_tasks/).
"""

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class Results:
    """What a metric sees: R targets and predictions as text, the legal labels if the task has any,
    and row fields.
    """

    targets: Sequence[str]
    predictions: Sequence[str]
    labels: Sequence[str] | None = None
    fields: Sequence[Mapping] = field(default=())

    def __post_init__(self):
        if not self.targets or len(self.targets) != len(self.predictions):
            raise DataError(
                f"metrics compare equally many texts, found {len(self.targets)} targets, "
                f"{len(self.predictions)} predictions"
            )


def normalise(text: str, vocabulary: Vocabulary) -> str:
    """The text as the vocabulary gives it back (it may fold case or drop characters), so that both
    sides compare.

    More than once, since what one round makes of an unknown character the next may read
    differently.
    """
    for _ in range(3):
        text = vocabulary.decode(vocabulary.encode(text)).strip()
    return text


def score(names: Sequence[str], results: Results, vocabulary: Vocabulary) -> dict[str, float]:
    """The named metrics of `results`, after every text has been normalised."""
    labels = None if results.labels is None else _normalise_all(results.labels, vocabulary)
    targets, predictions = (
        _normalise_all(texts, vocabulary) for texts in (results.targets, results.predictions)
    )
    compared = Results(targets, predictions, labels, results.fields)
    return {key: value for name in names for key, value in METRICS[name](compared).items()}


def _normalise_all(texts: Sequence[str], vocabulary: Vocabulary) -> list[str]:
    return [normalise(text, vocabulary) for text in texts]


def check_metrics(names: Sequence[str], has_labels: bool) -> None:
    """Raises DataError for a metric that does not exist or that needs labels the task does not
    have.
    """
    for name in names:
        if name not in METRICS:
            raise DataError(
                f"no metric {name!r}; there are {', '.join(METRICS)}{nearest(name, list(METRICS))}"
            )
        if METRICS[name] is illegal_rate and not has_labels:
            raise DataError(f"metric {name!r} needs a task with labels")


def accuracy(results: Results) -> dict[str, float]:
    """Predictions that are the target, letter for letter."""
    return {"accuracy": _percentage(map(str.__eq__, results.targets, results.predictions))}


def illegal_rate(results: Results) -> dict[str, float]:
    """Predictions that are no label of the task; they count as wrong elsewhere (2104.08691, section
    3.1).
    """
    labels = set(results.labels)
    return {
        "illegal_rate": _percentage(prediction not in labels for prediction in results.predictions)
    }


def macro_f1(results: Results) -> dict[str, float]:
    """Unweighted mean of the F1 of every label, or of every text among the targets where the task
    has no labels.
    """
    classes = results.labels or sorted(set(results.targets))
    return {"macro_f1": 100 * sum(_class_f1(results, name) for name in classes) / len(classes)}


def _class_f1(results: Results, name: str) -> float:
    correct = sum(
        target == prediction == name
        for target, prediction in zip(results.targets, results.predictions)
    )
    claimed = list(results.targets).count(name) + list(results.predictions).count(name)
    return 2 * correct / claimed if claimed else 0.0


def exact_match(results: Results) -> dict[str, float]:
    """Predictions with the target's words in its order, whatever the case and punctuation."""
    pairs = zip(results.targets, results.predictions)
    return {
        "exact_match": _percentage(
            _words(target) == _words(prediction) for target, prediction in pairs
        )
    }


def token_f1(results: Results) -> dict[str, float]:
    """Mean F1 of the words that a prediction shares with its target, in any order."""
    pairs = zip(results.targets, results.predictions)
    return {
        "token_f1": _percentage(
            _overlap_f1(_words(target), _words(prediction)) for target, prediction in pairs
        )
    }


def _overlap_f1(target: list[str], prediction: list[str]) -> float:
    shared = (Counter(target) & Counter(prediction)).total()
    return 2 * shared / (len(target) + len(prediction)) if target or prediction else 1.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _percentage(values) -> float:
    values = list(values)
    return 100 * sum(values) / len(values)


METRICS: dict[str, Callable[[Results], dict[str, float]]] = {
    function.__name__: function
    for function in (accuracy, macro_f1, illegal_rate, exact_match, token_f1)
}
