"""A task's score for given parameters, again and again while they are trained.

Data is loaded and functions are made once, when an evaluation is; calling it compiles once. What a
score is comes from the task: predictions and its metrics where it has target texts, the held-out
loss where it is plain text, each member's where it is a mixture.
"""

from collections.abc import Callable, Iterator, Mapping
import dataclasses
import functools
import itertools
import logging

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import batches as data
from prompt_tuning.data import examples as data_examples
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import ensemble
from prompt_tuning.evaluation import held_out
from prompt_tuning.evaluation import predict
from prompt_tuning.evaluation import reports
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import diagnostics
from prompt_tuning.training import sharding

log = logging.getLogger(__name__)
Scores = dict[str, float]
WITHOUT_LABELS = decoders.Greedy()  # what ranks labels cannot rank in a free-text task
LOGGED = 16  # predictions of a task that logs examples


@dataclasses.dataclass(frozen=True)
class Outcome:
    """Scores of a task, its predictions if it has any, and whether some are to be logged."""

    scores: Scores
    predictions: list[predict.Prediction] = dataclasses.field(default_factory=list)
    log_examples: bool = False


Predict = Callable[[parameters.Flat, data_examples.Examples], Iterator[predict.Prediction]]


@dataclasses.dataclass(frozen=True)
class Part:
    """A task that is scored by itself: what evaluates it, and the names of its scores."""

    evaluate: Callable[[parameters.Flat], Outcome]
    score_names: tuple[str, ...]


@dataclasses.dataclass(frozen=True)
class Options:
    """What of a task is evaluated, and in which shapes.

    Attributes:
      split: of the task.
      inputs_length: T.
      targets_length: L, also the most tokens that are predicted.
      batch_size: B, over all processes.
      max_examples: evaluate a fixed random part of the split, of plain text its beginning; None for
        all of it.
      cache_dir: where tokenised data is kept, if anywhere.
      mesh: where the parameters lie on one.
      decoder: the way to predict.
    """

    split: str
    inputs_length: int
    targets_length: int
    batch_size: int
    max_examples: int | None = None
    cache_dir: str | None = None
    mesh: jax.sharding.Mesh | None = None
    decoder: decoders.Decoder = decoders.Greedy()

    @property
    def shape(self) -> tuple[int, int, int]:
        return self.batch_size, self.inputs_length, self.targets_length


