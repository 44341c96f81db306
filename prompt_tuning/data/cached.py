"""Tasks of which this machine has only the cache that another one made."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import ClassVar

from prompt_tuning.data.cache import cached_splits
from prompt_tuning.data.examples import DataError, Examples
from prompt_tuning.data.metrics import Results, score
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.tasks import ExamplesTask
from prompt_tuning.data.vocabulary import Vocabulary


@dataclass(frozen=True)
class CachedTask(ExamplesTask):
    """A seqio task's cached examples on a machine without seqio.

    Attributes:
      name: the task's, where the cache was made.
      cache_dir: the folder with its files, copied from there.
    """

    name: str
    cache_dir: PathLike
    metrics: ClassVar[Sequence[str]] = ("accuracy",)  # seqio's own are not to be had here

    @property
    def splits(self) -> Collection[str]:
        return cached_splits(self.cache_dir, self.name)

    def cache_folder(self, cache_dir: PathLike | None) -> PathLike:
        """The task's own."""
        return self.cache_dir

    def check(self, split: str, vocabulary: Vocabulary) -> None:
        """Nothing: what the cache lacks, `read` tells."""

    def identity(self, split: str) -> dict[str, object]:
        return {}

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        """Always raises DataError: only the cache has the examples."""
        raise DataError(
            f"task {self.name}, split {split!r}: {self.cache_dir} has nothing for "
            f"{vocabulary.name} and lengths {inputs_length}, {targets_length}, only splits "
            f"{list(self.splits)}: make the cache with these where seqio is installed"
        )

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        """Accuracy, in per cent."""
        right = [row["targets"] for row in examples.fields]
        results = Results(right, predictions, None, examples.fields)
        return score(self.metrics, results, vocabulary)
