"""Learning rates x seeds of a soft prompt on one frozen model, trained together in one compiled step.

    python -m prompt_tuning.experiments.sweep --gin_file=MODEL.gin --gin_file=TASK.gin \\
      --gin.MODEL_DIR=FOLDER --gin.TRAIN_STEPS=300 --learning_rates 0.1 0.3 --seeds 0 1 2

Each member has the batches, the first prompt and the dropout that it has in a run alone
(prompt_tuning/train.py, arrangement Padded), and so the same prompt, but for rounding. A step reads
the frozen weights once for all members, and keeps activations of all: memory grows with their number.
The optimizer is sweep.optimizer, not OPTIMIZER. In FOLDER:

    lr_L--seed_S/       of each member: best/ (PROMPT_FILE takes this folder), scalars
    results.jsonl       a line a member: learning rate, seed, best step, validation score
    checkpoints/        to go on from, all members in one

`train_together` takes what train.py's `train` takes, `sweep` is the short way from Python.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import functools
import json
import logging
import os
import pathlib
import sys
from typing import Any

import jax
import numpy as np

from prompt_tuning import atomic
from prompt_tuning import checks
from prompt_tuning import train
from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import evaluator
from prompt_tuning.experiments import together
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.training import diagnostics
from prompt_tuning.training import interrupt
from prompt_tuning.training import lock
from prompt_tuning.training import loop
from prompt_tuning.training import optimizers
from prompt_tuning.training import progress as progress_lines
from prompt_tuning.training import resuming
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from prompt_tuning.training import writers

RESULTS = "results.jsonl"
log = logging.getLogger("prompt_tuning.experiments.sweep")  # as a command it is called __main__


@dataclasses.dataclass(frozen=True)
class Result:
    """What became of a member.

    Attributes:
      member: it.
      folder: where its best prompt is.
      trained: its last prompt.
      best: its best evaluation.
      stopped: the step whose loss or update was not finite, and which left it as it was; None if
        all steps were taken.
    """

    member: together.Member
    folder: pathlib.Path
    trained: parameters.Flat
    best: loop.Best
    stopped: int | None


def sweep(
    model: weights.FrozenModel,
    task: tasks.Task,
    *,
    length: int,
    initializer: initializers.Initializer,
    **options: Any,
) -> list[Result]:
    """Trains a prompt of `length` rows for each member; `train_together` has the other arguments.

    Args:
      model: the frozen model.
      task: where examples come from and how they are scored.
      length: P.
      initializer: first value of the prompts, drawn by each member's seed.
      **options: `members`, `out` and any other argument of `train_together`.
    """
    return train_together(model, soft_prompt.SoftPrompt(length, initializer), task, **options)


def train_together(
    model: weights.FrozenModel,
    method: soft_prompt.SoftPrompt,
    task: tasks.Task,
    *,
    members: Sequence[together.Member],
    out: str | os.PathLike,
    train_steps: int,
    task_feature_lengths: Mapping[str, int],
    batch_size: int = 32,
    optimizer: together.Optimizer | None = None,
    train_split: str = "train",
    eval_split: str = "validation",
    decoder: decoders.Decoder = decoders.Greedy(),
    eval_period: int | None = 100,
    max_eval_examples: int | None = None,
    metric: str | None = None,
    save_period: int = 100,
    log_period: int = 10,
    keep: int = 2,
    cache_dir: str | None = None,
    layout: sharding.Layout = sharding.Layout(),
    configuration: str | None = None,
) -> list[Result]:
    """Trains all members in step with each other, evaluates them in turn, and keeps each one's best.

    A sweep that is found in `out` goes on where it stopped. A member whose loss or update is not
    finite stays as it was before, and the others go on.

    Args:
      model: the frozen model.
      method: the prompt of every member.
      task: where examples come from and how they are scored.
      members: what differs; no two alike.
      out: where everything is written (MODEL_DIR).
      train_steps: steps of every member (TRAIN_STEPS).
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens (TASK_FEATURE_LENGTHS).
      batch_size: B, examples a step of each member (BATCH_SIZE).
      optimizer: that of a learning rate, which is an array without a value when it is called; None
        for `optimizers.short_run_adafactor`.
      train_split: split to train on.
      eval_split: split to evaluate on while training.
      decoder: the way to predict in evaluations (DECODER).
      eval_period: steps between evaluations; None for none at all (EVAL_PERIOD).
      max_eval_examples: evaluate on a fixed random part of the split.
      metric: score that tells the best evaluation, "-name" if lower is better; None for the task's.
      save_period: steps between saves.
      log_period: steps between logged scalars.
      keep: saves to keep for resuming, at least 2.
      cache_dir: where tokenised data is kept, if anywhere.
      layout: how arrays lie on the devices.
      configuration: what made this sweep, kept as config.gin.

    Returns:
      One result a member, in their order.

    Raises:
      DataError: data is missing or malformed.
      ValueError: `out` holds another sweep, or an argument cannot be.
      lock.InUseError: another run writes to `out`.
      loop.Interrupted: Ctrl-C or SIGTERM came, and everything is saved.
    """
    _check_members(members)
    checks.numbers(
        "sweep",
        train_steps=train_steps,
        batch_size=batch_size,
        eval_period=eval_period,
        save_period=save_period,
        log_period=log_period,
        keep=keep,
        max_eval_examples=max_eval_examples,
    )
    checks.mounted(out, "MODEL_DIR")
    lengths = checks.feature_lengths(task_feature_lengths)
    mesh = layout.mesh()
    model = layout.bind(model, mesh)
    sharding.check_batch_size(batch_size, 1, mesh)
    shape = arrangements.Step(batch_size, *lengths, mesh.shape[sharding.DATA])
    batches = {
        seed: arrangements.ArrangedBatches(
            task.rows(train_split, model.vocabulary, *lengths, seed=seed, cache_dir=cache_dir),
            shape,
            arrangements.Padded(),
            functools.partial(sharding.local_rows, mesh),
        )
        for seed in sorted({member.seed for member in members})
    }
    model_network, metric, evaluate = method.network(model), metric or task.metric, None
    if eval_period is not None:
        options = evaluator.Options(
            eval_split, *lengths, batch_size, max_eval_examples, cache_dir, mesh, decoder
        )
        evaluation = train.run_evaluator(model_network, model, task, options, metric)
        evaluate = lambda params: evaluator.flat_scores(evaluation(params))

    optimizer = optimizer_or_default(optimizer, train_steps)
    joint = together.Together(model_network, method.trainable, optimizer, members, mesh)
    prompts = {seed: method.initial(model, jax.random.key(seed)) for seed in batches}
    state = joint.first([prompts[member.seed] for member in members])
    params = layout.put_params(model_network, dict(model.params) | prompts[members[0].seed], mesh)
    _, frozen = partition.split(params, method.trainable)
    del params

    def put(step: int) -> dict[str, jax.Array]:
        by_seed = {seed: of_seed(step)[0][0] for seed, of_seed in batches.items()}
        return sharding.put_batch(together.side_by_side([by_seed[x.seed] for x in members]), mesh)

    with lock.held(pathlib.Path(out)):
        return _train(
            _Files(model, method, task.name, members, pathlib.Path(out), metric, configuration),
            joint,
            state,
            frozen,
            put,
            evaluate,
            identity={
                **resuming.identity(
                    task.name, batches[members[0].seed], model, method, state.members.trained
                ),
                "members": [[member.learning_rate, member.seed] for member in members],
            },
            steps=train_steps,
            eval_period=eval_period or train_steps,
            save_period=save_period,
            log_period=log_period,
            keep=keep,
        )


@dataclasses.dataclass(frozen=True)
class _Files:
    """What a sweep writes of its members."""

    model: weights.FrozenModel
    method: soft_prompt.SoftPrompt
    task_name: str
    members: Sequence[together.Member]
    out: pathlib.Path
    metric: str
    configuration: str | None

    @property
    def folders(self) -> list[pathlib.Path]:
        return [self.out / member.name for member in self.members]

    def write_best(self, number: int, state: together.SweepState, best: loop.Best) -> None:
        """The member's prompt as it is now, with what it was trained for."""
        if jax.process_index() > 0:
            return
        member, scored = self.members[number], best.step >= 0
        about = self.method.about(
            self.model,
            task=self.task_name,
            learning_rate=member.learning_rate,
            seed=member.seed,
            metric=self.metric if scored else None,
            score=best.score if scored else None,
            step=np.asarray(state.members.step)[number],
            config=self.configuration,
        )
        prompt = {name: np.asarray(x)[number] for name, x in state.members.trained.items()}
        self.method.write(self.model, prompt, self.folders[number] / "best", about)

    def write_results(self, results: Sequence[Result]) -> None:
        if jax.process_index() > 0:
            return
        lines = []
        for result in results:
            scored = result.best.step >= 0
            line = {
                "learning_rate": result.member.learning_rate,
                "seed": result.member.seed,
                "best_step": result.best.step if scored else None,
                "metric": self.metric if scored else None,
                "score": result.best.score if scored else None,
                "stopped": result.stopped,
                "folder": result.folder.name,
            }
            lines.append(json.dumps(line) + "\n")
        with atomic.writing(self.out / RESULTS) as partial:
            partial.write_text("".join(lines), encoding="utf-8")


