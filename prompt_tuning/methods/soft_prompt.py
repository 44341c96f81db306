"""Prompt tuning: P vectors in front of the embedded input (paper, section 2)."""

from collections.abc import Callable
import dataclasses
import functools
import pathlib
from typing import ClassVar

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import prompt
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

_NAME = "{stack}/prompt/prompt/prompt"


def file_name(stack: str) -> str:
    """Of a stack's prompt in a folder, as the original writes it: encoder.prompt.prompt.prompt."""
    return _NAME.format(stack=stack).replace("/", ".")


@dataclasses.dataclass(frozen=True)
class SoftPrompt(method.Method):
    """A soft prompt on the encoder, on the decoder, or on both.

    Attributes:
      length: P, rows of the encoder's prompt (PROMPT_LENGTH); 0 for none.
      initializer: gives the first value, see `prompts/initializers.py`.
      location: where the encoder's prompt is joined to the input:
        "front", "after_first" or "end".
      decoder_length: rows of the decoder's prompt, always in front; 0 for none.
    """

    writes_every_save: ClassVar[bool] = True

    length: int = 100
    initializer: Callable = initializers.SampledVocab()
    location: str = "front"
    decoder_length: int = 0

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
        return tuple(_NAME.format(stack=stack) for stack in self._lengths())

    def hooks(self, base: weights.FrozenModel) -> network.Hooks:
        """Where the prompts are joined; their values come from `initial`, here are only shapes."""
        del base
        return self._hooks()

    def per_row(self, base: weights.FrozenModel, rows: int) -> network.T5:
        """The network in which each of a batch's `rows` brings its own prompts, [B, P, D].

        For prediction: one batch then serves several tasks, or several members of an ensemble.
        """
        return network.T5(base.config, self._hooks(rows))

    def _hooks(self, rows: int | None = None) -> network.Hooks:
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
            _NAME.format(stack=stack): self.initializer(
                key, (length, base.config.d_model), table=base.table, vocabulary=base.vocabulary
            )
            for key, (stack, length) in zip(keys, self._lengths().items())
        }

    def write(
        self, base: weights.FrozenModel, trained: parameters.Flat, folder: pathlib.Path
    ) -> None:
        """One .npy a prompt, under the original's name: encoder.prompt.prompt.prompt."""
        for name in self.trainable:
            files.write_prompt(folder / name.replace("/", "."), trained[name])

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """Reads a prompt file, or a folder that `write` filled."""
        lengths = dict(zip(self.trainable, self._lengths().values()))
        if not path.is_dir() and len(lengths) > 1:
            raise ValueError(
                f"PROMPT_FILE {path} is one file, but the method has prompts "
                f"{list(lengths)}: give the folder that holds them."
            )
        return {
            name: files.read_prompt(
                path / name.replace("/", ".") if path.is_dir() else path,
                length,
                base.config.d_model,
            )
            for name, length in lengths.items()
        }
