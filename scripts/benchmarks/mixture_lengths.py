"""Examples as long as those of SuperGLUE's training mixture: an approximation, from published averages.

No text of SuperGLUE is here. Each task's inputs get a log-normal number of tokens, cut at T as
loading cuts them. The mean counts the words of the text (below), at 1.3 SentencePiece tokens each,
which is usual for English in T5's vocabulary, and the words that T5's template adds. Tasks are drawn
at T5's rates, their number of training examples (answers, for MultiRC and ReCoRD).

    BoolQ    question 9, passage 108 (Clark et al. 2019)
    MultiRC  paragraph 263, question 11, answer 5 (Khashabi et al. 2018)
    ReCoRD   passage 170, query 21 (Zhang et al. 2018), and about 15 names of 2 words each
    WiC      two sentences of 8 (Pilehvar and Camacho-Collados 2019)
    others   our estimates; together they are 3 in 100 examples
"""

from collections.abc import Mapping
import dataclasses
from typing import Any

import numpy as np

_TOKENS_PER_WORD = 1.3
_SPREAD = 0.35  # of the logarithm of a length: our estimate, as for paragraphs of news


@dataclasses.dataclass(frozen=True)
class Task:
    """One of the mixture.

    Attributes:
      rate: training examples.
      words: of an input's texts, on average.
      template: words that T5's template adds.
      target: tokens of an answer, the end of sequence included.
    """

    rate: int
    words: float
    template: int
    target: int


TASKS = {
    "boolq": Task(9_427, 117, 4, 2),
    "cb": Task(250, 70, 4, 4),
    "copa": Task(400, 18, 8, 3),
    "multirc": Task(27_243, 279, 5, 2),
    "record": Task(138_854, 221, 6, 5),
    "rte": Task(2_490, 62, 4, 4),
    "wic": Task(5_428, 17, 8, 2),
    "wsc": Task(259, 20, 2, 4),
}


def of_step(settings: Mapping[str, Any], step: int) -> list[tuple[np.ndarray, np.ndarray]]:
    """(inputs, targets) of a step's examples, random tokens; after so many `batches`, again.

    Tasks are drawn at their rates, or each as often as any other (`each_task_alike`).
    """
    rng = np.random.default_rng(step % settings["batches"])
    tasks = list(TASKS.values())
    rates = np.array([1 if settings["each_task_alike"] else task.rate for task in tasks])
    drawn = rng.choice(len(tasks), settings["shape"]["batch"], p=rates / rates.sum())
    return [_example(rng, tasks[i], settings) for i in drawn]


def _example(rng: np.random.Generator, task: Task, settings: Mapping[str, Any]):
    mean = _TOKENS_PER_WORD * (task.words + task.template)
    # A log-normal's mean is exp(mu + spread^2 / 2).
    length = int(mean * np.exp(_SPREAD * rng.standard_normal() - _SPREAD**2 / 2))
    shape, vocabulary = settings["shape"], settings["config"]["vocab_size"]
    lengths = np.clip(length, 1, shape["inputs"]), min(task.target, shape["targets"])
    return tuple(rng.integers(2, vocabulary, n, dtype=np.int32) for n in lengths)
