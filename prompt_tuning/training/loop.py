"""The training loop: from a frozen model, a method and batches to what is learned.

It reads top to bottom: place arrays, resume, then step, evaluate and save. The
gradient is in `step.py`; what is evaluated is the caller's. In MODEL_DIR:

    checkpoints/        to resume from (trained arrays, optimizer, step)
    numpy_checkpoints/checkpoint_N/   what was learned by step N (prompts: .npy)
    best/               the same, of the best evaluation so far, or of the end if there is none
    scalars.jsonl, events.out.*       every logged number
"""

from collections.abc import Callable, Mapping
import contextlib
import dataclasses
import math
import os
import pathlib
import signal

import jax
import jax.numpy as jnp
import optax

from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.training import diagnostics
from prompt_tuning.training import interrupt
from prompt_tuning.training import optimizers
from prompt_tuning.training import progress as progress_lines
from prompt_tuning.training import resuming
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from prompt_tuning.training import writers

Scores = Mapping[str, float | str]  # texts among them are only logged


class Interrupted(KeyboardInterrupt):
    """Ctrl-C or SIGTERM ended the run before its last step; all of it has been saved.

    Attributes:
      exit_code: 128 and the signal's number, which schedulers know: 143 for SIGTERM, 130 for Ctrl-C.
    """

    def __init__(self, message: str, number: signal.Signals):
        super().__init__(message)
        self.exit_code = 128 + number


class NotFiniteError(ValueError):
    """The loss or an update stopped being finite."""


@dataclasses.dataclass(frozen=True)
class Best:
    """The best evaluation of a run so far, and at which step the last one was."""

    step: int = -1
    score: float = -math.inf
    evaluations_since: int = 0
    evaluated: int = -1

    def updated(self, step: int, score: float) -> "Best":
        if score > self.score:
            return Best(step, score, 0, step)
        since = self.evaluations_since + 1
        return dataclasses.replace(self, evaluations_since=since, evaluated=step)


@dataclasses.dataclass(frozen=True)
class Result:
    """What a run ended with: its last step, the trained arrays, the best evaluation."""

    step: int
    trained: parameters.Flat
    best: Best


