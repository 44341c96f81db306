"""Trains a prompt, or whatever a method trains: `python -m prompt_tuning.train`.

`train` is plain Python and needs no gin; `main` makes its arguments from gin files. From here the
gradient is two files away: training/loop.py, training/step.py.
"""

from collections.abc import Mapping
import functools
import logging
import os
import pathlib

import optax

from prompt_tuning import checks
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.data import batches as data_batches
from prompt_tuning.data import tasks
from prompt_tuning.data.examples import DataError
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import evaluator
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import network
from prompt_tuning.training import lock
from prompt_tuning.training import loop
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding

log = logging.getLogger(__name__)


def train(
    model: weights.FrozenModel,
    method: methods.Method,
    task: tasks.Task,
    *,
    model_dir: str | os.PathLike,
    train_steps: int,
    task_feature_lengths: Mapping[str, int],
    batch_size: int = 32,
    optimizer: optax.GradientTransformation | None = None,
    seed: int = 0,
    arrangement: arrangements.Arrangement = arrangements.Bucketed(),
    accumulate: int = 1,
    train_split: str = "train",
    eval_split: str = "validation",
    decoder: decoders.Decoder = decoders.Greedy(),
    eval_period: int | None = 100,
    max_eval_examples: int | None = None,
    metric: str | None = None,
    patience: int | None = None,
    save_period: int = 100,
    log_period: int = 10,
    keep: int = 2,
    cache_dir: str | None = None,
    layout: sharding.Layout = sharding.Layout(),
    configuration: str | None = None,
) -> loop.Result:
    """Trains what `method` names on `task`, evaluates as it goes, and keeps the best.

    A run that is found in `model_dir` goes on where it stopped. What is written there stands in
    training/loop.py.

    Args:
      model: the frozen model, or the one to tune.
      method: what is added to it and what is trained.
      task: where examples come from and how they are scored.
      model_dir: where everything is written (MODEL_DIR).
      train_steps: steps of the whole run (TRAIN_STEPS).
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens (TASK_FEATURE_LENGTHS).
      batch_size: B, examples a step over all devices (BATCH_SIZE).
      optimizer: of what is trained; None for `optimizers.short_run_adafactor`.
      seed: of the batches' order, the first prompt and dropout (SEED).
      arrangement: how a step's examples are laid out in arrays; changes its cost only (ARRANGEMENT).
      accumulate: cut each step into at least this many parts, whose gradients add up, to save memory.
      train_split: split to train on.
      eval_split: split to evaluate on while training.
      decoder: the way to predict in evaluations (DECODER).
      eval_period: steps between evaluations; None for none at all (EVAL_PERIOD).
      max_eval_examples: evaluate on a fixed random part of the split, of plain text its beginning.
      metric: score that tells the best evaluation, "-name" if lower is better; None for the task's.
      patience: stop after this many evaluations without a better one; None for never.
      save_period: steps between saves.
      log_period: steps between logged scalars.
      keep: saves to keep for resuming, at least 2: the newest may turn out to be damaged.
      cache_dir: where tokenised data is kept, if anywhere.
      layout: how arrays lie on the devices.
      configuration: what made this run, kept as config.gin.

    Raises:
      DataError: data is missing or malformed; by file and row, before anything is compiled.
      lock.InUseError: another run writes to `model_dir`.
      loop.NotFiniteError: the loss became infinite or NaN.
      loop.Interrupted: Ctrl-C or SIGTERM came, and everything is saved.
      runs.SaveError: a save cannot be written; the one before it stays.
    """
    inputs_length, targets_length = checks.feature_lengths(task_feature_lengths)
    checks.numbers(
        "train",
        train_steps=train_steps,
        batch_size=batch_size,
        accumulate=accumulate,
        eval_period=eval_period,
        save_period=save_period,
        log_period=log_period,
        keep=keep,
        patience=patience,
        max_eval_examples=max_eval_examples,
        seed=seed,
    )
    checks.mounted(model_dir, "MODEL_DIR")
    if train_steps > optimizers.LM_ADAPTED_STEP:
        log.warning(
            "TRAIN_STEPS is %s: steps are counted from 0 here, not from those of the checkpoint as in T5X.",
            f"{train_steps:,}",
        )
    mesh = layout.mesh()
    model = layout.bind(model, mesh)
    sharding.check_batch_size(batch_size, accumulate, mesh)
    rows = task.rows(
        train_split, model.vocabulary, inputs_length, targets_length, seed=seed, cache_dir=cache_dir
    )
    step = arrangements.Step(
        batch_size,
        inputs_length,
        targets_length,
        mesh.shape[sharding.DATA],
        accumulate,
        method.slots,
    )
    batches = arrangements.ArrangedBatches(
        rows, step, arrangement, functools.partial(sharding.local_rows, mesh)
    )
    metric = metric or task.metric
    evaluate = None
    if eval_period is not None:
        options = evaluator.Options(
            eval_split,
            inputs_length,
            targets_length,
            batch_size,
            max_eval_examples,
            cache_dir,
            mesh,
            decoder,
        )
        first, _ = data_batches.Batches(
            rows, *options.shape, sharding.local_rows(mesh, batch_size)
        )(0)
        model_network = method.network(model)
        evaluate = evaluator.with_diagnostics(
            run_evaluator(model_network, model, task, options, metric),
            model_network,
            sharding.put_batch(first, mesh),
        )
    with lock.held(pathlib.Path(model_dir)):
        return loop.train(
            model,
            method,
            batches,
            model_dir=model_dir,
            steps=train_steps,
            optimizer=optimizer_or_default(optimizer, train_steps),
            evaluate=evaluate,
            eval_period=eval_period or train_steps,
            save_period=save_period,
            log_period=log_period,
            metric=metric,
            patience=patience,
            seed=seed,
            keep=keep,
            layout=layout,
            configuration=configuration,
            task_name=task.name,
        )


def optimizer_or_default(
    optimizer: optax.GradientTransformation | None, train_steps: int
) -> optax.GradientTransformation:
    return optimizer or optimizers.short_run_adafactor(train_steps)


def run_evaluator(
    model: network.T5,
    base: weights.FrozenModel,
    task: tasks.Task,
    options: evaluator.Options,
    metric: str,
) -> evaluator.Evaluator:
    """What evaluates a run as it goes.

    Raises:
      DataError: the task has no such split.
      ValueError: `metric` will be none of the scores.
    """
    if options.split not in task.splits:
        raise DataError(
            f"task {task.name} has no split {options.split!r} to evaluate on, only "
            f"{', '.join(task.splits)}: set EVAL_SPLIT, or EVAL_PERIOD = None"
        )
    evaluation = evaluator.Evaluator(model, base, task, options)
    loop.signed_score(dict.fromkeys(evaluation.score_names, 0.0), metric)
    return evaluation


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    command.run("train", train)


if __name__ == "__main__":
    main()
