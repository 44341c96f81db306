"""Predictions for SuperGLUE's test splits in the format of its leaderboard (1905.00537, section 4).

Texts are compared as metrics compare them, so that a file says what a score would count. How
predictions are made is evaluation/'s part.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
import functools
import itertools
from typing import Any, NamedTuple

from prompt_tuning.data.benchmarks.table import BENCHMARKS
from prompt_tuning.data.metrics.results import Results, normalised
from prompt_tuning.data.metrics.super_glue import same_referents
from prompt_tuning.data.vocabulary import Vocabulary

Prediction = Mapping[str, Any]  # an example's fields and "prediction"
Lines = Callable[[Results], Iterable[dict]]
_OUTER_FIRST = ("paragraph", "passage", "question", "query", "answer")


class Sheet(NamedTuple):
    """One task's part of a submission.

    Attributes:
      benchmark: the task's name.
      prompt: short name of the prompt that answers it; RTE's answers the diagnostics too.
      file: its name in the submission.
      of_sorted: what metrics see, in the order of the official file -> JSON objects.
    """

    benchmark: str
    prompt: str
    file: str
    of_sorted: Lines

    def lines(self, predictions: Sequence[Prediction], vocabulary: Vocabulary) -> list[dict]:
        """The file's JSON objects, in its official order whatever that of the source was.

        The vocabulary is that of the model that predicted.
        """
        rows = sorted(predictions, key=_position)
        results = Results(
            [row["targets"] for row in rows],
            [row["prediction"] for row in rows],
            BENCHMARKS[self.benchmark].labels,
            rows,
        )
        return list(self.of_sorted(normalised(results, vocabulary)))


def _position(prediction: Prediction) -> tuple[int, ...]:
    idx = prediction["idx"]
    if not isinstance(idx, Mapping):
        return (idx,)
    return tuple(idx[key] for key in _OUTER_FIRST if key in idx)  # TFDS has the keys by alphabet


def _chosen(results: Results) -> list[int]:
    """The number of each predicted label; 0 where it is none, for the leaderboard takes only
    labels.
    """
    numbers = {label: number for number, label in enumerate(results.labels)}
    return [numbers.get(prediction, 0) for prediction in results.predictions]


def _labels(answers: Sequence[Any], results: Results) -> Iterable[dict]:
    """A line an example, with what the leaderboard calls its label."""
    rows = zip(results.column("idx"), _chosen(results))
    return ({"idx": idx, "label": answers[number]} for idx, number in rows)


def _multirc(results: Results) -> Iterable[dict]:
    """A line a paragraph, with its questions and their answer options."""
    options = zip(results.column("idx"), _chosen(results))
    for paragraph, of_paragraph in itertools.groupby(options, lambda x: x[0]["paragraph"]):
        questions = [
            {
                "idx": question,
                "answers": [{"idx": idx["answer"], "label": label} for idx, label in of_question],
            }
            for question, of_question in itertools.groupby(of_paragraph, lambda x: x[0]["question"])
        ]
        yield {"idx": paragraph, "passage": {"questions": questions}}


def _record(results: Results) -> Iterable[dict]:
    """The predicted text as it is: the leaderboard has its own way to compare it."""
    rows = zip(results.column("idx"), results.column("prediction"))
    return ({"idx": idx["query"], "label": prediction} for idx, prediction in rows)


def _wsc(results: Results) -> Iterable[dict]:
    """Whether the predicted referent is the row's candidate."""
    rows = zip(results.column("idx"), same_referents(results))
    return ({"idx": idx, "label": str(same)} for idx, same in rows)


def _sheet(config: str, file: str, say: Callable[[str], Any], prompt: str | None = None) -> Sheet:
    benchmark = f"super_glue_{config}_v102"
    answers = [say(label) for label in BENCHMARKS[benchmark].labels]
    return Sheet(benchmark, prompt or config, file, functools.partial(_labels, answers))


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
