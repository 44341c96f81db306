"""What is looked at: prompts, and the embedding table and vocabulary that they lie among.

The forms of prompts on disk are prompts/files.py's part, those of models checkpoints/weights.py's.
"""

import dataclasses
import pathlib

from jaxtyping import Float
import numpy as np

from prompt_tuning import models
from prompt_tuning.checkpoints import described
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.methods import added
from prompt_tuning.methods import method
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.t5 import parameters

STACKS = ("encoder", "decoder")


@dataclasses.dataclass(frozen=True)
class Embeddings:
    """What is needed of a model to look at prompts, where the model itself is not at hand.

    Attributes:
      name: for the report.
      table: the model's, a row an id.
      vocabulary: the model's.
    """

    name: str
    table: Float[np.ndarray, "V D"]
    vocabulary: vocabularies.Vocabulary


Base = weights.FrozenModel | Embeddings


@dataclasses.dataclass(frozen=True)
class Subject:
    """Prompts of one run or file.

    Attributes:
      name: what the report calls them.
      given: the file, or the run's folder.
      path: where they were found: of a run its best, else its newest, save.
      prompts: rows by stack.
      about: what they say they were trained for (prompts/files.py `Prompts.about`).
    """

    name: str
    given: pathlib.Path
    path: pathlib.Path
    prompts: dict[str, Float[np.ndarray, "_ D"]]
    about: dict[str, str]

    @property
    def method(self) -> soft_prompt.SoftPrompt:
        """The method that puts these prompts in their places in the network.

        Raises ValueError for prompts of a method that has other places for them, or adds more.
        """
        name = self.about.get("method", soft_prompt.SoftPrompt.__name__)
        if name != soft_prompt.SoftPrompt.__name__:
            raise ValueError(
                f"{self.name}: attention is looked at with SoftPrompt, and this prompt is of {name}, "
                "which does more than to put it before the text: leave --task out, and give --labels."
            )
        lengths = {stack: len(rows) for stack, rows in self.prompts.items()}
        return soft_prompt.SoftPrompt(
            length=lengths.get("encoder", 0),
            decoder_length=lengths.get("decoder", 0),
            location=self.about.get("location", "front"),
        )

    @property
    def params(self) -> parameters.Flat:
        """The prompts by their names in the network."""
        return {files.parameter(stack): rows for stack, rows in self.prompts.items()}


def read_embeddings(
    file: files.Path, vocabulary_file: str, extra_ids: int | None = None
) -> Embeddings:
    """A table [V, D] in .npy format, and the vocabulary as VOCABULARY_FILE and EXTRA_IDS name it."""
    table = files.read_array(file, "EMBEDDING_FILE", in_place=True)
    if table.ndim != 2 or 0 in table.shape:
        raise ValueError(
            f"EMBEDDING_FILE {file}: expected an embedding table [V, D], found shape {table.shape}."
        )
    vocabulary = models.read_vocabulary(vocabulary_file, extra_ids)
    if vocabulary.vocab_size > len(table):
        raise ValueError(
            f"EMBEDDING_FILE {file} has {len(table)} rows, but the vocabulary {vocabulary.name} has "
            f"{vocabulary.vocab_size} ids, sentinels included: change EMBEDDING_FILE, VOCABULARY_FILE "
            "or EXTRA_IDS."
        )
    return Embeddings(str(file), table, vocabulary)


def read_subject(name: str, given: files.Path, base: Base, any_base_model: bool = False) -> Subject:
    """The prompts at `given`, which `model_dirs.find_learned` understands, checked against the base.

    Raises:
      FileNotFoundError: nothing is there.
      ValueError: it is no prompt, or one of another width or (unless `any_base_model`, and where both
        are known) of another base model.
    """
    path = model_dirs.find_learned(given)
    found = read_prompts(path)
    prompts = {
        stack: found.arrays[files.parameter(stack)]
        for stack in STACKS
        if files.parameter(stack) in found.arrays
    }
    for rows in prompts.values():
        files.check_prompt(rows, path, width=base.table.shape[1])
    if isinstance(base, weights.FrozenModel) and not any_base_model:
        otherwise = "--any_base_model (any_base_model=True)"
        method.check_base(base, found.about, f"PROMPT_FILE {path}", otherwise)
    return Subject(name, pathlib.Path(given), path, prompts, found.about)


def read_prompts(path: pathlib.Path) -> files.Prompts:
    """The prompts in what a method wrote; what else it learned, such as WARP's classes, is left.

    Raises ValueError if there are none, or something that is no prompt of an encoder or decoder.
    """
    names = [files.parameter(stack) for stack in STACKS]
    file = path / added.FILE if path.is_dir() else path
    if file.name == added.FILE and file.is_file():
        arrays, about = described.read(file)
        prompts = {name: rows for name, rows in arrays.items() if name in names}
        if prompts:
            return files.Prompts(prompts, about)
    else:
        arrays, about = dataclasses.astuple(files.read_prompts(path))
    if extra := set(arrays) - set(names):
        raise ValueError(f"PROMPT_FILE {path}: expected prompts {names}, found {sorted(extra)}.")
    return files.Prompts(arrays, about)
