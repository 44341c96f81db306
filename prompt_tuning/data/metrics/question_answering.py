"""Metrics of free-text answers, by the words they share with a target or with the best of several
answers.
"""

import re
import string
from collections import Counter

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics.results import Results, percentage, with_mean

_PUNCTUATION = str.maketrans("", "", string.punctuation)


def exact_match(results: Results) -> dict[str, float]:
    """Predictions with the target's words in its order, whatever the case and punctuation."""
    pairs = zip(results.targets, results.predictions)
    return {
        "exact_match": percentage(
            _words(target) == _words(prediction) for target, prediction in pairs
        )
    }


def token_f1(results: Results) -> dict[str, float]:
    """Mean F1 of the words that a prediction shares with its target, in any order."""
    pairs = [
        (_words(target), _words(prediction))
        for target, prediction in zip(results.targets, results.predictions)
    ]
    return {
        "token_f1": percentage(
            target == prediction or _overlap_f1(target, prediction) for target, prediction in pairs
        )
    }


def squad(results: Results) -> dict[str, float]:
    """Exact match and word F1 of SQuAD 1.1's official script, each against the best of the row's
    "answers", and their mean.
    """
    em, f1 = _best_of_answers(results)
    return with_mean("squad", {"squad_em": em, "squad_f1": f1})


def record(results: Results) -> dict[str, float]:
    """Word F1 and exact match of ReCoRD's official script, each against the best of the query's
    "answers", and their mean. Every query must be there once.
    """
    em, f1 = _best_of_answers(results)
    return with_mean("record", {"record_f1": f1, "record_em": em})


def _best_of_answers(results: Results) -> tuple[float, float]:
    """Exact match and word F1. The two official scripts agree in all but their input files."""
    answers_by_row = results.column("answers")
    if [] in answers_by_row:
        raise DataError(
            f"row {answers_by_row.index([]) + 1} has no answers to score against: evaluate a split "
            "that has them, not one whose answers are kept secret"
        )
    words = [
        (_squad_words(prediction), [_squad_words(answer) for answer in answers])
        for answers, prediction in zip(answers_by_row, results.predictions)
    ]
    return (
        percentage(prediction in answers for prediction, answers in words),
        percentage(
            max(_overlap_f1(answer, prediction) for answer in answers)
            for prediction, answers in words
        ),
    )


def _overlap_f1(target: list[str], prediction: list[str]) -> float:
    shared = (Counter(target) & Counter(prediction)).total()
    return 2 * shared / (len(target) + len(prediction)) if shared else 0.0


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.lower())


def _squad_words(text: str) -> list[str]:
    """Words in SQuAD's sense: punctuation goes and joins what it stood between, then articles go."""
    return re.sub(r"\b(a|an|the)\b", " ", text.lower().translate(_PUNCTUATION)).split()
