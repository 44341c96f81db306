"""What a method learns, in T5X's runs: where it starts, and the files that it is written to.

Checkpoints, the frozen weights in them and going on after a stop are T5X's. Its files of a run hold
the whole model.
"""

import dataclasses
import os
import pathlib
import tempfile
from typing import Any

import jax
import jax.numpy as jnp
from t5x import checkpoints
from t5x import utils
import tensorflow as tf

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.t5x import model


class AdaptedState(utils.TrainStateInitializer):
    """T5X's train state, with the method's own parameters as they were learned, or as they start.

    T5X takes from here what a checkpoint lacks (`fallback_to_scratch`).
    """

    def __init__(
        self,
        *args: Any,
        adaptation: model.Adaptation,
        prompt_file: str | os.PathLike | None = None,
        seed: int = 0,
        **options: Any,
    ):
        """Takes T5X's arguments, and

        Args:
          adaptation: of which model, and how.
          prompt_file: what the method learned: its file, a folder that it wrote, or a run's
            MODEL_DIR; None for the method's first values.
          seed: of these.
        """
        base, method = adaptation.base, adaptation.method
        if prompt_file is None:
            self._added = method.initial(base, jax.random.key(seed))
        else:
            self._added = method.read(base, model_dirs.find_learned(prompt_file))
        super().__init__(*args, **options)

    def from_scratch(self, init_rng: jax.Array) -> Any:
        """Random weights, and the method's parameters."""
        state = super().from_scratch(init_rng)

        def added(path, x):
            value = self._added.get("/".join(key.key for key in path))
            return x if value is None else jax.device_put(jnp.asarray(value), x.sharding)

        return state.replace_params(jax.tree_util.tree_map_with_path(added, state.params))


@dataclasses.dataclass(frozen=True)
class LearnedFiles:
    """Writes what the method learned to MODEL_DIR/numpy_checkpoints/checkpoint_N at every save.

    T5X calls it with all that it is about to save (SaveCheckpointConfig.state_transformation_fns),
    and saves what it returns: the same.

    Attributes:
      adaptation: of which model, and how.
      model_dir: T5X's; may be in a bucket.
    """

    adaptation: model.Adaptation
    model_dir: str

    def __call__(self, state: dict[str, Any], infos: Any) -> tuple[dict[str, Any], Any]:
        if jax.process_index() == 0:
            params = parameters.flatten(state["target"])
            trained, _ = partition.split(params, self.adaptation.method.trainable)
            # What is trained lies whole on every device.
            trained = {name: checkpoints.get_local_data(x) for name, x in trained.items()}
            self._write(trained, int(checkpoints.get_local_data(state["state"]["step"])))
        return state, infos

    def _write(self, trained: parameters.Flat, step: int) -> None:
        """By way of a local folder, for buckets; each file is complete or absent."""
        folder = f"{self.model_dir}/numpy_checkpoints/checkpoint_{step}"
        tf.io.gfile.makedirs(folder)
        base, method = self.adaptation.base, self.adaptation.method
        with tempfile.TemporaryDirectory() as local:
            method.write(base, trained, pathlib.Path(local), method.about(base, step=step))
            for file in pathlib.Path(local).iterdir():
                partial = f"{folder}/{file.name}.partial"
                tf.io.gfile.copy(str(file), partial, overwrite=True)
                tf.io.gfile.rename(partial, f"{folder}/{file.name}", overwrite=True)
