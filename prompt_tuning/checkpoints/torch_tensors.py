"""Named arrays in PyTorch's files, as Hugging Face laid them out before safetensors.

    pytorch_model.bin                                  all of them, or
    pytorch_model-00001-of-00002.bin, …                parts of them, and
    pytorch_model.bin.index.json                       {"weight_map": {name: file}}

The only place that imports torch; what the names mean is hugging_face.py's part.
"""

import pathlib
import zipfile

from prompt_tuning.checkpoints.stored import CheckpointError, StoredArray, floating, reporting
from prompt_tuning.checkpoints.tensors import read_index

FILE = "pytorch_model.bin"
INDEX = f"{FILE}.index.json"


def read_tensors(folder: pathlib.Path) -> dict[str, StoredArray]:
    """The arrays of a folder by name, mapped into memory; no code in the files is run.

    Raises CheckpointError where PyTorch is not installed or a file cannot be read.
    """
    files = [FILE]
    if not (folder / FILE).exists():
        files = sorted(set(read_index(folder / INDEX).values()))
    return {name: x for file in files for name, x in _read_file(folder / file).items()}


def _read_file(file: pathlib.Path) -> dict[str, StoredArray]:
    try:
        import torch
    except ImportError as error:
        raise CheckpointError(
            f"{file} needs PyTorch to be read: pip install prompt_tuning[torch], or save the model "
            "as model.safetensors."
        ) from error

    def stored(name, array):
        dtype = floating(str(array.dtype).removeprefix("torch."), f"{file}: {name}")
        # By way of float32, since NumPy cannot be given PyTorch's bfloat16.
        return StoredArray(tuple(array.shape), dtype, lambda index: array[index].float().numpy())

    with reporting(f"{file} cannot be read"):
        mapped = zipfile.is_zipfile(file)  # files from before PyTorch 1.6 are read whole
        arrays = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
        return {name: stored(name, array) for name, array in arrays.items()}
