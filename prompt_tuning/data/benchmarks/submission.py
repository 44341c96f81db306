"""Predictions for SuperGLUE's test splits in the format of its leaderboard (1905.00537, section 4).

One file of JSON lines a task. How predictions are made is evaluation/'s part.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import functools
import itertools
from typing import Any, NamedTuple

from prompt_tuning.data.benchmarks.table import BENCHMARKS
from prompt_tuning.data.metrics.super_glue import same_referent

Prediction = Mapping[str, Any]  # an example's fields and "prediction"
Lines = Callable[[Sequence[Prediction]], Iterable[dict]]


class Sheet(NamedTuple):
    """One task's part of a submission.

    Attributes:
      benchmark: the task's name.
      prompt: short name of the prompt that answers it; RTE's answers the diagnostics too.
      file: its name in the submission.
      of_sorted: predictions in the order of the official file -> JSON objects.
    """

    benchmark: str
    prompt: str
    file: str
    of_sorted: Lines

    def lines(self, predictions: Sequence[Prediction]) -> list[dict]:
        """The file's JSON objects, in its official order whatever that of the source was."""
        return list(self.of_sorted(sorted(predictions, key=_position)))


def _position(prediction: Prediction) -> tuple[int, ...]:
    idx = prediction["idx"]
    return tuple(idx.values()) if isinstance(idx, Mapping) else (idx,)


def legal(prediction: Prediction, labels: Sequence[str]) -> str:
    """The predicted label, whatever its case; the first one where it is none, for the leaderboard
    takes only labels.
    """
    found = prediction["prediction"].lower()
    return next((label for label in labels if label.lower() == found), labels[0])


def _labels(
    say: Callable[[str], Any], labels: Sequence[str], predictions: Sequence[Prediction]
) -> Iterable[dict]:
    return ({"idx": row["idx"], "label": say(legal(row, labels))} for row in predictions)


def _multirc(predictions: Sequence[Prediction]) -> Iterable[dict]:
    """A line a paragraph, with its questions and their answer options."""
    labels = BENCHMARKS["super_glue_multirc_v102"].labels

    def grouped(rows, part):
        return itertools.groupby(rows, key=lambda row: row["idx"][part])

    for paragraph, of_paragraph in grouped(predictions, "paragraph"):
        questions = [
            {
                "idx": question,
                "answers": [
                    {"idx": row["idx"]["answer"], "label": labels.index(legal(row, labels))}
                    for row in rows
                ],
            }
            for question, rows in grouped(of_paragraph, "question")
        ]
        yield {"idx": paragraph, "passage": {"questions": questions}}


def _record(predictions: Sequence[Prediction]) -> Iterable[dict]:
    return ({"idx": row["idx"]["query"], "label": row["prediction"]} for row in predictions)


def _wsc(predictions: Sequence[Prediction]) -> Iterable[dict]:
    """Whether the predicted referent is the row's candidate."""
    for row in predictions:
        label = same_referent(row["targets"], row["prediction"])
        yield {"idx": row["idx"], "label": str(label)}


def _sheet(config: str, file: str, say: Callable[[str], Any], prompt: str | None = None) -> Sheet:
    benchmark = f"super_glue_{config}_v102"
    lines = functools.partial(_labels, say, BENCHMARKS[benchmark].labels)
    return Sheet(benchmark, prompt or config, file, lines)


SHEETS = (
    _sheet("boolq", "BoolQ.jsonl", str.lower),
    _sheet("cb", "CB.jsonl", str),
    _sheet("copa", "COPA.jsonl", lambda choice: int(choice == "choice2")),
    Sheet("super_glue_multirc_v102", "multirc", "MultiRC.jsonl", _multirc),
    Sheet("super_glue_record_v102", "record", "ReCoRD.jsonl", _record),
    _sheet("rte", "RTE.jsonl", str),
    _sheet("wic", "WiC.jsonl", str.lower),
    Sheet("super_glue_wsc_and_dev_v102_simple", "wsc", "WSC.jsonl", _wsc),
    _sheet("axb", "AX-b.jsonl", str, prompt="rte"),
    _sheet("axg", "AX-g.jsonl", str, prompt="rte"),
)
