"""A task whose targets begin with a sentinel, for frozen models that saw span corruption alone.

The paper's "span corruption + sentinel" (section 3.2, Figure 3c). What a sentinel is stands in
vocabulary.py, span corruption in objectives.py.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace

from prompt_tuning.data.examples import DataError, Examples, Ragged
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.tasks import ExamplesTask, Task
from prompt_tuning.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class SentinelTask(ExamplesTask):
    """Another task, with the first sentinel before each target: the first thing that a model which
    was trained on span corruption alone has ever written.

    It is scored as the other task, by what stands behind the sentinel; a prediction without it is
    taken as it is. Labels cannot be ranked.

    Attributes:
      task: one with text targets. TASK_FEATURE_LENGTHS["targets"] has to hold the sentinel too.
    """

    task: Task

    def __post_init__(self):
        if not isinstance(self.task, ExamplesTask):
            raise DataError(
                f"SentinelTask.task: expected a task with text targets, found {self.task.name}"
            )

    @property
    def name(self) -> str:
        return f"{self.task.name}_sentinel"

    @property
    def metrics(self) -> Sequence[str]:
        return self.task.metrics

    @property
    def log_examples(self) -> bool:
        return self.task.log_examples

    @property
    def splits(self) -> Collection[str]:
        return self.task.splits

    def check(self, split: str, vocabulary: Vocabulary) -> None:
        self.task.check(split, vocabulary)

    def cache_folder(self, cache_dir: PathLike | None) -> PathLike | None:
        return self.task.cache_folder(cache_dir)

    def identity(self, split: str) -> dict[str, object]:
        return self.task.identity(split)

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        if targets_length < 2:
            raise DataError(
                f"task {self.name}: the sentinel leaves no room for targets in one token: raise "
                'TASK_FEATURE_LENGTHS["targets"]'
            )
        examples = self.task.load(split, vocabulary, inputs_length, targets_length - 1)
        sentinel = vocabulary.sentinel_id(0)
        rows = [[sentinel, *examples.targets[i].tolist()] for i in range(len(examples))]
        return replace(examples, targets=Ragged.from_rows(rows))

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        sentinel = vocabulary.decode([vocabulary.sentinel_id(0)])
        texts = [text.removeprefix(sentinel).lstrip() for text in predictions]
        return self.task.score(examples, texts, vocabulary)