def train(
    base: weights.FrozenModel,
    method: methods.Method,
    batches: arrangements.ArrangedBatches,
    *,
    model_dir: str | os.PathLike,
    steps: int,
    optimizer: optax.GradientTransformation,
    evaluate: Callable[[parameters.Flat, int], Scores] | None = None,
    eval_period: int = 100,
    save_period: int = 100,
    log_period: int = 10,
    metric: str = "accuracy",
    patience: int | None = None,
    seed: int = 0,
    keep: int = 2,
    layout: sharding.Layout = sharding.Layout(),
    configuration: str | None = None,
    task_name: str | None = None,
) -> Result:
    """Trains what `method` names, resuming from MODEL_DIR where it can.

    Args:
      base: the frozen model, or the one to tune.
      method: what is added and what is trained.
      batches: `batches(step)` -> (its parts, example ids), pure in the step.
      model_dir: where everything is written; a run found there goes on.
      steps: total steps, those of an earlier part of the run included.
      optimizer: of the trained arrays; freezing is added here.
      evaluate: `(flat parameters, step)` -> scores; each is logged.
      eval_period: steps between evaluations; the last step is evaluated too.
      save_period: steps between saves; the last step is saved too.
      log_period: steps between logged scalars.
      metric: the score whose best evaluation is kept in best/. Higher is better;
        a leading "-" turns a loss into a score.
      patience: stop after this many evaluations without a better one.
      seed: of the method's initialiser and of dropout.
      keep: saves to keep in checkpoints/, at least 2.
      layout: how arrays lie on the devices.
      configuration: what made this run, kept as config.gin.
      task_name: of what the batches are of; a run does not go on with another's.

    Raises:
      ValueError: MODEL_DIR holds a run of another task, model, shape, seed or batch size, or its
        saves are damaged, all of them.
      SaveError: a save cannot be written; the one before it stays.
      Interrupted: Ctrl-C or SIGTERM came, and everything is saved.
      NotFiniteError: names the step and the batch's example ids. The last good
        state has been saved by then.
    """
    model_dir = pathlib.Path(model_dir)
    mesh = layout.mesh()
    method.check_trained(base)
    model = method.network(base)
    params = dict(base.params) | method.initial(base, jax.random.key(seed))
    trained, _ = partition.split(params, method.trainable)
    identity = {
        **resuming.identity(task_name, batches, base, method, trained),
        "seed": seed,
    }

    with contextlib.ExitStack() as opening:  # closes it all where the run cannot begin
        # A save that is found must be this run's.
        best = Best()
        checkpoints = opening.enter_context(
            contextlib.closing(runs.RunCheckpoints(model_dir / runs.FOLDER, keep))
        )
        notes = checkpoints.notes()
        resuming.check(notes, identity, configuration, model_dir, [model_dir])
        if notes is not None:
            best = Best(**notes["best"])
            if not resuming.goes_on_by(metric, notes):
                best = Best(evaluated=best.evaluated)

        # Place arrays: each frozen weight goes to its devices once.
        params = layout.put_params(model, params, mesh)
        trained, frozen = partition.split(params, method.trainable)
        del params
        # A copy, for the step donates its state; in float32, whatever the activations are: a small
        # update of a bfloat16 weight is none.
        trained = jax.tree.map(lambda x: jnp.array(x, jnp.float32, copy=True), trained)
        optimizer = optimizers.freeze(optimizer, method.trainable)
        state = sharding.put_state(training_step.TrainState.create(trained, optimizer), mesh)
        train_step = training_step.CompiledStep(model, optimizer, seed, state, method.materialize)
        if notes is not None:
            state = checkpoints.restore(state)
        step = int(state.step)

        writers.keep_configuration(model_dir / "config.gin", configuration)
        writers.take_back(model_dir, step, best.evaluated)
        writer = opening.enter_context(contextlib.closing(writers.ScalarWriter(model_dir, step)))
        opened = opening.pop_all()
    progress = progress_lines.Progress(step, steps, batches.step.batch_size)
    if step >= steps:
        progress.note(f"{model_dir} is at step {step} of {steps}: there is no step left to train.")

    def put(step: int) -> tuple[list[training_step.Batch], list[str]]:
        parts, ids = batches(step)
        return [sharding.put_batch(part, mesh) for part in parts], ids

    def write_learned(folder: str, score: float | None = None) -> None:
        about = method.about(
            base,
            task=task_name,
            metric=None if score is None else metric,
            score=score,
            step=step,
            config=configuration,
        )
        trained = jax.tree.map(sharding.whole, state.trained)
        if jax.process_index() == 0:
            method.write(base, trained, model_dir / folder, about)

    def save() -> None:
        notes = {"best": dataclasses.asdict(best), "metric": metric}
        notes |= {"run": identity, "config": configuration}
        writer.sync()
        checkpoints.save(state, notes)
        if method.writes_every_save:
            write_learned(f"numpy_checkpoints/checkpoint_{step}")
        if best.step == step:  # best/ holds what a save knows of, whenever the run is killed
            write_learned("best", best.score)

    def evaluation_is_due() -> bool:
        period_ends = step >= steps or step > 0 and step % eval_period == 0
        return evaluate is not None and period_ends and best.evaluated < step

    def evaluate_now() -> Best:
        scores = evaluate({**frozen, **method.materialize(state.trained)}, step)
        writer(step, {f"eval/{name}": value for name, value in scores.items()})
        shown = {
            name: value
            for name, value in scores.items()
            if not isinstance(value, str) and not name.startswith(diagnostics.PREFIX)
        }
        progress.note(f"step {step}  " + "  ".join(f"{k} {v:.4g}" for k, v in shown.items()))
        return best.updated(step, signed_score(scores, metric))

    def read(done: int, ids: list[str], metrics: training_step.Metrics) -> None:
        """Looks at what a step computed, once it has; raises if the run cannot go on."""
        nonlocal step
        numbers = {name: float(x) for name, x in jax.device_get(metrics).items()}
        if not numbers["finite"]:
            step = done  # the steps that were begun since have changed nothing
            save()
            raise NotFiniteError(
                f"The loss or the update of step {step} is not finite (loss {numbers['loss']}), with "
                f"this process's examples {ids}. The state before it is saved in {model_dir}. Lower "
                "the learning rate, or look at the examples."
            )
        progress(done + 1, numbers["loss"])
        if (done + 1) % log_period == 0:
            scalars = {f"train/{name}": value for name, value in numbers.items()}
            writer(done + 1, scalars | diagnostics.update_ratio(numbers))

    # Each step is begun before the numbers of the one before it are read, so that the devices never
    # wait for this process: it makes and places the next step's arrays while they compute.
    with opened, interrupt.Interrupt() as interruption:
        proceed = sharding.put_state(jnp.array(True), mesh)
        if step < steps:
            parts, ids = put(step)
        unread: list[tuple[int, list[str], training_step.Metrics]] = []
        while True:
            evaluates = evaluation_is_due()
            saves = step > 0 and step % save_period == 0
            while len(unread) > (0 if evaluates or saves else 1):
                read(*unread.pop(0))
            if evaluates:
                with contextlib.suppress(interrupt.Asked):  # made up for when the run goes on
                    best = evaluate_now()
            if step >= steps or _exhausted(best, patience) or interruption.asked_now():
                break  # and save
            if saves or best.step == step:
                save()
            state, metrics = train_step(state, frozen, parts, proceed)
            interruption.begin()
            proceed = metrics["finite"]
            unread.append((step, ids, metrics))
            step += 1
            if step < steps:
                parts, ids = put(step)
        for numbers in unread:
            read(*numbers)
        save()
        if evaluate is None:
            write_learned("best")
    finished = step >= steps and not evaluation_is_due()
    if not finished and not _exhausted(best, patience):
        raise Interrupted(
            f"Stopped at step {step} of {steps}. The same command goes on from there ({model_dir}).",
            interruption.signal,
        )
    return Result(step, state.trained, best)


def signed_score(scores: Scores, metric: str) -> float:
    """The score that `metric` names, negative where a leading "-" says that lower is better.

    Raises ValueError if no score has the name.
    """
    name, sign = metric.removeprefix("-"), -1 if metric.startswith("-") else 1
    if name not in scores:
        raise ValueError(
            f"metric is {metric!r}, but the evaluation gave {sorted(scores)}: "
            "change train.metric or the task's metrics."
        )
    return sign * scores[name]


def _exhausted(best: Best, patience: int | None) -> bool:
    return patience is not None and best.evaluations_since >= patience
