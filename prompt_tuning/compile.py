"""Compiles a run for a TPU slice that is not here, and says what it would need there:
`python -m prompt_tuning.compile --topology v5e:4x4` and the gin files of the run.

The compiler is the real one (the package libtpu). No weight is read, none is made. The numbers of a
chip are read from the compiled program; its rates are published ones (planning/chips.py).
"""

from collections.abc import Mapping, Sequence
from typing import Any

import jax
import optax

from prompt_tuning import checks
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.examples import label_texts
from prompt_tuning.evaluation import decoders
from prompt_tuning.methods import method as methods
from prompt_tuning.planning import chips
from prompt_tuning.planning import programs
from prompt_tuning.planning import reports
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding


def compile_run(
    model: weights.FrozenModel,
    method: methods.Method,
    *,
    topology: str,
    task_feature_lengths: Mapping[str, int],
    batch_size: int = 32,
    optimizer: optax.GradientTransformation | None = None,
    decoder: decoders.Decoder = decoders.Greedy(),
    labels: Sequence[str] | Mapping[str, str] | None = None,
    layout: sharding.Layout = sharding.Layout(),
    which: Sequence[str] = ("train", "predict"),
) -> dict[str, reports.Report]:
    """Reports of the training step and of a batch's prediction, by "train" and "predict".

    The step is one of a single part: ARRANGEMENT and train.accumulate cut it into smaller ones.

    Args:
      model: as `models.Model.describe` gives it: shapes are enough.
      method: what is added and trained.
      topology: the slice, such as "v5e:4x4" or "v5p:2x2x2" (TOPOLOGY).
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens: every example is taken to be as
        long (TASK_FEATURE_LENGTHS).
      batch_size: B, examples a step over all chips (BATCH_SIZE).
      optimizer: of what is trained; None for the paper's Adafactor.
      decoder: the way to predict (DECODER).
      labels: for a decoder that ranks them (CLASS_LABELS).
      layout: how arrays lie on the chips.
      which: of the two programs.

    Raises:
      ValueError: the slice is unknown, the compiler missing, or the batch not divisible.
    """
    chip, devices = chips.slice_of(topology)
    mesh = layout.mesh(devices)
    sharding.check_batch_size(batch_size, 1, mesh)
    shape = batch_size, *checks.feature_lengths(task_feature_lengths)
    made = programs.Programs(layout.bind(model, mesh), method, layout, mesh, shape)
    lowered = {
        "train": lambda: made.train_step(optimizer or optimizers.adafactor()),
        "predict": lambda: made.predict(decoder, labels and label_texts(labels)),
    }
    return {name: reports.compile_and_read(lowered[name], chip) for name in which}


def print_reports(**arguments: Any) -> None:
    """`compile_run`, told to who asked."""
    for name, report in compile_run(**arguments).items():
        print(f"== {name}, each chip of {arguments['topology']}\n{report}\n")


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    jax.config.update("jax_platforms", "cpu")  # what is here computes nothing
    command.run("compile_run", print_reports)


if __name__ == "__main__":
    main()
