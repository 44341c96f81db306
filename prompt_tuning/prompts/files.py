"""Prompts on disk, in each form that they come in.

    encoder.prompt.prompt.prompt   a float32 [P, D] array in NumPy's format, as the original writes it
    prompt.safetensors             all of a method's prompts, and what they were trained for
    adapter_config.json, adapter_model.safetensors   PEFT's (checkpoints/peft.py)
    checkpoint, target.…/          a T5X checkpoint with prompts among its parameters (checkpoints/t5x.py)

Nothing is unpickled, and a file is complete or absent. Whether a prompt fits its base model is for
methods/soft_prompt.py to say.
"""

from collections.abc import Mapping
import dataclasses
import os
import pathlib

import jax.numpy as jnp
from jaxtyping import Array, Float
import numpy as np

from prompt_tuning import atomic
from prompt_tuning.checkpoints import described
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import peft
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints.stored import reporting

Path = str | os.PathLike
Prompt = Float[Array, "P D"] | Float[np.ndarray, "P D"]
DESCRIBED = "prompt.safetensors"


def parameter(stack: str) -> str:
    """The name of a stack's prompt among the network's parameters."""
    return f"{stack}/prompt/prompt/prompt"


def file_name(stack: str) -> str:
    """Of a stack's prompt in a folder, as the original writes it: encoder.prompt.prompt.prompt."""
    return parameter(stack).replace("/", ".")


@dataclasses.dataclass(frozen=True)
class Prompts:
    """What is in a prompt file or folder.

    Attributes:
      arrays: float32 [P, D] by parameter name.
      about: texts: base_model and its fingerprint, task, metric, score, step, config; whichever are
        known, and none where the form has no place for them (NumPy's).
    """

    arrays: dict[str, np.ndarray]
    about: dict[str, str]


def write_prompt(path: Path, prompt: Prompt) -> None:
    """Writes `prompt` in NumPy's format under exactly this name; readers never see half a file."""
    with atomic.writing(path) as partial, open(partial, "wb") as file:
        np.save(file, np.asarray(prompt, np.float32), allow_pickle=False)


def write_prompts(path: Path, prompts: Mapping[str, Prompt], about: Mapping[str, str]) -> None:
    """Writes prompts by parameter name, and what they were trained for."""
    described.write(pathlib.Path(path), prompts, about)


def read_prompts(path: Path) -> Prompts:
    """The prompts in a file, or in a folder that a run, PEFT or T5X wrote.

    A NumPy file of any name but the decoder's holds the encoder's prompt.

    Raises:
      FileNotFoundError: there is no such file, or no prompt in the folder.
      ValueError: it holds no prompt.
    """
    path = pathlib.Path(path)
    if path.is_dir():
        return _read_folder(path)
    if path.suffix == ".safetensors":
        return _checked(*described.read(path), path)
    stack = "decoder" if path.name == file_name("decoder") else "encoder"
    return _checked({parameter(stack): read_array(path, "PROMPT_FILE")}, {}, path)


def read_prompt(
    path: Path, length: int | None = None, width: int | None = None
) -> Float[np.ndarray, "P D"]:
    """The encoder's prompt of `read_prompts`, checked against P and D where given."""
    arrays = read_prompts(path).arrays
    if parameter("encoder") not in arrays:
        raise ValueError(f"PROMPT_FILE {path}: expected an encoder prompt, found {list(arrays)}.")
    prompt = arrays[parameter("encoder")]
    check_prompt(prompt, path, length, width)
    return prompt


def _read_folder(folder: pathlib.Path) -> Prompts:
    if peft.is_adapter(folder):
        prompt, about = peft.read_adapter(folder)
        return _checked({parameter("encoder"): prompt}, about, folder / peft.WEIGHTS)
    if t5x.is_t5x(str(folder)):
        return _checked(t5x.read_t5x_prompt(str(folder)), {}, folder)
    if (folder / DESCRIBED).is_file():
        return _checked(*described.read(folder / DESCRIBED), folder / DESCRIBED)
    arrays = {}
    for stack in ("encoder", "decoder"):
        if (folder / file_name(stack)).is_file():
            arrays |= read_prompts(folder / file_name(stack)).arrays
    if not arrays:
        raise FileNotFoundError(
            f"PROMPT_FILE: there is no prompt in {folder}: expected {file_name('encoder')}, "
            f"{DESCRIBED} or PEFT's {peft.CONFIG}, {_found_instead(folder)}"
        )
    return Prompts(arrays, {})


def _found_instead(folder: pathlib.Path) -> str:
    """What is in a folder without a prompt, and what to do then."""
    if method := model_dirs.written_by(folder):
        return f"found what {method} learned: set METHOD to it (gin/methods/)."
    if (folder / "model.safetensors").is_file():
        return "found a model: set METHOD to what tuned it (gin/methods/model_tuning.gin)."
    if runs := sorted(best.parent.name for best in folder.glob("*/best")):
        return f"found runs: give the MODEL_DIR of one ({', '.join(runs[:5])})."
    return "found neither. Give a prompt file, or the MODEL_DIR of a run."


def _checked(
    arrays: Mapping[str, np.ndarray], about: Mapping[str, str], path: pathlib.Path
) -> Prompts:
    for prompt in arrays.values():
        check_prompt(prompt, path)
    return Prompts({name: np.asarray(x, np.float32) for name, x in arrays.items()}, dict(about))


def check_prompt(
    prompt: np.ndarray, path: Path, length: int | None = None, width: int | None = None
) -> None:
    """Raises ValueError unless the array read from `path` is [length, width], of finite numbers."""
    expected = f"[{length or 'P'}, {width or 'D'}]"
    problem = f"PROMPT_FILE {path}: expected a prompt {expected}, found shape {prompt.shape}"
    if prompt.ndim != 2 or 0 in prompt.shape:
        raise ValueError(f"{problem}. Change PROMPT_FILE.")
    if not jnp.issubdtype(prompt.dtype, jnp.floating) or not np.isfinite(prompt).all():
        raise ValueError(
            f"PROMPT_FILE {path}: expected finite floating-point numbers, found {prompt.dtype} with "
            f"{np.sum(~np.isfinite(prompt))} that are not. Change PROMPT_FILE."
        )
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
    with reporting(f"{flag} {path}: expected one array in .npy format", advice=""):
        array = np.load(path, mmap_mode="r" if in_place else None, allow_pickle=False)
    if not isinstance(array, np.ndarray) or not np.issubdtype(array.dtype, np.floating):
        found = getattr(array, "dtype", "an archive of arrays")
        raise ValueError(f"{flag} {path}: expected one array of float32, found {found}.")
    return array
