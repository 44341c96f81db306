"""How long a prompt's rows are: beside the vocabulary's, and over the training of a run."""

import dataclasses
import json
import logging
import pathlib

from jaxtyping import Array, Float
import numpy as np

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.prompts import files
from prompt_tuning.prompts import neighbors
from prompt_tuning.training import writers
from prompt_tuning.understanding import subjects

log = logging.getLogger(__name__)
TRAINED_NORM = "train/trained_norm"  # in a run's scalars: of all that is trained, together


@dataclasses.dataclass(frozen=True)
class Training:
    """What a run's folder tells of norms.

    Attributes:
      saves: step -> parameter name -> norms of the prompt's rows then.
      trained: step -> norm of all that is trained.
    """

    saves: dict[int, dict[str, Float[np.ndarray, "_"]]]
    trained: dict[int, float]


def row_norms(rows: Float[np.ndarray, "N D"] | Float[Array, "N D"]) -> Float[np.ndarray, "N"]:
    return np.linalg.norm(np.asarray(rows, np.float32), axis=1)


def vocabulary_norms(
    table: neighbors.Table, vocabulary: vocabularies.Vocabulary
) -> Float[np.ndarray, "N"]:
    """Norms of the rows that may be a prompt's neighbours: without pad, eos, unk, and padding."""
    return np.delete(row_norms(table[: vocabulary.vocab_size]), neighbors.SPECIAL_IDS)


def training(folder: files.Path) -> Training | None:
    """What the MODEL_DIR of a run, here or in T5X, kept of its training; None for anything else."""
    saves = {
        step: {name: row_norms(rows) for name, rows in subjects.read_prompts(save).arrays.items()}
        for step, save in model_dirs.saves(folder).items()
    }
    if not saves:
        return None
    trained = _trained_norms(pathlib.Path(folder) / writers.SCALARS)
    return Training(saves, trained)


def _trained_norms(file: pathlib.Path) -> dict[int, float]:
    if not file.is_file():
        return {}  # T5X writes none
    found = {}
    for line in file.read_text(encoding="utf-8", errors="replace").splitlines():
        try:
            scalars = json.loads(line)
            if TRAINED_NORM in scalars:
                found[int(scalars["step"])] = float(scalars[TRAINED_NORM])
        except (ValueError, TypeError, LookupError):  # of a killed run the last may be half a line
            log.warning("%s: left out %.80r, which is no line of scalars.", file, line)
    return found
