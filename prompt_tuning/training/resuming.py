"""Whether what is found in MODEL_DIR is this run, and what has changed since it stopped."""

from collections.abc import Mapping
import difflib
import logging
import pathlib
from typing import Any

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import parameters

log = logging.getLogger(__name__)


def identity(
    task_name: str | None,
    base: weights.FrozenModel,
    method: methods.Method,
    trained: parameters.Flat,
) -> dict[str, Any]:
    """What every run with these is, in JSON's types."""
    return {
        "task": task_name,
        "model": base.fingerprint + (" as int8" if base.execution.int8_weights else ""),
        "trained": {name: list(x.shape) for name, x in sorted(trained.items())},
        **method.identity,
    }


def check_identity(
    saved: Mapping[str, Any], identity: Mapping[str, Any], model_dir: pathlib.Path
) -> None:
    """Raises ValueError where the run in MODEL_DIR is not this one.

    What must be equal is what decides which numbers the next step computes, but for the optimizer:
    task, model, method, seed, batch size and lengths.
    """
    differing = [name for name in identity if saved.get(name) != identity[name]]
    if differing:
        was, now = ({name: values.get(name) for name in differing} for values in (saved, identity))
        raise ValueError(
            f"{model_dir} holds another run: it had {was}, this one has {now}. Give another "
            "MODEL_DIR, or the configuration of that run (config.gin)."
        )


def tell_changes(saved: str | None, configuration: str | None) -> None:
    """Names what may change in a run (optimizer, steps, periods, decoder, hardware, ...) and has."""
    if saved is None or configuration is None:
        return
    lines = difflib.ndiff(*(_bindings(text) for text in (saved, configuration)))
    if changes := [line for line in lines if line[0] in "-+"]:
        log.warning("The run goes on with another configuration:\n%s", "\n".join(changes))


def _bindings(configuration: str) -> list[str]:
    lines = (line.rstrip() for line in configuration.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
