"""Prompt files: one float32 [P, D] array in NumPy's own format.

Nothing is unpickled, and a file is complete or absent. What a prompt was
trained for is not in the file.
"""

import os
import pathlib

from jaxtyping import Array, Float
import numpy as np

from prompt_tuning import atomic

Path = str | os.PathLike


def write_prompt(path: Path, prompt: Float[Array, "P D"] | Float[np.ndarray, "P D"]) -> None:
    """Writes `prompt` under exactly this name; readers never see half a file."""
    with atomic.writing(path) as partial, open(partial, "wb") as file:
        np.save(file, np.asarray(prompt, np.float32), allow_pickle=False)


def read_prompt(
    path: Path, length: int | None = None, width: int | None = None
) -> Float[np.ndarray, "P D"]:
    """The prompt in a .npy file, float32, checked against P and D where given.

    Raises:
      FileNotFoundError: there is no such file.
      ValueError: it holds no prompt, or one that does not fit.
    """
    prompt = read_array(path, "PROMPT_FILE")
    check_prompt(prompt, path, length, width)
    return np.asarray(prompt, np.float32)


def check_prompt(
    prompt: np.ndarray, path: Path, length: int | None = None, width: int | None = None
) -> None:
    """Raises ValueError unless the array read from `path` is [length, width]."""
    expected = f"[{length or 'P'}, {width or 'D'}]"
    problem = f"PROMPT_FILE {path}: expected a prompt {expected}, found shape {prompt.shape}"
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise ValueError(f"{problem}. Change PROMPT_FILE.")
    rows, columns = prompt.shape
    if width is not None and columns != width:
        raise ValueError(
            f"{problem}: it belongs to a model of width {columns}, this one's "
            f"is {width}. Change PROMPT_FILE or the model."
        )
    if length is not None and rows != length:
        raise ValueError(f"{problem}. Set PROMPT_LENGTH={rows} or change PROMPT_FILE.")


def read_array(path: Path, flag: str, *, in_place: bool = False) -> np.ndarray:
    """A floating-point array from a .npy file; errors name `flag`.

    Args:
      path: of the file.
      flag: what the user set to this path.
      in_place: leave the array on disk and read only what is indexed.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        raise IsADirectoryError(
            f"{flag}: {path} is a folder; give a file in it, such as "
            "best/encoder.prompt.prompt.prompt of a run."
        )
    if not path.is_file():
        raise FileNotFoundError(f"{flag}: there is no file {path}.")
    try:
        array = np.load(path, mmap_mode="r" if in_place else None, allow_pickle=False)
    except (ValueError, EOFError) as error:
        raise ValueError(f"{flag} {path}: expected one array in .npy format ({error}).") from error
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        found = getattr(array, "dtype", "an archive of arrays")
        raise ValueError(f"{flag} {path}: expected one array of float32, found {found}.")
    return array
