"""The child of methods.py: steps of one method on a random model, with its default settings.

Rows have the length that is asked for, whatever they are rows of. The optimizer is one for all that
leave the model frozen: it matters little beside the model. Targets are no answers of WARP's classes, so its
loss does not fall.
"""

from collections.abc import Callable
import dataclasses
from typing import Any

import common
import ours
from prompt_tuning.methods import adapters
from prompt_tuning.methods import ia3
from prompt_tuning.methods import lora
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import prefix_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.methods import soft_words
from prompt_tuning.methods import warp
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.training import optimizers

# Name -> the method, with P rows where it has any.
METHODS: dict[str, Callable[[int], methods.Method]] = {
    "soft_prompt": lambda rows: soft_prompt.SoftPrompt(rows, initializers.Uniform()),
    "model_tuning": lambda rows: model_tuning.ModelTuning(),
    "prefix_tuning": prefix_tuning.PrefixTuning,
    "p_tuning": lambda rows: p_tuning.PTuning(f"[{rows}] {{inputs}}"),
    "warp": lambda rows: warp.WARP(("yes", "no"), rows, initializers.Uniform()),
    "soft_words": lambda rows: soft_words.SoftWords("?", rows),
    "adapters": lambda rows: adapters.Adapters(),
    "lora": lambda rows: lora.LoRA(),
    "ia3": lambda rows: ia3.IA3(),
}


def build(settings: dict[str, Any]) -> common.Served:
    method = METHODS[settings["method"]](settings["prompt_length"])
    full = isinstance(method, model_tuning.ModelTuning)
    optimizer = ours.full_adafactor() if full else optimizers.adafactor()
    return ours.training(settings, method, optimizer)


def system(name: str, config: t5_config.T5Config, **settings: Any) -> common.System:
    """This child, for a parent."""
    return dataclasses.replace(
        ours.system(name, "method", config, **settings, method=name), script="methods_ours.py"
    )


if __name__ == "__main__":
    common.serve(build)
