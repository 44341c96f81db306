"""Prompt tuning adapters of Hugging Face PEFT, in and out: one folder.

    adapter_config.json         peft_type PROMPT_TUNING, num_virtual_tokens, token_dim, …
    adapter_model.safetensors   one tensor, prompt_embeddings

For sequence-to-sequence models PEFT allocates num_transformer_submodules (2 by default) times P rows,
of which T5 uses the first P, in front of the encoder's input. We write 1, so P rows. Whether a prompt
fits its base model is for methods/soft_prompt.py to say.
"""

from collections.abc import Mapping
import json
import os
import pathlib
from typing import Any

from jaxtyping import Array, Float
import numpy as np
from safetensors import numpy as safetensors_numpy

from prompt_tuning import atomic
from prompt_tuning.checkpoints import tensors
from prompt_tuning.checkpoints.stored import CheckpointError, floating, read_json, reporting

CONFIG = "adapter_config.json"
WEIGHTS = "adapter_model.safetensors"
_TENSOR = "prompt_embeddings"
_KIND = {"peft_type": "PROMPT_TUNING", "task_type": "SEQ_2_SEQ_LM"}
_SIZES = ("num_transformer_submodules", "num_virtual_tokens", "token_dim")


def is_adapter(folder: pathlib.Path) -> bool:
    return (folder / CONFIG).is_file()


def read_adapter(folder: str | os.PathLike) -> tuple[Float[np.ndarray, "P D"], dict[str, str]]:
    """The encoder's prompt, and what PEFT says it is for: {"base_model": name}.

    Raises ValueError, by file, for an adapter of another kind or of other shapes than it says, and
    for one that trained more than a prompt.
    """
    folder = pathlib.Path(folder)
    config = _read_config(folder / CONFIG)
    submodules, length, width = _sizes(config, folder / CONFIG)
    tensors = _read_tensors(folder / WEIGHTS)
    found, expected = {name: x.shape for name, x in tensors.items()}, (submodules * length, width)
    if found != {_TENSOR: expected}:
        raise ValueError(
            f"PROMPT_FILE {folder / WEIGHTS}: expected {_TENSOR} {expected} alone, as {CONFIG} "
            f"says, found {found}."
        )
    prompt = tensors[_TENSOR][:length]
    floating(prompt.dtype, f"PROMPT_FILE {folder / WEIGHTS}: {_TENSOR}")
    name = config.get("base_model_name_or_path")
    return prompt.astype(np.float32), {"base_model": str(name)} if name else {}


def write_adapter(
    folder: str | os.PathLike,
    prompt: Float[np.ndarray, "P D"] | Float[Array, "P D"],
    *,
    base_model: str,
) -> None:
    """Writes an adapter that PEFT's `PeftModel.from_pretrained` loads onto `base_model`.

    Args:
      folder: is made if it is not there.
      prompt: of the encoder, in front of its input.
      base_model: the Hugging Face name or folder of the frozen model.
    """
    folder = pathlib.Path(folder)
    config = _KIND | dict(zip(_SIZES, (1, *prompt.shape))) | {"base_model_name_or_path": base_model}
    tensors.write_file(folder / WEIGHTS, {_TENSOR: prompt}, "float32", {"format": "pt"})
    with atomic.writing(folder / CONFIG) as partial:
        partial.write_text(json.dumps(config, indent=2) + "\n")


def _read_config(file: pathlib.Path) -> Mapping[str, Any]:
    try:
        config = read_json(file)
    except CheckpointError as error:
        raise ValueError(f"PROMPT_FILE {error}") from error
    for name, expected in _KIND.items():
        if config.get(name) != expected:
            raise ValueError(
                f"PROMPT_FILE {file}: expected {name} {expected}, found {config.get(name)!r}: only "
                "PEFT's prompt tuning of encoder-decoders is read."
            )
    return config


def _sizes(config: Mapping[str, Any], file: pathlib.Path) -> list[int]:
    """In the order of _SIZES; PEFT takes submodules left out or null as 2."""
    given = {"num_transformer_submodules": 2} | {k: v for k, v in config.items() if v is not None}
    sizes = {name: given.get(name) for name in _SIZES}
    for name, size in sizes.items():
        if not isinstance(size, int) or size < 1:
            raise ValueError(
                f"PROMPT_FILE {file}: expected {name} to be a positive integer, found {size!r}."
            )
    return list(sizes.values())


def _read_tensors(file: pathlib.Path) -> dict[str, np.ndarray]:
    advice = (
        " PEFT writes it unless it is told safe_serialization=False; the pickled adapter_model.bin "
        "is not read."
    )
    with reporting(f"PROMPT_FILE {file} cannot be read", advice):
        return safetensors_numpy.load_file(file)