def _train(
    files: _Files,
    joint: together.Together,
    state: together.SweepState,
    frozen: parameters.Flat,
    put: Callable[[int], training_step.Batch],
    evaluate: Callable[[parameters.Flat], Mapping[str, float]] | None,
    *,
    identity: Mapping[str, Any],
    steps: int,
    eval_period: int,
    save_period: int,
    log_period: int,
    keep: int,
) -> list[Result]:
    """training/loop.py's order of things, for all members: resume, then step, evaluate and save."""
    members, metric = files.members, files.metric
    with contextlib.ExitStack() as stack:
        checkpoints = runs.RunCheckpoints(files.out / runs.FOLDER, keep)
        stack.callback(checkpoints.close)
        bests = [loop.Best() for _ in members]
        notes = checkpoints.notes()
        resuming.check(notes, identity, files.configuration, files.out, files.folders)
        if notes is not None:
            bests = [loop.Best(**best) for best in notes["best"]]
            if not resuming.goes_on_by(metric, notes):
                bests = [loop.Best(evaluated=best.evaluated) for best in bests]
            state = checkpoints.restore(state)
        step, alive = int(state.step), np.asarray(state.finite)
        writers.keep_configuration(files.out / "config.gin", files.configuration)
        for folder, best in zip(files.folders, bests):
            writers.take_back(folder, step, best.evaluated)
        scalars = [writers.ScalarWriter(folder, step) for folder in files.folders]
        for writer in scalars:
            stack.callback(writer.close)
        examples = identity["batch"] * len(members)
        progress = progress_lines.Progress(step, steps, examples)

        def ended() -> bool:
            return step >= steps or not alive.any()

        def improved() -> list[int]:
            return [number for number, best in enumerate(bests) if best.step == step]

        def prompt_of(number: int) -> parameters.Flat:
            return {name: x[number] for name, x in state.members.trained.items()}

        def save() -> None:
            notes = {"best": [dataclasses.asdict(best) for best in bests], "metric": metric}
            for writer in scalars:
                writer.sync()
            checkpoints.save(state, notes | {"run": identity, "config": files.configuration})
            for number in improved():  # best/ holds what a save knows of
                files.write_best(number, state, bests[number])

        def evaluation_is_due() -> bool:
            period_ends = ended() or step > 0 and step % eval_period == 0
            return evaluate is not None and period_ends and bests[0].evaluated < step

        def evaluate_all() -> list[loop.Best]:
            scores = [evaluate({**frozen, **prompt_of(number)}) for number in range(len(members))]
            for member, writer, found in zip(members, scalars, scores):
                writer(step, {f"eval/{name}": value for name, value in found.items()})
                shown = "  ".join(f"{name} {value:.4g}" for name, value in found.items())
                progress.note(f"step {step}  {member.name}  {shown}")
            return [
                best.updated(step, loop.signed_score(found, metric))
                for best, found in zip(bests, scores)
            ]

        def read(metrics: training_step.Metrics) -> None:
            """Looks at what the last step computed."""
            nonlocal alive
            numbers = {name: np.asarray(x) for name, x in metrics.items()}
            for number in np.flatnonzero(alive & ~numbers["finite"]):
                log.warning(
                    "%s: the loss or the update of step %d is not finite (loss %s). This prompt "
                    "stays as it was before, the others go on.",
                    members[number].name,
                    step - 1,
                    numbers["loss"][number],
                )
            alive = numbers["finite"]
            if alive.any():
                progress(step, numbers["loss"][alive].mean())
            if step % log_period == 0:
                for number in np.flatnonzero(alive):
                    own = {name: float(x[number]) for name, x in numbers.items()}
                    logged = {f"train/{name}": value for name, value in own.items()}
                    scalars[number](step, logged | diagnostics.update_ratio(own))

        interruption = stack.enter_context(interrupt.Interrupt())
        batch = None if ended() else put(step)
        while True:
            if evaluation_is_due():
                with contextlib.suppress(interrupt.Asked):  # made up for when the sweep goes on
                    bests = evaluate_all()
            if ended() or interruption.asked_now():
                break  # and save
            if step > 0 and step % save_period == 0 or improved():
                save()
            state, metrics = joint.step(state, frozen, batch)
            interruption.begin()
            step += 1
            if step < steps:
                batch = put(step)  # while the devices compute
            read(metrics)
        save()
        if not ended() or evaluation_is_due():
            raise loop.Interrupted(
                f"Stopped at step {step} of {steps}. The same command goes on from there "
                f"({files.out}).",
                interruption.signal,
            )
        own_steps = np.asarray(state.members.step)
        results = []
        for number, (member, folder) in enumerate(zip(members, files.folders)):
            if evaluate is None:
                files.write_best(number, state, bests[number])
            stopped = None if alive[number] else int(own_steps[number])
            results.append(Result(member, folder, prompt_of(number), bests[number], stopped))
    files.write_results(results)
    return results


def optimizer_or_default(
    optimizer: together.Optimizer | None, train_steps: int
) -> together.Optimizer:
    return optimizer or functools.partial(optimizers.short_run_adafactor, train_steps)


def _check_members(members: Sequence[together.Member]) -> None:
    names = [member.name for member in members]
    if not names or len(set(names)) < len(names):
        raise ValueError(
            f"A sweep needs at least one member, and no two alike, found {names or 'none'}: change "
            "LEARNING_RATES (--learning_rates) or SEEDS (--seeds)."
        )


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    flags = argparse.ArgumentParser(add_help=False, allow_abbrev=False)
    flags.add_argument("--learning_rates", nargs="+", type=float)
    flags.add_argument("--seeds", nargs="+", type=int)
    lists, others = flags.parse_known_args()
    bindings = [f"--gin.{k.upper()}={v!r}" for k, v in vars(lists).items() if v is not None]
    sys.argv[1:] = [*others, *bindings]
    command.run("sweep", train_together)


if __name__ == "__main__":
    main()
