"""Hugging Face's T5 folders, in and out: T5 1.0 and 1.1, Flan-T5, mT5, umT5, ByT5.

    config.json                                  model_type t5, mt5 or umt5
    model.safetensors or pytorch_model.bin       whole or in parts, with an index
    spiece.model                                 SentencePiece; ByT5 has none
    tokenizer_config.json                        number of sentinels

The parameters' names are in hugging_face_names.py.
"""

from collections.abc import Mapping
import dataclasses
import json
import os
import pathlib
from typing import Any

import numpy as np

from prompt_tuning import atomic
from prompt_tuning.checkpoints import hugging_face_names as names
from prompt_tuning.checkpoints import tensors
from prompt_tuning.checkpoints import torch_tensors
from prompt_tuning.checkpoints.stored import Checkpoint, CheckpointError, StoredArray
from prompt_tuning.checkpoints.stored import check_depth, check_shapes, read_json, reporting
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import parameters

FIELDS = {  # of T5Config
    "vocab_size": "vocab_size",
    "d_model": "d_model",
    "num_heads": "num_heads",
    "head_dim": "d_kv",
    "d_ff": "d_ff",
    "num_encoder_layers": "num_layers",
    "num_decoder_layers": "num_decoder_layers",
    "relpos_buckets": "relative_attention_num_buckets",
    "relpos_max_distance": "relative_attention_max_distance",
}
EPSILON = 1e-6
FEED_FORWARD = {  # feed_forward_proj: gated, activation
    "relu": (False, "relu"),
    "gelu_new": (False, "gelu"),
    "gated-relu": (True, "relu"),
    "gated-gelu": (True, "gelu"),
}
FUNCTIONS = {"relu": "relu", "gelu": "gelu_new"}  # dense_act_fn; their "gelu" is not the tanh form
DEFAULTS = {"t5": "relu", "mt5": "gated-gelu", "umt5": "gated-gelu"}  # of feed_forward_proj
CLASSES = {"t5": "T5ForConditionalGeneration", "umt5": "UMT5ForConditionalGeneration"}
# Sentinels where tokenizer_config.json does not tell: those of mT5 are in its file, those of ByT5
# are bytes (2105.13626, section 3).
EXTRA_IDS = {"t5": 100, "mt5": 0, "umt5": 300, "bytes": 0}
VOCABULARY, TOKENIZER, BYTES = "spiece.model", "tokenizer_config.json", "ByT5Tokenizer"
ROWS = 256  # compared at a time


def read_hugging_face(folder: pathlib.Path) -> Checkpoint:
    """The model of a folder as transformers saves it; arrays stay on disk.

    Raises CheckpointError: a field or an activation that T5Config lacks, names that are missing or
    unknown, by Hugging Face's names.
    """
    file = folder / "config.json"
    described = read_json(file)
    config = _read_config(described, file)
    tied, arrays = _read_logits(described, _one_table(_read_arrays(folder)))
    config = dataclasses.replace(config, tied_logits=tied)
    check_depth(config, arrays, str(folder))
    theirs = names.names_of(config)
    check_shapes(arrays, _expected_shapes(config, theirs), str(folder))
    params = {ours: _turned(ours, arrays[theirs[ours]]) for ours in theirs}
    return Checkpoint(config, params, _read_vocabulary(folder, described))


def write_hugging_face(
    folder: str | os.PathLike,
    config: t5_config.T5Config,
    params: Mapping[str, Any],
    vocabulary: vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary,
    *,
    dtype: str = "float32",
) -> None:
    """Writes a folder that transformers loads as a T5, or a umT5.

    Args:
      folder: is made if it is not there.
      config: `dtype` and dropout, which say how a model is used, stay out.
      params: by T5X's names; `StoredArray`s too.
      vocabulary: whose file is copied.
      dtype: on disk.
    """
    theirs = names.names_of(config)
    check_shapes(params, parameters.expected_shapes(config), "What is to be written")
    arrays = {theirs[ours]: _turned(ours, params[ours]) for ours in theirs}
    folder = pathlib.Path(folder)
    _write_json(folder / "config.json", _write_config(config))
    _write_vocabulary(folder, vocabulary)
    tensors.write_tensors(folder, arrays, dtype, metadata={"format": "pt"})


def _expected_shapes(config: t5_config.T5Config, theirs: Mapping[str, str]) -> dict[str, tuple]:
    """By Hugging Face's names."""
    shapes = parameters.expected_shapes(config)
    return {theirs[name]: x[::-1] if _is_turned(name) else x for name, x in shapes.items()}


def _is_turned(name: str) -> bool:
    return name.endswith(names.TRANSPOSED)


def _turned(name: str, array: Any) -> Any:
    return array.T if _is_turned(name) else array


def _read_config(described: Mapping[str, Any], file: pathlib.Path) -> t5_config.T5Config:
    """All of T5Config but `tied_logits`, which the weights tell."""

    def known(field, value, expected):
        if value not in expected:
            raise CheckpointError(
                f"{file}: {field} must be {' or '.join(map(repr, expected))}, found {value!r}: "
                "another one computes something else."
            )
        return value

    kind = known("model_type", described.get("model_type"), list(DEFAULTS))
    known("layer_norm_epsilon", described.get("layer_norm_epsilon", EPSILON), [EPSILON])
    form = described.get("feed_forward_proj", DEFAULTS[kind])
    gated, activation = FEED_FORWARD[known("feed_forward_proj", form, list(FEED_FORWARD))]
    function = FUNCTIONS[activation]
    known("dense_act_fn", described.get("dense_act_fn", function), [function])
    known("scale_decoder_outputs", described.get("scale_decoder_outputs", True), [True, False])
    with reporting(str(file), advice=""):
        return t5_config.T5Config(
            gated=gated,
            activation=activation,
            relpos_per_layer=kind == "umt5",
            **_dimensions(described, file),
        )


