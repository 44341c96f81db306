"""What the checkpoint tools share: what lies at a path, folders written whole, tables, short errors."""

import argparse
from collections.abc import Iterator, Mapping, Sequence
import contextlib
import dataclasses
import pathlib
import shutil
from typing import Any
import uuid

import numpy as np

from prompt_tuning import models
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints import t5x_config
from prompt_tuning.checkpoints import weights
from prompt_tuning.checkpoints.stored import Checkpoint, CheckpointError
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.prompts import files
from prompt_tuning.t5.config import ACTIVATIONS

FORMATS = {
    "native": "a model in the project's format",
    "hugging_face": "a model in Hugging Face's format",
    "t5x": "a T5X checkpoint",
}


@dataclasses.dataclass(frozen=True)
class Given:
    """What the user says of a model that does not say it itself.

    Attributes:
      vocabulary: of a model that brings none.
      config: fields of T5Config that a T5X checkpoint cannot tell; those of them that are given.
    """

    vocabulary: vocabularies.Vocabulary | None = None
    config: Mapping[str, Any] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Found:
    """What lies at a path: a model, prompts, or (where T5X trained a prompt) both.

    Attributes:
      path: of the model or the prompts themselves: of a run's folder its best, else newest, save.
      format: a key of FORMATS; None for prompts alone.
      model: None likewise.
      prompts: None where there are none.
    """

    path: str
    format: str | None
    model: Checkpoint | None
    prompts: files.Prompts | None

    @property
    def arrays(self) -> dict[str, Any]:
        """All by name, as stored."""
        params = self.model.params if self.model else {}
        return {**params, **(self.prompts.arrays if self.prompts else {})}


def find(path: str, argument: str, given: Given = Given()) -> Found:
    """What lies at `path`; of a model only names and shapes are read.

    Args:
      path: a model in any format, or its name; a prompt file, a folder of them, a PEFT adapter or a
        run's MODEL_DIR.
      argument: what the user calls it, for errors.
      given: for a model that does not say it itself.
    """
    if path in models.SHIPPED and not pathlib.Path(path).exists():
        path = str(models.ASSETS / path)
    here = not path.startswith("gs://")
    if here and not pathlib.Path(path).exists():
        raise FileNotFoundError(f"{argument}: there is no {path}.")
    try:
        if here:
            path = str(model_dirs.find_learned(path))
        kind = weights.format_of(path)
        if kind is None:
            return Found(path, None, None, files.read_prompts(path))
        model = weights.read_checkpoint(path)
        if model.vocabulary is None:
            told = given.config if kind == "t5x" else {}
            config = dataclasses.replace(model.config, **told)
            model = weights.read_checkpoint(path, config=config, vocabulary=given.vocabulary)
        return Found(path, kind, model, _t5x_prompts(path) if kind == "t5x" else None)
    except (ValueError, OSError) as error:
        raise ValueError(f"{argument}: {error}") from error


def _t5x_prompts(path: str) -> files.Prompts | None:
    try:
        arrays = t5x.read_t5x_prompt(path)
    except CheckpointError:  # the model beside it has been read, so there is none
        return None
    return files.Prompts({k: np.asarray(x, np.float32) for k, x in arrays.items()}, {})


def find_model(path: str, argument: str, given: Given = Given()) -> Found:
    """`find`, where nothing but a model will do."""
    found = find(path, argument, given)
    if found.model is None:
        raise ValueError(f"{argument}: expected a model, found prompts at {found.path}.")
    return found


def find_prompts(path: str, argument: str) -> files.Prompts:
    """The prompts of `find`, where nothing but these will do."""
    found = find(path, argument)
    if found.prompts is None:
        kind = FORMATS[found.format]
        raise ValueError(f"{argument}: expected prompts, found {kind} alone at {found.path}.")
    return found.prompts


@contextlib.contextmanager
def new(out: pathlib.Path) -> Iterator[pathlib.Path]:
    """Gives a file or folder to write; at the end, if nothing was raised, it takes the name `out`.

    Raises FileExistsError: `out` is there already.
    """
    if out.exists():
        raise FileExistsError(f"OUT: {out} is there already, and is left as it is: name another.")
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{uuid.uuid4().hex}.{out.name}")
    try:
        yield partial
        partial.rename(out)
    finally:
        if partial.is_dir():
            shutil.rmtree(partial)
        partial.unlink(missing_ok=True)


def frozen(model: Checkpoint, name: str) -> weights.FrozenModel:
    """A model that has a vocabulary, as what is learned on it knows it."""
    return weights.FrozenModel(name, model.config, dict(model.params), model.vocabulary)


def parser(description: str) -> argparse.ArgumentParser:
    return argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )


def add_given(arguments: argparse.ArgumentParser) -> None:
    """The arguments that `given` reads."""
    add_vocabulary(arguments)
    arguments.add_argument(
        "--relpos_max_distance",
        type=int,
        metavar="N",
        help="of a T5X checkpoint, which does not tell it: T5Config's (128)",
    )
    arguments.add_argument(
        "--activation",
        choices=ACTIVATIONS,
        help="likewise (gelu where the feed-forward layer is gated, relu where it is not)",
    )


def given(args: argparse.Namespace) -> Given:
    told = {name: getattr(args, name) for name in t5x_config.UNTOLD}
    told = {name: value for name, value in told.items() if value is not None}
    return Given(vocabulary(args), told)


def add_vocabulary(arguments: argparse.ArgumentParser) -> None:
    """The arguments that `vocabulary` reads."""
    arguments.add_argument(
        "--vocabulary_file",
        metavar="FILE",
        help="of a checkpoint that brings none (T5X): a SentencePiece model, a shipped model's name "
        'for its own, or "bytes" for ByT5',
    )
    arguments.add_argument(
        "--extra_ids", type=int, metavar="N", help="sentinels behind its pieces (100; bytes: 0)"
    )


def vocabulary(args: argparse.Namespace) -> vocabularies.Vocabulary | None:
    if args.vocabulary_file is None:
        return None
    try:
        return models.read_vocabulary(args.vocabulary_file, args.extra_ids)
    except (ValueError, OSError, RuntimeError) as error:
        raise ValueError(f"--vocabulary_file: {error}") from error


@contextlib.contextmanager
def short_errors(arguments: argparse.ArgumentParser) -> Iterator[None]:
    """Ends the program with one line, and code 2, for what its user can mend."""
    try:
        yield
    except (ValueError, OSError) as error:
        line = " ".join(str(error).split())
        arguments.exit(2, f"{arguments.prog}: error: {line}\n")


def print_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Columns side by side: the first, of names, to the left, numbers to the right."""
    widths = [max(map(len, column)) for column in zip(heads, *rows)]
    for row in (heads, *rows):
        first, *rest = (cell.rjust(width) for cell, width in zip(row, widths))
        print("  ".join([first.strip().ljust(widths[0]), *rest]))
