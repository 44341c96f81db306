"""Metrics that only SuperGLUE's tasks have, and the benchmark's average (1905.00537).

Those it shares with other tasks are in classification.py, correlation.py and
question_answering.py.
"""

from collections import defaultdict
from collections.abc import Mapping

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics.classification import f1
from prompt_tuning.data.metrics.results import Results, percentage, with_mean

# What of a task's scores the average counts; of several the mean. The diagnostics have no part.
SUPER_GLUE_SCORES = {
    "boolq": ("accuracy",),
    "cb": ("accuracy", "macro_f1"),
    "copa": ("accuracy",),
    "multirc": ("multirc_f1a", "multirc_em"),
    "record": ("record_f1", "record_em"),
    "rte": ("accuracy",),
    "wic": ("accuracy",),
    "wsc": ("wsc",),
}
_DETERMINERS = set(
    "a an the this that these those my your his her our their whose which "
    "each every few many much some".split()
)


def super_glue_average(scores_by_task: Mapping[str, Mapping[str, float]]) -> float:
    """The mean over the eight tasks, where a task with two metrics counts their mean.

    Args:
      scores_by_task: short name of a task (SUPER_GLUE_SCORES) -> its scores, more of them than are
        counted or other tasks' too.

    Raises:
      DataError: a task or one of its scores is not there.
    """
    tasks = [_task_score(name, scores_by_task) for name in SUPER_GLUE_SCORES]
    return sum(tasks) / len(tasks)


def _task_score(task: str, scores_by_task: Mapping[str, Mapping[str, float]]) -> float:
    names, found = SUPER_GLUE_SCORES[task], scores_by_task.get(task, {})
    missing = [name for name in names if name not in found]
    if missing:
        raise DataError(
            f"SuperGLUE's average needs {' and '.join(missing)} of task {task}, found "
            + (", ".join(found) or f"only tasks {', '.join(scores_by_task) or '(none)'}")
            + ": evaluate that task too"
        )
    return sum(found[name] for name in names) / len(names)


def multirc(results: Results) -> dict[str, float]:
    """F1a, over all answer options; EM, the questions of which every option is right; their mean.

    A row is one option; "idx" names its "paragraph" and "question". The last label says that an
    option is an answer. An illegal prediction counts as the opposite of its target. Where only a
    sample of the options is evaluated, EM asks for those that are in it.
    """
    right: dict[tuple[int, int], bool] = defaultdict(lambda: True)
    for idx, target, prediction in zip(results.column("idx"), results.targets, results.predictions):
        right[idx["paragraph"], idx["question"]] &= target == prediction
    scores = {"multirc_f1a": f1(results)["f1"], "multirc_em": percentage(right.values())}
    return with_mean("multirc", scores)


def wsc(results: Results) -> dict[str, float]:
    """Accuracy of WSC where the model says what the pronoun refers to (T5's wsc_simple).

    The target is the candidate, and "label" says whether the pronoun does refer to it (1) or not
    (0). A row is right where the prediction matches the candidate just when the pronoun does. A
    prediction of no words, or of determiners only, is wrong either way.
    """
    rows = zip(results.column("label"), results.predictions, same_referents(results))
    return {
        "wsc": percentage(
            bool(_referent_words(prediction)) and same == label for label, prediction, same in rows
        )
    }


def same_referents(results: Results) -> list[bool]:
    """Whether each prediction names its target, the candidate: one has all words of the other, and
    both or neither have an apostrophe (Bob is not Bob's hat).
    """
    return [_same_referent(*texts) for texts in zip(results.targets, results.predictions)]


def _same_referent(candidate: str, prediction: str) -> bool:
    words = [_referent_words(text) for text in (candidate, prediction)]
    shorter, longer = sorted(words, key=len)
    return bool(shorter) and shorter <= longer and ("'" in candidate) == ("'" in prediction)


def _referent_words(text: str) -> set[str]:
    return set(text.lower().split()) - _DETERMINERS


def gender_parity(results: Results) -> dict[str, float]:
    """The pairs of sentences, differing in a pronoun's gender, with the same prediction for both
    (AX-g).

    Rows with "idx" 2n and 2n + 1 are a pair, as they follow each other in the official file. An
    illegal prediction makes its pair unequal; a row whose partner was not evaluated is left out.
    """
    pairs = defaultdict(list)
    for idx, prediction in zip(results.column("idx"), results.predictions):
        pairs[idx // 2].append(prediction)
    pairs = [pair for pair in pairs.values() if len(pair) == 2]
    if not pairs:
        raise DataError(
            "metric 'gender_parity' needs pairs of rows, found only halves: evaluate more examples"
        )
    return {
        "gender_parity": percentage(
            first == second and first in results.labels for first, second in pairs
        )
    }
