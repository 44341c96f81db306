"""Scores what was learned on a task's split: `python -m prompt_tuning.eval`.

`evaluate` is plain Python and needs no gin; `main` makes its arguments from gin files.
"""

from collections.abc import Mapping, Sequence
import contextlib
import logging
import os
import pathlib

import jax

from prompt_tuning import checks
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import ensemble
from prompt_tuning.evaluation import evaluator
from prompt_tuning.evaluation import reports
from prompt_tuning.methods import learned
from prompt_tuning.methods import method as methods
from prompt_tuning.training import sharding
from prompt_tuning.training import writers

log = logging.getLogger("prompt_tuning.eval")  # as a command the module is called __main__


def evaluate(
    model: weights.FrozenModel,
    method: methods.Method,
    task: tasks.Task,
    *,
    output_dir: str | os.PathLike,
    task_feature_lengths: Mapping[str, int],
    prompt_file: str | os.PathLike | Sequence[str | os.PathLike] | None = None,
    split: str = "validation",
    decoder: decoders.Decoder = decoders.Greedy(),
    combine: ensemble.Combine = ensemble.majority_vote,
    batch_size: int = 32,
    max_examples: int | None = None,
    cache_dir: str | None = None,
    layout: sharding.Layout = sharding.Layout(),
    configuration: str | None = None,
) -> dict[str, float]:
    """Evaluates a prompt on every example of a split, and writes what came of it.

    In `output_dir`: metrics.json and TensorBoard scalars, and predictions.jsonl
    (`predictions-TASK.jsonl` in a mixture) where the task has target texts.

    Args:
      model: the frozen model.
      method: what is added to it.
      task: a task or mixture.
      output_dir: where results are written (EVAL_OUTPUT_DIR).
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens (TASK_FEATURE_LENGTHS).
      prompt_file: a prompt file, or the MODEL_DIR of a run, of which the best is taken; a list of
        them is an ensemble; None evaluates a method that trains nothing (PROMPT_FILE).
      split: of the task (EVAL_SPLIT).
      decoder: the way to predict (DECODER).
      combine: what makes the answers of an ensemble one: `majority_vote` or
        `mean_log_probability`.
      batch_size: B, examples at once over all devices (BATCH_SIZE).
      max_examples: evaluate a fixed random part of the split, of plain text its beginning.
      cache_dir: where tokenised data is kept, if anywhere.
      layout: how arrays lie on the devices.
      configuration: what made this evaluation, kept as eval_config.gin.

    Returns:
      The scores, as in metrics.json.

    Raises OSError before anything is computed if nothing can be written in `output_dir`, and later
    if a file cannot: what it held before is still there.
    """
    checks.numbers("evaluate", max_examples=max_examples)
    checks.mounted(output_dir, "EVAL_OUTPUT_DIR")
    if jax.process_index() == 0:
        if model_dirs.holds_learned(pathlib.Path(output_dir)):
            raise ValueError(
                f"EVAL_OUTPUT_DIR {output_dir} is the MODEL_DIR of a run, whose scalars are its own: give "
                "another folder, or one in it."
            )
        checks.writable(output_dir, "EVAL_OUTPUT_DIR")
    mesh = layout.mesh()
    model = layout.bind(model, mesh)
    sharding.check_batch_size(batch_size, 1, mesh)
    options = evaluator.Options(
        split,
        *checks.feature_lengths(task_feature_lengths),
        batch_size,
        max_examples,
        cache_dir,
        mesh,
        decoder,
    )
    if names_several(prompt_file):
        adapted = learned.adapt_by_row(model, method, prompt_file, rows=batch_size)
        members = ensemble.Members(adapted.bank, combine)
    else:
        adapted, members = learned.adapt(model, method, prompt_file), None
    evaluation = evaluator.Evaluator(adapted.network, model, task, options, members)
    outcomes = evaluation(layout.put_params(adapted.network, adapted.params, mesh))
    scores = evaluator.flat_scores(outcomes)
    if jax.process_index() == 0:
        _write(pathlib.Path(output_dir), outcomes, scores, configuration)
    return scores


def names_several(prompt_file: learned.Path | Sequence[learned.Path] | None) -> bool:
    """Whether PROMPT_FILE is that of an ensemble."""
    return isinstance(prompt_file, Sequence) and not isinstance(prompt_file, str)


def _write(
    folder: pathlib.Path,
    outcomes: Mapping[str, evaluator.Outcome],
    scores: Mapping[str, float],
    configuration: str | None,
) -> None:
    for name, outcome in outcomes.items():
        if outcome.predictions:
            file = f"predictions-{name.replace('/', '-')}.jsonl" if name else "predictions.jsonl"
            reports.write_predictions(folder / file, outcome.predictions)
    writers.keep_configuration(folder / "eval_config.gin", configuration)
    reports.write_metrics(folder / "metrics.json", scores)
    with contextlib.closing(writers.ScalarWriter(folder)) as writer:
        writer(0, {f"eval/{name}": value for name, value in scores.items()})
    for name, value in scores.items():
        log.info("%s %.4g", name, value)
    log.info("Written to %s", folder)


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    command.run("evaluate", evaluate)


if __name__ == "__main__":
    main()
