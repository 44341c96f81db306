"""Whether what is found in MODEL_DIR is this run, and what has changed since it stopped."""

from collections.abc import Mapping, Sequence
import difflib
import logging
import pathlib
from typing import Any

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import parameters

DATA = "training examples"
log = logging.getLogger(__name__)


def identity(
    task_name: str | None,
    batches: arrangements.ArrangedBatches,
    base: weights.FrozenModel,
    method: methods.Method,
    trained: parameters.Flat,
) -> dict[str, Any]:
    """What every run with these is, in JSON's types."""
    step = batches.step
    return {
        "task": task_name,
        DATA: batches.fingerprint(),
        "batch": step.batch_size,
        "lengths": [step.inputs_length, step.targets_length],
        "model": base.fingerprint + (" as int8" if base.execution.int8_weights else ""),
        "trained": {name: list(x.shape) for name, x in sorted(trained.items())},
        **method.identity,
    }


def check(
    notes: Mapping[str, Any] | None,
    identity: Mapping[str, Any],
    configuration: str | None,
    model_dir: pathlib.Path,
    folders: Sequence[pathlib.Path],
) -> None:
    """Raises ValueError where MODEL_DIR holds another run, or what one without a save learned.

    Args:
      notes: of the save to go on from; None if there is none.
      identity: this run's.
      configuration: this run's, if it is known; what has changed is told.
      model_dir: where the save was looked for.
      folders: where this run writes what it learns.
    """
    if notes is None:
        for folder in folders:
            _check_unused(folder, model_dir / runs.FOLDER)
    else:
        _check_identity(notes["run"], identity, model_dir)
        _tell_changes(notes["config"], configuration)


def _check_identity(
    saved: Mapping[str, Any], identity: Mapping[str, Any], model_dir: pathlib.Path
) -> None:
    """Raises ValueError where the run in MODEL_DIR is not this one.

    What must be equal is what decides which numbers the next step computes, but for the optimizer:
    task, the first training examples, model, method, seed, batch size and lengths.
    """
    saved = {DATA: identity[DATA], **saved}  # saves of before it was kept
    differing = [name for name in identity if saved.get(name) != identity[name]]
    if len(differing) > 1 and DATA in differing:  # which go by the seed, the lengths, ...
        differing.remove(DATA)
    if differing:
        was, now = ({name: values.get(name) for name in differing} for values in (saved, identity))
        raise ValueError(
            f"{model_dir} holds another run: it had {was}, this one has {now}. Give another "
            "MODEL_DIR, or that run's configuration (config.gin) and data."
        )


def _check_unused(folder: pathlib.Path, checkpoints: pathlib.Path) -> None:
    """Raises ValueError where a run that begins would write over what another learned."""
    if model_dirs.holds_learned(folder):
        raise ValueError(
            f"{folder} has what a run learned, but {checkpoints} has no save of it to go on from: give "
            f"another MODEL_DIR, or remove best/ and numpy_checkpoints/ in {folder}."
        )


def goes_on_by(metric: str, notes: Mapping[str, Any]) -> bool:
    """Whether the best evaluation so far, whose metric the notes name, still counts; told if not."""
    if notes["metric"] == metric:
        return True
    log.warning(
        "The best evaluation so far was so by %s; from here on it is %s that decides.",
        notes["metric"],
        metric,
    )
    return False


def _tell_changes(saved: str | None, configuration: str | None) -> None:
    """Names what may change in a run (optimizer, steps, periods, decoder, hardware, ...) and has."""
    if saved is None or configuration is None:
        return
    lines = difflib.ndiff(*(_bindings(text) for text in (saved, configuration)))
    if changes := [line for line in lines if line[0] in "-+"]:
        log.warning("The run goes on with another configuration:\n%s", "\n".join(changes))


def _bindings(configuration: str) -> list[str]:
    lines = (line.rstrip() for line in configuration.splitlines())
    return [line for line in lines if line and not line.startswith("#")]
