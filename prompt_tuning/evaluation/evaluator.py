"""A task's score for given parameters, again and again while they are trained.

Data is loaded and functions are made once, when an evaluation is; calling it compiles once. What a
score is comes from the task: predictions and its metrics where it has target texts, the held-out
loss where it is plain text, each member's where it is a mixture.
"""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import itertools

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import batches as data
from prompt_tuning.data import examples as data_examples
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import evaluate
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import network
from prompt_tuning.training import diagnostics
from prompt_tuning.training import partition

Scores = dict[str, float]


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Scores of a task, and its predictions if it has any."""

    scores: Scores
    predictions: list[predict.Prediction] = dataclasses.field(default_factory=list)


Evaluation = Callable[[partition.Flat], Outcome]


@dataclasses.dataclass(frozen=True)
class Options:
    """What of a task is evaluated, and in which shapes.

    Attributes:
      split: of the task.
      inputs_length: T.
      targets_length: L, also the most tokens that are predicted.
      batch_size: B, over all processes.
      max_examples: evaluate a fixed random part of the split; None for all of it.
      cache_dir: where tokenised data is kept, if anywhere.
      sharding: of a batch's rows over the devices.
    """

    split: str
    inputs_length: int
    targets_length: int
    batch_size: int
    max_examples: int | None = None
    cache_dir: str | None = None
    sharding: jax.sharding.Sharding | None = None

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.batch_size, self.inputs_length, self.targets_length


class Evaluator:
    """Evaluates a task: `evaluator(params)` -> an outcome for each part of it.

    The parts of a mixture are its tasks, those that have the split; any other task is its own only
    part, called "". All share one compiled predictor.
    """

    def __init__(
        self, model: network.T5, base: weights.FrozenModel, task: tasks.Task, options: Options
    ):
        """Loads the split's data. Raises DataError where it is missing or malformed."""
        self._model, self._vocabulary, self._options = model, base.vocabulary, options
        self._predictor = predict.Predictor(
            model, base.vocabulary, *options.shape, sharding=options.sharding
        )
        self._evaluate_loss = evaluate.make_evaluate_loss(model, options.sharding)
        self._parts = {name: self._part(part) for name, part in _parts(task, options.split).items()}

    def __call__(self, params: partition.Flat) -> dict[str, Outcome]:
        return {name: part(params) for name, part in self._parts.items()}

    def _part(self, task: tasks.Task) -> Evaluation:
        options = self._options
        if isinstance(task, tasks.ExamplesTask):
            examples = tasks.load_examples(
                task,
                options.split,
                self._vocabulary,
                options.inputs_length,
                options.targets_length,
                options.cache_dir,
            ).sample(options.max_examples)
            return functools.partial(self._score, task, examples)
        rows = task.rows(
            options.split,
            self._vocabulary,
            options.inputs_length,
            options.targets_length,
            shuffle=False,
            cache_dir=options.cache_dir,
        )
        return functools.partial(self._held_out_loss, rows)

    def _score(
        self, task: tasks.ExamplesTask, examples: data_examples.Examples, params: partition.Flat
    ) -> Outcome:
        predictions = list(self._predictor(params, examples))
        texts = [row["prediction"] for row in predictions]
        return Outcome(task.score(examples, texts, self._vocabulary), predictions)

    def _held_out_loss(self, rows: data.FiniteRows, params: partition.Flat) -> Outcome:
        batches = data.eval_batches(rows, *self._options.shape)
        if self._options.max_examples is not None:
            batches = itertools.islice(
                batches, -(-self._options.max_examples // self._options.batch_size)
            )
        return Outcome(self._evaluate_loss(params, batches))


def flat_scores(outcomes: Mapping[str, Outcome]) -> Scores:
    """All scores in one dict: `task/score` in a mixture, `score` elsewhere."""
    return {
        f"{name}/{score}" if name else score: value
        for name, outcome in outcomes.items()
        for score, value in outcome.scores.items()
    }


def with_diagnostics(
    evaluator: Evaluator, model: network.T5, batch: Mapping[str, jax.Array]
) -> Callable[[partition.Flat, int], Scores]:
    """`evaluate(params, step)` for the training loop: scores, and why they are what they are.

    The diagnostics are of `batch`; a method that adds nothing to the network has none.
    """
    diagnose = diagnostics.make_diagnostics(model) if model.hooks else lambda params, batch: {}

    def evaluate_step(params: partition.Flat, step: int) -> Scores:
        del step
        return flat_scores(evaluator(params)) | diagnose(params, batch)

    return evaluate_step


def _parts(task: tasks.Task, split: str) -> dict[str, tasks.Task]:
    """The tasks that are scored by themselves, by the name their scores get."""
    if not isinstance(task, tasks.MixtureTask):
        return {"": task}
    parts = {
        "/".join(filter(None, (name, inner))): part
        for name, member in task.tasks.items()
        if split in member.splits
        for inner, part in _parts(member, split).items()
    }
    if not parts:
        raise data_examples.DataError(
            f"no task of mixture {task.name} has a split {split!r}; they have {list(task.splits)}"
        )
    return parts