def _dimensions(described: Mapping[str, Any], file: pathlib.Path) -> dict[str, Any]:
    """By T5Config's names. Old files lack some, of which all models had the same value."""
    depth = described.get("num_decoder_layers") or described.get("num_layers")
    values = {
        "relative_attention_num_buckets": t5_config.T5Config.relpos_buckets,
        "relative_attention_max_distance": t5_config.T5Config.relpos_max_distance,
        **described,
        "num_decoder_layers": depth,
    }
    if missing := [name for name in FIELDS.values() if values.get(name) is None]:
        raise CheckpointError(f"{file} lacks {', '.join(missing)}.")
    return {ours: values[theirs] for ours, theirs in FIELDS.items()}


def _write_config(config: t5_config.T5Config) -> dict[str, Any]:
    form = {ours: theirs for theirs, ours in FEED_FORWARD.items()}
    kind = "umt5" if config.relpos_per_layer else "t5"
    return {
        "architectures": [CLASSES[kind]],
        "model_type": kind,
        "is_encoder_decoder": True,
        **{theirs: getattr(config, ours) for ours, theirs in FIELDS.items()},
        "feed_forward_proj": form[config.gated, config.activation],
        "layer_norm_epsilon": EPSILON,
        "tie_word_embeddings": config.tied_logits,
        "pad_token_id": vocabularies.PAD_ID,
        "eos_token_id": vocabularies.EOS_ID,
        "decoder_start_token_id": vocabularies.PAD_ID,
    }


def _one_table(arrays: Mapping[str, StoredArray]) -> dict[str, StoredArray]:
    """Without what other names repeat, and what no model uses."""
    rest = {name: x for name, x in arrays.items() if name not in (*names.SAME_TABLE, *names.UNUSED)}
    for name in (*names.SAME_TABLE, names.TABLE):
        if name in arrays:
            rest[names.TABLE] = arrays[name]
    return rest


def _read_logits(
    described: Mapping[str, Any], arrays: Mapping[str, StoredArray]
) -> tuple[bool, Mapping[str, StoredArray]]:
    """Whether the logits are tied as in T5 1.0, and the arrays, with a head where they are not.

    A head that is not the table is T5 1.1's, whatever config.json says: transformers 5 writes
    `"tie_word_embeddings": true` for every T5. It also makes T5 1.1 and mT5 from a configuration
    with the table for a head, unscaled.
    """
    if names.TABLE not in arrays or described.get("tie_word_embeddings") is False:
        return False, arrays
    table, head = arrays[names.TABLE], arrays.get(names.HEAD)
    if head is not None and not _same(head, table):
        return False, arrays
    scaled = described.get("scale_decoder_outputs", described["model_type"] != "mt5")
    rest = {name: x for name, x in arrays.items() if name != names.HEAD}
    return bool(scaled), rest if scaled else {**rest, names.HEAD: table}


def _same(one: StoredArray, other: StoredArray) -> bool:
    """Reads as far as the first difference."""
    return one.shape == other.shape and all(
        np.array_equal(one[row : row + ROWS], other[row : row + ROWS])
        for row in range(0, len(one), ROWS)
    )


def _read_arrays(folder: pathlib.Path) -> dict[str, StoredArray]:
    """Of safetensors files, or else of PyTorch's."""
    for reader in (tensors, torch_tensors):
        if (folder / reader.FILE).exists() or (folder / reader.INDEX).exists():
            return reader.read_tensors(folder)
    raise CheckpointError(
        f"{folder} has neither {tensors.FILE} nor {torch_tensors.FILE}, nor an index of their "
        "parts. Check INITIAL_CHECKPOINT_PATH."
    )


def _read_vocabulary(
    folder: pathlib.Path, described: Mapping[str, Any]
) -> vocabularies.Vocabulary | None:
    file = folder / TOKENIZER
    tokenizer = read_json(file) if file.exists() else {}
    bytes_ = BYTES in (tokenizer.get("tokenizer_class"), described.get("tokenizer_class"))
    kind = "bytes" if bytes_ else described["model_type"]
    extra_ids = tokenizer.get("extra_ids", EXTRA_IDS[kind])
    vocabularies.check_extra_ids(extra_ids, f"{file}, extra_ids")
    if bytes_:
        return vocabularies.ByteVocabulary(extra_ids)
    if not (folder / VOCABULARY).exists():
        return None
    return vocabularies.SentencePieceVocabulary(folder / VOCABULARY, extra_ids)


def _write_vocabulary(
    folder: pathlib.Path,
    vocabulary: vocabularies.SentencePieceVocabulary | vocabularies.ByteVocabulary,
) -> None:
    tokenizer = BYTES
    if isinstance(vocabulary, vocabularies.SentencePieceVocabulary):
        tokenizer = "T5Tokenizer"
        atomic.copy(vocabulary.path, folder / VOCABULARY)
    described = {"tokenizer_class": tokenizer, "extra_ids": vocabulary.extra_ids}
    _write_json(folder / TOKENIZER, described)


def _write_json(file: pathlib.Path, content: Mapping[str, Any]) -> None:
    with atomic.writing(file) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n")
