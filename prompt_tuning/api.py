"""What `import prompt_tuning as pt` offers: the whole way from a model to predictions.

Each function does with defaults what train.py, eval.py and infer.py do with every choice in sight.
"""

from collections.abc import Mapping, Sequence
import os
from typing import Any

import jax
from jaxtyping import Array, Float
import numpy as np

from prompt_tuning import checks
from prompt_tuning import infer
from prompt_tuning import models
from prompt_tuning import train
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import tasks
from prompt_tuning.data import unlabelled
from prompt_tuning.data.files import FilesTask as FilesTask
from prompt_tuning.data.find_task import find_task as find_task
from prompt_tuning.data.shipped import shipped_task as shipped_task
from prompt_tuning.evaluation import evaluator
from prompt_tuning.methods import learned
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files as prompt_files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import loop
from prompt_tuning.training import sharding

LENGTHS = {"inputs": 128, "targets": 8}
Prompt = Float[Array, "P D"] | Float[np.ndarray, "P D"]


def load_model(
    path: str | os.PathLike, *, dtype: str = "float32", dropout_rate: float = 0.0
) -> weights.FrozenModel:
    """A frozen model by its folder in any known format, or by its name if it ships with the project."""
    return weights.in_memory(models.PretrainedModel(path, dtype, dropout_rate).load())


def train_prompt(
    model: weights.FrozenModel,
    task: tasks.Task,
    *,
    model_dir: str | os.PathLike,
    steps: int,
    length: int = 20,
    initializer: initializers.Initializer | None = None,
    task_feature_lengths: Mapping[str, int] = LENGTHS,
    **options: Any,
) -> loop.Result:
    """Trains a prompt of `length` rows; the best one is then `read_prompt(model_dir)`.

    Args:
      model: the frozen model.
      task: a shipped task, or files of your own.
      model_dir: where everything is written; a run that is found there goes on.
      steps: of training.
      length: P.
      initializer: first value of the prompt; None for the task's labels and sampled vocabulary.
      task_feature_lengths: longest inputs and targets, in tokens; what is longer is cut.
      **options: any other argument of `prompt_tuning.train.train`.
    """
    method = soft_prompt.SoftPrompt(length, initializer or _initializer(model, task, length))
    return train.train(
        model,
        method,
        task,
        model_dir=model_dir,
        train_steps=steps,
        task_feature_lengths=task_feature_lengths,
        **options,
    )


def read_prompt(path: str | os.PathLike) -> Float[np.ndarray, "P D"]:
    """The prompt in a file, or the best one of a run's folder.

    Raises ValueError where it is more than rows in front of the encoder's text.
    """
    found = prompt_files.read_prompts(model_dirs.find_learned(path))
    location = found.about.get("location", "front")
    if list(found.arrays) != [prompt_files.parameter("encoder")] or location != "front":
        raise ValueError(
            f"{path}: expected one prompt, in front of the encoder's text, found {sorted(found.arrays)} "
            f"at {location!r}: give it to prompt_tuning.eval or prompt_tuning.infer, with its METHOD."
        )
    return found.arrays[prompt_files.parameter("encoder")]


def predict(
    model: weights.FrozenModel,
    prompt: Prompt | None,
    texts: Sequence[str],
    *,
    task_feature_lengths: Mapping[str, int] = LENGTHS,
    batch_size: int = 8,
) -> list[str]:
    """The text that the model, with this prompt or without one, gives for each input."""
    if isinstance(texts, str) or not all(isinstance(text, str) for text in texts):
        raise ValueError(f"texts must be a list of texts, found {texts!r:.80}.")
    if not len(texts):
        return []
    inputs = [unlabelled.Input(str(number), text) for number, text in enumerate(texts)]
    lengths = checks.feature_lengths(task_feature_lengths)
    rows = infer.predict_texts(model, _adapted(model, prompt), inputs, lengths, batch_size)
    return [row["prediction"] for row in rows]


def score(
    model: weights.FrozenModel,
    prompt: Prompt | None,
    task: tasks.Task,
    *,
    split: str = "test",
    task_feature_lengths: Mapping[str, int] = LENGTHS,
    batch_size: int = 32,
) -> dict[str, float]:
    """The task's metrics on a split, with this prompt or without one."""
    adapted, layout = _adapted(model, prompt), sharding.Layout()
    mesh = layout.mesh()
    sharding.check_batch_size(batch_size, 1, mesh)
    options = evaluator.Options(
        split,
        *checks.feature_lengths(task_feature_lengths),
        batch_size,
        mesh=mesh,
    )
    evaluation = evaluator.Evaluator(adapted.network, model, task, options)
    params = layout.put_params(adapted.network, adapted.params, mesh)
    return evaluator.flat_scores(evaluation(params))


def _adapted(model: weights.FrozenModel, prompt: Prompt | None) -> learned.Adapted:
    layout = sharding.Layout()
    model = layout.bind(model, layout.mesh())
    if prompt is None:
        return learned.adapt(model, methods.Method(), None)
    if not isinstance(prompt, np.ndarray | jax.Array):
        raise ValueError(
            f"prompt must be an array [P, D], found {prompt!r:.80}: read_prompt gives that of a file or run."
        )
    prompt_files.check_prompt(prompt, "given", width=model.config.d_model)
    method = soft_prompt.SoftPrompt(len(prompt))
    params = model.params | {method.trainable[0]: np.asarray(prompt)}
    return learned.Adapted(method.network(model), params)


def _initializer(
    model: weights.FrozenModel, task: tasks.Task, length: int
) -> initializers.Initializer:
    sampled = initializers.SampledVocab(first=min(5000, model.vocabulary.vocab_size))
    labels = getattr(task, "label_texts", None) or ()
    return initializers.ClassLabels(labels, sampled) if 0 < len(labels) <= length else sampled