class Evaluator:
    """Evaluates a task: `evaluator(params)` -> an outcome for each part of it.

    The parts of a mixture are its tasks, those that have the split; any other task is its own only
    part, called "". All share one compiled predictor, unless it ranks each one's labels.
    """

    def __init__(
        self,
        model: network.T5,
        base: weights.FrozenModel,
        task: tasks.Task,
        options: Options,
        members: ensemble.Members | None = None,
    ):
        """Loads the split's data.

        Args:
          model: the network with its method's modules in place; with `members` that of `per_row`.
          base: the frozen model.
          task: what is evaluated.
          options: how.
          members: the prompts of an ensemble, if it is one.

        Raises:
          DataError: the data is missing or malformed.
          ValueError: the decoder or the ensemble cannot do this task.
        """
        self._model, self._vocabulary, self._options = model, base.vocabulary, options
        self._task = task
        self._members, self._predictors = members, {}
        self._evaluate_loss = held_out.make_evaluate_loss(model, options.mesh)
        self._parts = {name: self._part(part) for name, part in _parts(task, options.split).items()}

    def __call__(self, params: parameters.Flat) -> dict[str, Outcome]:
        outcomes = {name: part.evaluate(params) for name, part in self._parts.items()}
        return outcomes | self._summary({name: found.scores for name, found in outcomes.items()})

    @property
    def score_names(self) -> list[str]:
        """What `flat_scores` will call the scores, known before anything is compiled."""
        scores = {name: dict.fromkeys(part.score_names, 0.0) for name, part in self._parts.items()}
        outcomes = {name: Outcome(values) for name, values in scores.items()}
        return list(flat_scores(outcomes | self._summary(scores)))

    def _summary(self, scores: Mapping[str, Scores]) -> dict[str, Outcome]:
        """What a mixture makes of its tasks' scores, as an outcome without a name."""
        if not isinstance(self._task, tasks.MixtureTask):
            return {}
        return {"": Outcome(summary)} if (summary := self._task.summary(scores)) else {}

    def _part(self, task: tasks.Task) -> Part:
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
            predictor = self._predictor(task)
            right = [row["targets"] for row in examples.fields]
            return Part(
                functools.partial(self._score, predictor, task, examples),
                tuple(task.score(examples, right, self._vocabulary)),
            )
        if self._members is not None:
            raise ValueError(f"An ensemble predicts, but task {task.name} has only a loss.")
        rows = task.rows(
            options.split,
            self._vocabulary,
            options.inputs_length,
            options.targets_length,
            shuffle=False,
            cache_dir=options.cache_dir,
        )
        return Part(functools.partial(self._held_out_loss, rows), held_out.SCORE_NAMES)

    def _predictor(self, task: tasks.ExamplesTask) -> Predict:
        """A predictor that ranks the task's labels, or writes text; those that write share one."""
        options = self._options
        labels = task.label_texts if options.decoder.ranks_labels else None
        decoder = options.decoder if labels or not options.decoder.ranks_labels else WITHOUT_LABELS
        if self._members is not None:
            ensemble.check_decoder(self._members.combine, task.name, decoder)
        if decoder is not options.decoder:
            log.warning("Task %s has no labels to rank: decoded by %s.", task.name, decoder)
        key = None if labels is None else tuple(labels)
        if key not in self._predictors:
            predictor = predict.Predictor(
                self._model,
                self._vocabulary,
                *options.shape,
                mesh=options.mesh,
                decoder=decoder,
                labels=labels,
            )
            if self._members is not None:
                predictor = ensemble.EnsemblePredictor(predictor, self._members)
            self._predictors[key] = predictor
        return self._predictors[key]

    def _score(
        self,
        predictor: Predict,
        task: tasks.ExamplesTask,
        examples: data_examples.Examples,
        params: parameters.Flat,
    ) -> Outcome:
        predictions = list(predictor(params, examples))
        texts = [row["prediction"] for row in predictions]
        scores = task.score(examples, texts, self._vocabulary)
        return Outcome(scores, predictions, task.log_examples)

    def _held_out_loss(self, rows: data.FiniteRows, params: parameters.Flat) -> Outcome:
        local = sharding.local_rows(self._options.mesh, self._options.batch_size)
        batches = data.eval_batches(rows, *self._options.shape, local)
        if self._options.max_examples is not None:
            batches = itertools.islice(
                batches, -(-self._options.max_examples // self._options.batch_size)
            )
        return Outcome(self._evaluate_loss(params, batches))


def flat_scores(outcomes: Mapping[str, Outcome]) -> Scores:
    """All scores in one dict: `task/score` in a mixture, `score` elsewhere."""
    return {
        _flat_name(name, score): value
        for name, outcome in outcomes.items()
        for score, value in outcome.scores.items()
    }


def _flat_name(part: str, score: str) -> str:
    return f"{part}/{score}" if part else score


def with_diagnostics(
    evaluator: Evaluator, model: network.T5, batch: Mapping[str, jax.Array]
) -> Callable[[parameters.Flat, int], dict[str, float | str]]:
    """`evaluate(params, step)` for the training loop: scores, and why they are what they are.

    Of a task that logs examples, the first predictions come with them, as a table.

    The diagnostics are of `batch`; a method that adds nothing to the network has none.
    """
    diagnose = diagnostics.make_diagnostics(model) if model.hooks else lambda params, batch: {}

    def evaluate_step(params: parameters.Flat, step: int) -> dict[str, float | str]:
        del step
        outcomes = evaluator(params)
        texts = {
            _flat_name(name, "examples"): reports.markdown_table(outcome.predictions[:LOGGED])
            for name, outcome in outcomes.items()
            if outcome.log_examples
        }
        return flat_scores(outcomes) | texts | diagnose(params, batch)

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
