"""What a task is to training and evaluation: a name, splits, rows of each, and how it is scored.

Three kinds: examples with text targets (the base class here; files.py and seqio_tasks/ have the
tasks), plain text for pre-training, and mixtures. Which names mean which task is find_task.py's part.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from prompt_tuning.data.batches import ExampleRows, Rows
from prompt_tuning.data.cache import cached_examples
from prompt_tuning.data.examples import DataError, Examples
from prompt_tuning.data.mixtures import MixedRows
from prompt_tuning.data.objectives import Objective, SpanCorruption
from prompt_tuning.data.paths import PathLike, Paths
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.text import TextRows, load_tokens
from prompt_tuning.data.vocabulary import Vocabulary

log = logging.getLogger(__name__)
HELD_OUT_METRIC = "-loss_per_token"


@runtime_checkable
class Task(Protocol):
    """A named source of rows for each of its splits.

    `metric` is the score that tells which evaluation was best; a leading "-" says lower is better,
    "" that there is none.
    """

    name: str

    @property
    def metric(self) -> str: ...

    @property
    def splits(self) -> Collection[str]: ...

    def rows(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        cache_dir: PathLike | None = None,
    ) -> Rows: ...


class ExamplesTask:
    """What all tasks with text targets share.

    A subclass has `splits`, `identity`, `read` and `score`. `log_examples` says whether predictions
    are also to be shown in TensorBoard.
    """

    name: str
    metrics: Sequence[str]
    log_examples: bool = False

    @property
    def metric(self) -> str:
        return next(iter(self.metrics), "")

    @property
    def label_texts(self) -> Sequence[str] | None:
        """The legal target texts in order; None for a free-text task."""
        return None

    def load(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        cache_dir: PathLike | None = None,
    ) -> Examples:
        """The split as tokens, cut to the given lengths, from `cache_dir` where it has them.

        If the source is not on this machine, a cache made elsewhere serves. Raises DataError by the
        place of what is wrong.
        """
        self.check(split, vocabulary)
        identity = {
            "task": self.name,
            "split": split,
            "vocabulary": vocabulary.fingerprint,
            "inputs_length": inputs_length,
            "targets_length": targets_length,
            **self.identity(split),
        }
        return cached_examples(
            self.cache_folder(cache_dir),
            identity,
            lambda: self.read(split, vocabulary, inputs_length, targets_length),
        )

    def cache_folder(self, cache_dir: PathLike | None) -> PathLike | None:
        """Where examples are kept, where the run has CACHE_DIR; None for nowhere."""
        return cache_dir

    def check(self, split: str, vocabulary: Vocabulary) -> None:
        """Raises DataError where the task does not have the split, or is not for the vocabulary."""
        del vocabulary
        check_split(self, split)

    def identity(self, split: str) -> dict[str, object]:
        """What else the examples depend on: the task's definition and the content of its sources,
        or, on a machine that does not have these, what of it is known there.
        """
        raise NotImplementedError

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        """The split from its source."""
        raise NotImplementedError

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        """The task's metrics for one predicted text an example, in the examples' order."""
        raise NotImplementedError

    def rows(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        cache_dir: PathLike | None = None,
    ) -> ExampleRows:
        """Rows over shuffled epochs of the split's examples."""
        examples = load_examples(self, split, vocabulary, inputs_length, targets_length, cache_dir)
        return ExampleRows(examples, seed, shuffle)


def check_split(task: Task, split: str) -> None:
    """Raises DataError where the task does not have the split."""
    if split not in task.splits:
        raise DataError(
            f"task {task.name} has no split {split!r}, only {', '.join(task.splits)}"
            f"{nearest(split, list(task.splits))}"
        )


def load_examples(
    task: ExamplesTask,
    split: str,
    vocabulary: Vocabulary,
    inputs_length: int,
    targets_length: int,
    cache_dir: PathLike | None = None,
) -> Examples:
    """`task.load`, with a line in the log about what was read, cut and left out."""
    examples = task.load(split, vocabulary, inputs_length, targets_length, cache_dir)
    report = examples.report
    lost = report.rows_skipped + report.inputs_truncated + report.targets_truncated
    log.log(logging.WARNING if lost else logging.INFO, "%s, %s: %s", task.name, split, report)
    return examples


@dataclass(frozen=True)
class TextTask:
    """Plain text, a document a line or a JSON object's "text", corrupted by an objective; scored by
    its held-out loss.

    Attributes:
      name: what the task is called in reports.
      files: path, or several, of each split.
      objective: a class of objectives.py, or anything called in the same way.
    """

    name: str
    files: Mapping[str, Paths]
    objective: Callable[[Vocabulary, int, int], Objective] = SpanCorruption

    @property
    def metric(self) -> str:
        return HELD_OUT_METRIC

    @property
    def splits(self) -> Collection[str]:
        return self.files.keys()

    def rows(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        cache_dir: PathLike | None = None,
    ) -> TextRows:
        """Corrupted chunks of the split's text; with `shuffle` off always the same."""
        check_split(self, split)
        tokens = load_tokens(self.files[split], vocabulary, cache_dir)
        objective = self.objective(vocabulary, inputs_length, targets_length)
        return TextRows(tokens, objective, seed, shuffle, self.name)


@dataclass(frozen=True)
class MixtureTask:
    """Tasks mixed row by row at `rates`, of which only the ratios count; each is scored by itself.

    Scores are called `task/score`, by the names given here. The best evaluation is that of the
    first task's metric.
    """

    name: str
    tasks: Mapping[str, Task]
    rates: Mapping[str, float | int]

    def __post_init__(self):
        if set(self.tasks) != set(self.rates) or not self.tasks:
            raise DataError(
                f"mixture {self.name}: tasks {sorted(self.tasks)} have rates for {sorted(self.rates)}: "
                "give one rate a task"
            )

    @property
    def metric(self) -> str:
        name, task = next(iter(self.tasks.items()))
        sign = "-" if task.metric.startswith("-") else ""
        return f"{sign}{name}/{task.metric.removeprefix('-')}"

    @property
    def splits(self) -> Collection[str]:
        """Splits that any of the tasks has."""
        return list(dict.fromkeys(split for task in self.tasks.values() for split in task.splits))

    def summary(self, scores: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Scores of the mixture as a whole, from those of its tasks; none unless it has its own."""
        del scores
        return {}

    def rows(
        self,
        split: str,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        *,
        seed: int = 0,
        shuffle: bool = True,
        cache_dir: PathLike | None = None,
    ) -> MixedRows:
        """Rows of the tasks that have the split, each over its own epochs; the log names the others.

        Raises DataError if there are none.
        """
        drawn = {name: task for name, task in self.tasks.items() if split in task.splits}
        if not drawn:
            raise DataError(
                f"mixture {self.name}: no member to draw from has a split {split!r}; "
                f"there are {', '.join(self.splits)}"
            )
        without = [name for name in self.tasks if name not in drawn]
        if without:
            log.warning("mixture %s: without %s: no split %r", self.name, without, split)
        sources = {
            name: task.rows(
                split,
                vocabulary,
                inputs_length,
                targets_length,
                seed=seed,
                shuffle=shuffle,
                cache_dir=cache_dir,
            )
            for name, task in drawn.items()
        }
        return MixedRows(sources, {name: self.rates[name] for name in drawn}, seed)
