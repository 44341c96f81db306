"""A run's own checkpoints: what is trained, the optimizer's state, the step.

Orbax writes them, atomically and in the background. The frozen weights are
never among them. The position in the data is the step; what else a run must
remember (its seed, configuration, base model, best score) travels beside the
arrays as JSON.
"""

from collections.abc import Iterator
import contextlib
import os
import pathlib
from typing import Any

import jax
from jax.experimental import multihost_utils
import numpy as np
import orbax.checkpoint as ocp


def latest_notes(folder: str | os.PathLike) -> dict[str, Any] | None:
    """The notes of a run's latest save; None where there is none. Writes nothing."""
    # One process answers for all: another may be about to make the folder.
    if not multihost_utils.broadcast_one_to_all(np.asarray(pathlib.Path(folder).is_dir())):
        return None
    with contextlib.closing(RunCheckpoints(folder)) as checkpoints:
        return checkpoints.notes()


class RunCheckpoints:
    """The last `keep` saves of a run, under `folder`: of a tree of arrays with a `step`."""

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        self._folder = pathlib.Path(folder).absolute()
        self._manager = ocp.CheckpointManager(
            self._folder, options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True)
        )

    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def save(self, state: Any, notes: dict[str, Any]) -> None:
        """Starts a save of `state`; does nothing if its step is saved already."""
        step = int(state.step)
        if step == self._manager.latest_step():
            return
        self._manager.save(
            step,
            args=ocp.args.Composite(
                state=ocp.args.StandardSave(state), notes=ocp.args.JsonSave(notes)
            ),
        )

    def notes(self) -> dict[str, Any] | None:
        """The latest save's notes; None if there is no save. Raises ValueError as `restore` does."""
        if self.latest_step() is None:
            return None
        return self._restored(notes=ocp.args.JsonRestore())["notes"]

    def restore(self, template: Any) -> Any:
        """The latest save's state, with the shapes, types and shardings of `template`.

        Raises ValueError, naming the save, where it is damaged or of another optimizer's run.
        """
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        return self._restored(state=ocp.args.StandardRestore(abstract))["state"]

    def _restored(self, **parts: Any) -> Any:
        save = self._folder / str(self.latest_step())
        with _naming(save):
            return self._manager.restore(
                self._manager.latest_step(), args=ocp.args.Composite(**parts)
            )

    def close(self) -> None:
        """Waits for saves under way."""
        self._manager.wait_until_finished()
        self._manager.close()


@contextlib.contextmanager
def _naming(save: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except (ValueError, KeyError, TypeError, OSError) as error:
        raise ValueError(
            f"{save} cannot be restored: {error}. If OPTIMIZER was changed, give the run's own "
            "configuration (config.gin); if the save is damaged, delete it, and the run goes on "
            "from the one before it, or give another MODEL_DIR."
        ) from error
