"""A run's own checkpoints: what is trained, the optimizer's state, the step.

Orbax writes them, atomically and in the background. The frozen weights are
never among them. What the run has seen so far (best score, data position,
which is the step) travels beside the arrays as JSON.
"""

import os
import pathlib
from typing import Any

import jax
import orbax.checkpoint as ocp

from prompt_tuning.training import step as training_step


class RunCheckpoints:
    """The last `keep` saves of a run, under `folder`."""

    def __init__(self, folder: str | os.PathLike, keep: int = 2):
        self._manager = ocp.CheckpointManager(
            pathlib.Path(folder).absolute(),
            options=ocp.CheckpointManagerOptions(max_to_keep=keep, create=True),
        )

    def latest_step(self) -> int | None:
        return self._manager.latest_step()

    def save(self, state: training_step.TrainState, notes: dict[str, Any]) -> None:
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

    def restore(
        self, template: training_step.TrainState
    ) -> tuple[training_step.TrainState, dict[str, Any]]:
        """The latest save, with the shapes, types and shardings of `template`."""
        abstract = jax.tree.map(ocp.utils.to_shape_dtype_struct, template)
        found = self._manager.restore(
            self._manager.latest_step(),
            args=ocp.args.Composite(
                state=ocp.args.StandardRestore(abstract), notes=ocp.args.JsonRestore()
            ),
        )
        return found["state"], found["notes"]

    def close(self) -> None:
        """Waits for saves under way."""
        self._manager.wait_until_finished()
        self._manager.close()
