"""What a run leaves in its MODEL_DIR for others: the best of what it learned, and what it wrote as it went.

What a run needs to go on is runs.py's part; what is in the files, that of the methods which write them.
"""

import os
import pathlib

from prompt_tuning.checkpoints import described

LEARNED = "learned.safetensors"  # of a method that learns other things than prompts
Path = str | os.PathLike


def find_learned(path: Path, flag: str = "PROMPT_FILE") -> pathlib.Path:
    """What a method's `read` takes: of a run's folder its best, else its newest, save.

    Any other path is that of a prompt file or of a folder that a method wrote, and is returned as
    it is. Raises FileNotFoundError, naming `flag`, if nothing is there.
    """
    path = pathlib.Path(path)
    if not path.exists():
        raise FileNotFoundError(
            f"{flag}: there is no {path}. Give a prompt file, or the MODEL_DIR of a run."
        )
    newest_first = reversed(saves(path).values())
    return next((save for save in [path / "best", *newest_first] if _holds_files(save)), path)


def holds_learned(folder: pathlib.Path) -> bool:
    """Whether it is a run's folder, with something that the run learned."""
    return folder.exists() and find_learned(folder) != folder


def saves(model_dir: Path) -> dict[int, pathlib.Path]:
    """What a run wrote as it went, by step in rising order; of T5X's runs too."""
    found = {
        int(save.name.split("_")[1]): save
        for save in pathlib.Path(model_dir).glob("numpy_checkpoints/checkpoint_*")
        if save.name.split("_")[1].isdigit() and _holds_files(save)
    }
    return dict(sorted(found.items()))


def _holds_files(folder: pathlib.Path) -> bool:
    """Whether there is a file that is whole; atomic.py's partial ones have a dot in front."""
    return folder.is_dir() and any(not file.name.startswith(".") for file in folder.iterdir())


def written_by(folder: pathlib.Path) -> str | None:
    """The method, of those that write `LEARNED`, whose file is in the folder; None if there is none."""
    file = folder / LEARNED
    return described.read(file)[1].get("method", "another method") if file.is_file() else None
