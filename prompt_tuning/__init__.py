"""Parameter-efficient prompt tuning of frozen T5 models in JAX.

import prompt_tuning as pt

model = pt.load_model("pocket_t5")
task = pt.shipped_task("spam")
pt.train_prompt(model, task, model_dir="runs/spam", steps=300)
prompt = pt.read_prompt("runs/spam")
print(pt.score(model, prompt, task, split="test"))
print(pt.predict(model, prompt, ["You have won a free cruise!", "Lunch at noon?"]))
"""

import importlib

__all__ = [
    "FilesTask",
    "find_task",
    "load_model",
    "predict",
    "read_prompt",
    "score",
    "shipped_task",
    "train_prompt",
]


def __getattr__(name: str):
    """Imports JAX only when something is used."""
    if name in __all__:
        return getattr(importlib.import_module("prompt_tuning.api"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
