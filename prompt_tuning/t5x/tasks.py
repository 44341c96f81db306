"""This project's tasks under the names that T5X asks seqio for."""

import importlib
import os

import seqio

from prompt_tuning.data import find_task
from prompt_tuning.data.seqio_tasks import benchmarks
from prompt_tuning.data.seqio_tasks import vocabularies
from prompt_tuning.t5x import model


def registered(
    name: str,
    adaptation: model.Adaptation,
    module: str | None = None,
    data_dir: str | os.PathLike | None = None,
    tfds_data_dir: str | os.PathLike | None = None,
) -> str:
    """`name`, after seqio has come to know the task or mixture that is called so.

    Args:
      name: MIXTURE_OR_TASK_NAME: a shipped task's, a benchmark's, or one that `module` registers.
      adaptation: of the model, whose vocabulary a benchmark is made with.
      module: MIXTURE_OR_TASK_MODULE.
      data_dir: folder with a benchmark's files; None for TensorFlow Datasets.
      tfds_data_dir: where these have their data.

    Raises:
      DataError: the name means nothing to us, and `module` has not registered it.
    """
    if module in find_task.MODULES_OF_THE_ORIGINAL:  # whose tasks are ours
        module = None
    importlib.import_module(module or "prompt_tuning.data.seqio_tasks.shipped")
    if name not in [*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()]:
        benchmarks.register(name, _vocabulary(adaptation), data_dir, tfds_data_dir)
    return name


def _vocabulary(adaptation: model.Adaptation):
    """The model's; None for that of the public checkpoints, which T5X knows by its address."""
    file = getattr(adaptation.vocabulary, "sentencepiece_model_file", None)
    return None if file in vocabularies.PUBLIC.values() else adaptation.our_vocabulary
