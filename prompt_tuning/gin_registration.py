"""Every name that gin files may use. Importing this module tells gin about them."""

from collections.abc import Callable
import dataclasses
import inspect
import typing
from typing import Any

import gin

from prompt_tuning import compile as compiling
from prompt_tuning import eval as evaluation
from prompt_tuning import infer
from prompt_tuning import models
from prompt_tuning import train
from prompt_tuning.data import arrangements
from prompt_tuning.data import files
from prompt_tuning.data import find_task
from prompt_tuning.data import objectives
from prompt_tuning.data import sentinel
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import ensemble
from prompt_tuning.experiments import sweep
from prompt_tuning.experiments import together
from prompt_tuning.methods import adapters
from prompt_tuning.methods import ia3
from prompt_tuning.methods import lora
from prompt_tuning.methods import method
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import prefix_tuning
from prompt_tuning.methods import prompt_design
from prompt_tuning.methods import soft_prompt
from prompt_tuning.methods import soft_words
from prompt_tuning.methods import warp
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import execution as executions
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding

ENTRY_POINTS = {
    "train": train.train,
    "evaluate": evaluation.evaluate,
    "infer": infer.infer,
    "compile_run": compiling.compile_run,
    "sweep": sweep.train_together,
}

PARTS = [
    models.PretrainedModel,
    models.NewModel,
    t5_config.T5Config,
    executions.Execution,
    sharding.Layout,
    # Methods and the prompt's first value.
    method.Method,
    soft_prompt.SoftPrompt,
    model_tuning.ModelTuning,
    lora.LoRA,
    prefix_tuning.PrefixTuning,
    p_tuning.PTuning,
    prompt_design.PromptDesign,
    adapters.Adapters,
    ia3.IA3,
    warp.WARP,
    soft_words.SoftWords,
    initializers.Uniform,
    initializers.SampledVocab,
    initializers.ClassLabels,
    initializers.FromText,
    initializers.FromFile,
    initializers.AverageOf,
    # Optimizers and schedules.
    optimizers.short_run_adafactor,
    optimizers.adafactor,
    optimizers.adamw,
    optimizers.muon,
    optimizers.warmup_cosine,
    # The members of a sweep.
    together.grid,
    # Ways to lay out a step's examples.
    arrangements.Padded,
    arrangements.Bucketed,
    arrangements.Packed,
    # Ways to predict.
    decoders.Greedy,
    decoders.Sample,
    decoders.BeamSearch,
    decoders.RankLabels,
    ensemble.majority_vote,
    ensemble.mean_log_probability,
    # Tasks.
    find_task.find_task,
    files.FilesTask,
    files.files_mixture,
    tasks.TextTask,
    tasks.MixtureTask,
    sentinel.SentinelTask,
    objectives.SpanCorruption,
    objectives.PrefixLM,
]


@dataclasses.dataclass(frozen=True)
class Argument:
    """What can be bound: the type it must have, and its default (`inspect.Parameter.empty` if none)."""

    hint: Any
    default: Any

    @property
    def required(self) -> bool:
        return self.default is inspect.Parameter.empty


def arguments_of(name: str) -> dict[str, Argument]:
    """The arguments of whatever gin knows by this name."""
    known = CONFIGURABLES.get(name.split(".")[-1]) or gin.get_configurable(name)
    described = known.__init__ if inspect.isclass(known) else known
    hints = typing.get_type_hints(described)
    return {
        parameter.name: Argument(hints.get(parameter.name, Any), parameter.default)
        for parameter in inspect.signature(known).parameters.values()
    }


def _collector(function: Callable) -> Callable[..., dict[str, Any]]:
    """What gin calls in place of an entry point: it returns the arguments that gin made.

    The model among them is only described; who calls the entry point loads it.
    """

    def collect(**arguments):
        return arguments

    collect.__signature__ = inspect.signature(function)
    collect.__annotations__ = function.__annotations__ | {"model": models.Model}
    return collect


# Name -> what stands behind it, with its signature.
CONFIGURABLES: dict[str, Callable] = {part.__name__: part for part in PARTS} | {
    name: _collector(function) for name, function in ENTRY_POINTS.items()
}

for _name, _configurable in CONFIGURABLES.items():
    gin.external_configurable(_configurable, name=_name, module="prompt_tuning")
