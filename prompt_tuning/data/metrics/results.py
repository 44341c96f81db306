"""What metrics compare: texts of both sides as one vocabulary gives them back, and row fields.

The metrics themselves are in the other files here, their names in registry.py.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache

from prompt_tuning.data.examples import DataError
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
        sizes = {len(self.targets), len(self.predictions), len(self.fields or self.targets)}
        if not self.targets or len(sizes) > 1:
            raise DataError(
                f"metrics compare equally many texts, found {len(self.targets)} targets, "
                f"{len(self.predictions)} predictions, {len(self.fields)} rows of fields"
            )

    def column(self, name: str) -> list:
        """Field `name` of every row. Raises DataError where a row does not have it."""
        for row in self.fields or [{}]:
            if name not in row:
                raise DataError(
                    f"a metric of this task compares field {name!r} of its rows, found one with "
                    f"{', '.join(row) or 'no fields'}: change the task's metrics"
                )
        return [row[name] for row in self.fields]


def normalise(text: str, vocabulary: Vocabulary) -> str:
    """The text as the vocabulary gives it back (it may fold case or drop characters), so that both
    sides compare.

    More than once, since what one round makes of an unknown character the next may read
    differently.
    """
    for _ in range(3):
        text = vocabulary.decode(vocabulary.encode(text)).strip()
    return text


def normalised(results: Results, vocabulary: Vocabulary) -> Results:
    """The results with every text that metrics compare normalised: targets, predictions, labels and
    the "answers" among the fields.
    """
    # Labels and other short texts come again and again.
    clean = cache(lambda text: normalise(text, vocabulary))
    return Results(
        targets=_all(clean, results.targets),
        predictions=_all(clean, results.predictions),
        labels=None if results.labels is None else _all(clean, results.labels),
        fields=[
            {**row, "answers": _all(clean, row["answers"])} if "answers" in row else row
            for row in results.fields
        ],
    )


def percentage(values: Iterable[bool | float]) -> float:
    """The mean of truth values or of numbers from 0 to 1, in per cent."""
    values = list(values)
    return 100 * sum(values) / len(values)


def with_mean(name: str, scores: Mapping[str, float]) -> dict[str, float]:
    """The scores, and as `name` their mean, which stands for them where one number must."""
    return {name: sum(scores.values()) / len(scores), **scores}


def _all(clean: Callable[[str], str], texts: Sequence[str]) -> list[str]:
    return [clean(text) for text in texts]
