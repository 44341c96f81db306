"""A run's own checkpoints: what is trained, the optimizer's state, the step.

Orbax writes them, atomically; then they get checksums (sealing.py), by which a run that goes on finds
the newest that is whole. The frozen weights are never among them. The position in the data is the
step; what else a run must remember (its seed, configuration, base model, best score) travels beside
the arrays as JSON.
"""

from collections.abc import Iterator
import contextlib
import logging
import os
import pathlib
import shutil
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np
import orbax.checkpoint as ocp

from prompt_tuning.checkpoints import sealing

DAMAGED = "damaged_checkpoints"  # beside a run's own
FOLDER = "checkpoints"  # of a run's, in its MODEL_DIR
_NONE = -1  # no step
log = logging.getLogger(__name__)


class SaveError(OSError):
    """A save could not be written."""


class RunCheckpoints:
    """The last `keep` saves of a run, under `folder`: of a tree of arrays with a `step`."""

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        """Looks for the newest save that is whole; what is newer is put aside, and named.

        Args:
          folder: only one run at a time has it.
          keep: at least 2, for one may turn out to be damaged.

        Raises ValueError if there are saves, but none is whole.
        """
        if keep < 2:
            raise ValueError(
                f"train.keep must be at least 2, found {keep}: the newest save may be the one that is "
                "damaged."
            )
        self._folder = pathlib.Path(folder).absolute()
        # One process looks and answers for all.
        newest = newest_whole(self._folder) if jax.process_index() == 0 else _NONE
        self._found = int(multihost_utils.broadcast_one_to_all(np.asarray(newest)))
        self._manager = ocp.CheckpointManager(
            self._folder,
            options=ocp.CheckpointManagerOptions(
                max_to_keep=keep,
                create=True,
                cleanup_tmp_directories=True,
                # Or a kill would cost the steps since the save before the one under way.
                enable_async_checkpointing=False,
            ),
        )

    def save(self, state: Any, notes: dict[str, Any]) -> None:
        """Saves `state`; does nothing if its step is saved already, whatever the notes.

        Raises SaveError if that cannot be written.
        """
        step = int(state.step)
        if step == self._manager.latest_step():
            return
        with self._writing(step):
            self._manager.save(
                step,
                args=ocp.args.Composite(
                    state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave(notes)
                ),
            )
            self._manager.wait_until_finished()
            if jax.process_index() == 0:
                sealing.seal(self._folder / str(step))

    def notes(self) -> dict[str, Any] | None:
        """Those of the save that was found; None if there is none."""
        if self._found == _NONE:
            return None
        return self._restored(notes=ocp.args.JsonRestore())["notes"]

    def restore(self, template: Any) -> Any:
        """The state that was found, with the shapes, types and shardings of `template`.

        Raises ValueError, naming the save, where it is of another optimizer's run.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        return self._restored(state=ocp.args.StandardRestore(abstract))["state"]

    def close(self) -> None:
        self._manager.close()

    def _restored(self, **parts: Any) -> Any:
        try:
            return self._manager.restore(self._found, args=ocp.args.Composite(**parts))
        except (ValueError, KeyError, TypeError, OSError) as error:
            reason = str(error).strip().partition("\n")[0]
            raise ValueError(
                f"{self._folder / str(self._found)} cannot be restored, though it is whole. If OPTIMIZER "
                "was changed, give the run's own configuration (config.gin), or another MODEL_DIR. "
                f"Orbax says: {reason}"
            ) from error

    @contextlib.contextmanager
    def _writing(self, step: int) -> Iterator[None]:
        try:
            yield
        except jax.errors.JaxRuntimeError:  # of another process that is gone, not of the disk
            raise
        except Exception as error:  # Orbax and TensorStore raise many kinds
            whole = [x for x in _steps(self._folder) if sealing.is_sealed(self._folder / str(x))]
            kept = f"the save of step {max(whole)} stays" if whole else "there is no save before it"
            raise SaveError(
                f"The save of step {step} cannot be written in {self._folder}: {error}. Make room, or "
                f"mend the disk; {kept}, and the same command goes on from there."
            ) from error


def _steps(folder: pathlib.Path) -> list[int]:
    """Of all saves, the newest first."""
    names = [path.name for path in folder.iterdir()] if folder.is_dir() else []
    return sorted((int(name) for name in names if name.isdigit()), reverse=True)


def newest_whole(folder: pathlib.Path) -> int:
    """The step of the newest save that is whole, or _NONE; newer ones are put aside."""
    problems: dict[pathlib.Path, str] = {}
    newest = _NONE
    for step in _steps(folder):
        save = folder / str(step)
        if (problem := sealing.problem(save)) is None:
            newest = step
            break
        problems[save] = problem
    # A kill leaves one save that is not finished, at most.
    if newest == _NONE and (len(problems) > 1 or any(map(sealing.is_sealed, problems))):
        raise ValueError(
            f"No save in {folder} is whole: {'; '.join(problems.values())}. Bring the files back, or "
            "give another MODEL_DIR to begin anew."
        )
    for save, problem in problems.items():
        aside = folder.with_name(DAMAGED) / save.name
        log.warning("%s. This save is put aside in %s.", problem, aside.parent)
        shutil.rmtree(aside, ignore_errors=True)
        aside.parent.mkdir(exist_ok=True)
        save.rename(aside)
    return newest
