"""What a run learned, on top of the frozen model, for those who are given its folder."""

import logging
import os
import pathlib

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method as methods
from prompt_tuning.training import partition

log = logging.getLogger(__name__)
Path = str | os.PathLike


def adapted_params(
    model: weights.FrozenModel, method: methods.Method, learned: Path | None
) -> partition.Flat:
    """The frozen parameters and, over them, those that were trained.

    Args:
      model: the frozen model.
      method: reads what it wrote.
      learned: a prompt file, a folder that the method wrote, or a run's MODEL_DIR; None for a
        method that trains nothing.
    """
    if not method.trainable:
        return model.params
    if learned is None:
        raise ValueError(
            f"{type(method).__name__} needs what it learned: set PROMPT_FILE to a prompt file or to "
            "the MODEL_DIR of a run."
        )
    path = find_learned(learned)
    log.info("Reading %s", path)
    return model.params | method.read(model, path)


def find_learned(path: Path) -> pathlib.Path:
    """What a method's `read` takes: of a run's folder its best, else its newest, save.

    Any other path is that of a prompt file or of a folder that a method wrote, and is returned as
    it is. Raises FileNotFoundError if nothing is there.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"PROMPT_FILE: there is no {path}. Give a prompt file, or the MODEL_DIR of a run."
        )
    saves = sorted(
        path.glob("numpy_checkpoints/checkpoint_*"), key=lambda save: int(save.name.split("_")[1])
    )
    return next((found for found in [path / "best", *reversed(saves)] if found.is_dir()), path)
