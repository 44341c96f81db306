"""The frozen model in the project's own format: one folder.

config.json         {"format": ..., "t5": T5Config, "vocabulary": {...}}
model.safetensors   flat parameter names of T5X, any float dtype (tensors.py)
vocabulary.model    SentencePiece
"""

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

from prompt_tuning import atomic
from prompt_tuning.checkpoints import tensors
from prompt_tuning.checkpoints.stored import Checkpoint, CheckpointError, read_json
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config

FORMAT = "prompt_tuning/1"


def read_native(folder: pathlib.Path) -> Checkpoint:
    """Raises CheckpointError where the folder holds another format's version."""
    file = folder / "config.json"
    described = read_json(file, "t5", "vocabulary")
    if described.get("format") != FORMAT:
        raise CheckpointError(
            f'{file}: expected "format": "{FORMAT}", found {described.get("format")!r}.'
        )
    config = t5_config.T5Config.from_dict(described["t5"], where=str(file))
    vocabulary = _read_vocabulary(file, described["vocabulary"])
    return Checkpoint(config, tensors.read_tensors(folder), vocabulary)


def write_native(
    folder: str | os.PathLike,
    config: t5_config.T5Config,
    params: Mapping[str, Any],
    vocabulary: vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary,
    *,
    dtype: str = "bfloat16",
) -> None:
    """Writes a model folder; `config.dtype` and dropout, which say how a model is used, stay out."""
    folder = pathlib.Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    described = {
        "format": FORMAT,
        "t5": dataclasses.asdict(config) | dict(dtype="float32", dropout_rate=0.0),
        "vocabulary": _write_vocabulary(folder, vocabulary),
    }
    with atomic.writing(folder / "config.json") as partial:
        partial.write_text(json.dumps(described, indent=2) + "\n")
    tensors.write_tensors(folder, params, dtype)


def _write_vocabulary(
    folder: pathlib.Path,
    vocabulary: vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary,
) -> dict[str, Any]:
    """Puts the vocabulary's file beside the weights, if it has one; returns its entry in config.json."""
    if isinstance(vocabulary, vocabularies.ByteVocabulary):
        return {"bytes": True, "extra_ids": vocabulary.extra_ids}
    file = folder / "vocabulary.model"
    atomic.copy(vocabulary.path, file)
    return {"file": file.name, "extra_ids": vocabulary.extra_ids}


def _read_vocabulary(file: pathlib.Path, entry: dict[str, Any]) -> vocabularies.Vocabulary:
    """What an entry of the config.json `file` describes."""
    extra_ids = vocabularies.check_extra_ids(entry.get("extra_ids"), f"{file}, extra_ids")
    if entry.get("bytes"):
        return vocabularies.ByteVocabulary(extra_ids)
    if not isinstance(entry.get("file"), str):
        raise CheckpointError(f"{file}: the vocabulary has neither a file nor bytes.")
    return vocabularies.SentencePieceVocabulary(file.parent / entry["file"], extra_ids)
