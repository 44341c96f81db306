"""What is read from disk, made small: how each is written and read, and which of its files it needs."""

from collections.abc import Callable
import dataclasses
import functools
import pathlib
import shutil

import numpy as np

from prompt_tuning import models as shipped
from prompt_tuning.checkpoints import hugging_face
from prompt_tuning.checkpoints import peft
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.vocabulary import SentencePieceVocabulary
from prompt_tuning.prompts import files
from prompt_tuning.t5 import parameters
from tests import models

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
LEGACY, ORBAX = "t5x_checkpoint/checkpoint_3", "t5x_orbax/t5/checkpoint_2"
PROMPT = np.random.default_rng(0).normal(size=(5, 16)).astype(np.float32)
ENCODER = files.parameter("encoder")
Arrays = dict[str, np.ndarray]


def write_native(folder):
    model = random_model()
    weights.save_model(folder, model, model.params, dtype="bfloat16")


def write_hugging_face(folder):
    model = random_model()
    hugging_face.write_hugging_face(folder, model.config, model.params, model.vocabulary)


@functools.cache
def random_model() -> weights.FrozenModel:
    rng = np.random.default_rng(1)
    config = models.tiny_config(vocab_size=4096, d_model=4, num_heads=2, head_dim=2, d_ff=8)
    vocabulary = SentencePieceVocabulary(shipped.ASSETS / "pocket_t5" / "vocabulary.model", 32)
    shapes = parameters.expected_shapes(config)
    params = {name: rng.normal(size=shape).astype(np.float32) for name, shape in shapes.items()}
    return weights.FrozenModel("tiny", config, params, vocabulary)


def write_numpy(folder):
    files.write_prompt(folder / files.file_name("encoder"), PROMPT)


def write_described(folder):
    files.write_prompts(folder / files.DESCRIBED, {ENCODER: PROMPT}, {"base_model": "x"})


def copy(name: str) -> Callable[[pathlib.Path], None]:
    return lambda folder: shutil.copytree(FIXTURES / name, folder, dirs_exist_ok=True)


def read_prompt(folder) -> Arrays:
    return {ENCODER: files.read_prompt(folder)}


def read_params(folder) -> Arrays:
    return {name: np.asarray(x) for name, x in weights.read_checkpoint(folder).params.items()}


def read_legacy(folder) -> Arrays:
    """With the configuration that a size's gin file gives: T5X has none on disk."""
    found = weights.read_checkpoint(folder, config=legacy_config())
    return {name: np.asarray(x) for name, x in found.params.items()}


@functools.cache
def legacy_config():
    return weights.read_checkpoint(FIXTURES / LEGACY).config


def read_model(folder) -> Arrays:
    """And what a run asks of it: its fingerprint needs every piece of the vocabulary."""
    model = weights.open_model(folder)
    assert len(model.fingerprint) == 16 and model.vocabulary.encode("a word")
    return {name: np.asarray(x) for name, x in model.params.items()}


@dataclasses.dataclass(frozen=True)
class Subject:
    """Something on disk that is read.

    Attributes:
      make: writes it to a folder.
      read: gives its arrays.
      needed: files without which it cannot be read.
      optional: files without which it may be.
      changes: how many of each kind to try on a file.
    """

    make: Callable[[pathlib.Path], object]
    read: Callable[[pathlib.Path], Arrays]
    needed: tuple[str, ...]
    optional: tuple[str, ...] = ()
    changes: int = 12


DATABASE = ("state/manifest.ocdbt", "state/d/fc5e1d841a6906dded86dd49275ca003")
CHUNKS = (
    "state/ocdbt.process_0/d/bef116c43dafdee2eda801d3a60b9785"  # the model's, not its optimizer's
)
TABLE = "target.token_embedder.embedding"
PARTS = tuple(f"model-0000{i}-of-00003.safetensors" for i in (1, 2, 3))
MODEL = ("config.json", "model.safetensors")
SUBJECTS = {
    "numpy": Subject(write_numpy, read_prompt, (files.file_name("encoder"),)),
    "described": Subject(write_described, read_prompt, (files.DESCRIBED,)),
    "adapter": Subject(copy("peft/adapter_1"), read_prompt, (peft.CONFIG, peft.WEIGHTS)),
    "native": Subject(write_native, read_model, (*MODEL, "vocabulary.model")),
    "hugging_face": Subject(
        write_hugging_face, read_model, (*MODEL, "spiece.model"), ("tokenizer_config.json",)
    ),
    "in_parts": Subject(
        copy("hf_models/t5_v1_1_sharded"),
        read_params,
        ("config.json", "model.safetensors.index.json", *PARTS),
        ("generation_config.json",),
    ),
    "of_torch": Subject(
        copy("hf_models/t5_v1_1_bin"), read_params, ("config.json", "pytorch_model.bin")
    ),
    "t5x": Subject(
        copy(LEGACY), read_legacy, ("checkpoint", f"{TABLE}/.zarray", f"{TABLE}/7.0"), changes=4
    ),
    "orbax": Subject(copy(ORBAX), read_params, (*DATABASE, CHUNKS), changes=4),
    "orbax_prompt": Subject(
        copy(ORBAX), read_prompt, DATABASE, ("_CHECKPOINT_METADATA",), changes=4
    ),
}
