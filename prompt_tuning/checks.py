"""What every entry point checks of its arguments, before anything is read or compiled.

What a task, a method or a layout must be is checked by its own class.
"""

from collections.abc import Mapping
import os
import pathlib
import tempfile
from typing import Any

Path = str | os.PathLike

COUNTS = (
    *("train_steps", "batch_size", "accumulate", "keep", "max_examples"),
    *("eval_period", "max_eval_examples", "patience", "save_period", "log_period"),
)
LEAST = {"seed": 0} | dict.fromkeys(COUNTS, 1)


def numbers(where: str, **arguments: Any) -> None:
    """Raises ValueError where one that is in `LEAST` is less; None is no number."""
    for name, least in LEAST.items():
        value = arguments.get(name)
        if value is not None and value < least:
            raise ValueError(f"{where}.{name} must be at least {least}, found {value}.")


def feature_lengths(lengths: Mapping[str, int]) -> tuple[int, int]:
    """(T, L) of TASK_FEATURE_LENGTHS, checked."""
    if set(lengths) != {"inputs", "targets"} or min(lengths.values()) < 1:
        raise ValueError(
            'TASK_FEATURE_LENGTHS must be {"inputs": T, "targets": L}, two positive numbers of '
            f"tokens, found {dict(lengths)}."
        )
    return lengths["inputs"], lengths["targets"]


def mounted(folder: Path, flag: str) -> None:
    """Raises ValueError where a bucket's address is given for a folder: saves are renamed whole."""
    if "://" in str(folder):
        raise ValueError(
            f"{flag} must be a folder that this machine sees, found {str(folder)!r}: mount the bucket "
            "(gcsfuse), and give the folder where it is mounted."
        )


def writable(folder: Path, flag: str) -> None:
    """Makes the folder that `flag` names, so that hours of work do not end where nothing can be kept.

    Raises OSError, naming `flag`, where nothing can be written there.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{flag}: nothing can be written in {folder} ({error.strerror}): give another."
        ) from error


def writable_file(file: Path, flag: str) -> None:
    """As `writable`, of the folder that the file will be in."""
    if os.path.isdir(file):
        raise IsADirectoryError(f"{flag}: {file} is a folder: give a file in it.")
    writable(pathlib.Path(file).parent, flag)
