"""Model tuning and pre-training: nothing is added, every parameter is trained."""

from collections.abc import Mapping
import dataclasses
import pathlib

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method
from prompt_tuning.t5 import parameters


@dataclasses.dataclass(frozen=True)
class ModelTuning(method.Method):
    """The paper's baseline, through the same loop as a prompt.

    Attributes:
      writes_every_save: also write the model of every save, as numpy_checkpoints/checkpoint_N:
        the checkpoints along an LM adaptation (paper, Figure 3d).
      dtype: of the weights that are written. "bfloat16" halves the files, and rounds away what
        tuning changed by less than a 256th of a weight.
    """

    writes_every_save: bool = False
    dtype: str = "float32"

    @property
    def trainable(self) -> tuple[str, ...]:
        return (".*",)

    def write(
        self,
        base: weights.FrozenModel,
        trained: parameters.Flat,
        folder: pathlib.Path,
        about: Mapping[str, str],
    ) -> None:
        """A model folder, which INITIAL_CHECKPOINT_PATH takes."""
        del about
        weights.save_model(folder, base, trained, dtype=self.dtype)

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """The parameters of a tuned model's folder; raises ValueError if it is not of this base."""
        try:
            tuned = weights.open_model(path, dtype=base.config.dtype, config=base.config)
        except weights.CheckpointError as error:
            raise ValueError(f"PROMPT_FILE: {error}") from error
        if tuned.vocabulary.fingerprint != base.vocabulary.fingerprint:
            raise ValueError(
                f"PROMPT_FILE: {path} has the vocabulary {tuned.vocabulary.name}, its base model "
                f"{base.vocabulary.name}. Change PROMPT_FILE or INITIAL_CHECKPOINT_PATH."
            )
        return tuned.params
