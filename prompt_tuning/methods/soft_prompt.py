"""Prompt tuning: P vectors in front of the embedded input (paper, section 2)."""

from collections.abc import Callable, Mapping
import dataclasses
import functools
import pathlib
from typing import ClassVar

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import packing
from prompt_tuning.methods import method
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import prompt
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

ANY_BASE_MODEL = "SoftPrompt.any_base_model = True"  # lets prompts of another be read


@dataclasses.dataclass(frozen=True)
class SoftPrompt(method.Method):
    """A soft prompt on the encoder, on the decoder, or on both.

    Attributes:
      length: P, rows of the encoder's prompt (PROMPT_LENGTH); 0 for none.
      initializer: gives the first value, see `prompts/initializers.py`.
      location: where the encoder's prompt is joined to the input:
        "front", "after_first" or "end".
      decoder_length: rows of the decoder's prompt, always in front; 0 for none.
      any_base_model: read prompts that were trained on another base model, too.
    """

    writes_every_save: ClassVar[bool] = True

    length: int = 100
    initializer: Callable = initializers.SampledVocab()
    location: str = "front"
    decoder_length: int = 0
    any_base_model: bool = False

    def __post_init__(self):
        if self.location not in prompt.LOCATIONS:
            raise ValueError(
                f"SoftPrompt.location must be one of {prompt.LOCATIONS}, found {self.location!r}."
            )
        if min(self.length, self.decoder_length) < 0 or not self._lengths():
            raise ValueError(
                "A soft prompt needs at least one row: PROMPT_LENGTH (SoftPrompt.length) "
                f"is {self.length}, SoftPrompt.decoder_length is {self.decoder_length}."
            )

    def _lengths(self) -> dict[str, int]:
        lengths = {"encoder": self.length, "decoder": self.decoder_length}
        return {stack: length for stack, length in lengths.items() if length}

    @property
    def trainable(self) -> tuple[str, ...]:
        return tuple(files.parameter(stack) for stack in self._lengths())

    @property
    def identity(self) -> dict[str, str]:
        return {"location": self.location}

    @property
    def slots(self) -> packing.Slots | None:
        return None if self.decoder_length else packing.Slots(self.length, self.location)

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        """Where the prompts are joined; their values come from `initial`, here are only shapes."""
        del base
        return self._hooks()

    def per_row(self, base: weights.FrozenModel, rows: int) -> network.T5:
        """The network in which each of a batch's `rows` brings its own prompts, [B, P, D].

        For prediction: one batch then serves several tasks, or several members of an ensemble.
        """
        return self.network(base).clone(hooks=self._hooks(rows))

    def _hooks(self, rows: int | None = None) -> points.Hooks:
        return {
            f"{stack}/embedding": functools.partial(
                prompt.PromptEmbedding,
                length,
                jax.nn.initializers.zeros,
                self.location if stack == "encoder" else "front",
                rows,
            )
            for stack, length in self._lengths().items()
        }

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        keys = jax.random.split(key, 2)
        return {
            files.parameter(stack): method.first_rows(
                self.initializer, base, key, length, ANY_BASE_MODEL, self.any_base_model
            )
            for key, (stack, length) in zip(keys, self._lengths().items())
        }

    def write(
        self,
        base: weights.FrozenModel,
        trained: parameters.Flat,
        folder: pathlib.Path,
        about: Mapping[str, str],
    ) -> None:
        """Each prompt as the original writes it, and all of them with what they were trained for."""
        for stack in self._lengths():
            files.write_prompt(folder / files.file_name(stack), trained[files.parameter(stack)])
        files.write_prompts(folder / files.DESCRIBED, trained, about)

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """Reads a prompt file, or a folder of them, that fits this method and the base model."""
        found = files.read_prompts(path)
        if set(found.arrays) != set(self.trainable):
            raise ValueError(
                f"PROMPT_FILE {path} has {sorted(found.arrays)}, but the method has "
                f"{sorted(self.trainable)}: give the folder that holds them all, or change "
                "SoftPrompt.length and SoftPrompt.decoder_length."
            )
        for stack, length in self._lengths().items():
            files.check_prompt(
                found.arrays[files.parameter(stack)], path, length, base.config.d_model
            )
        if not self.any_base_model:
            method.check_base(base, found.about, f"PROMPT_FILE {path}", ANY_BASE_MODEL)
        location = found.about.get("location", self.location)
        if location != self.location:
            raise ValueError(
                f"PROMPT_FILE {path} was trained with SoftPrompt.location {location!r}, found "
                f"{self.location!r}: change it."
            )
        return found.arrays
