"""Eight virtual devices for every test, set before JAX counts them, and one cache of compiled programs
for all of them; a model and data on disk, and the command that trains on them.
"""

import os
import shutil
import sys
import tempfile

import hypothesis
import jax
import pytest

from prompt_tuning import models
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.vocabulary import SentencePieceVocabulary
from tests import models as tiny

jax.config.update("jax_num_cpu_devices", 8)

# Shared machines stall at random; the same cases every time, and no limit on how long one takes.
hypothesis.settings.register_profile("shared_machine", deadline=None, derandomize=True)
hypothesis.settings.load_profile("shared_machine")

COMPILED = "JAX_COMPILATION_CACHE_DIR"


def pytest_configure(config):
    """Tests compile the same small programs over and over: in workers, and in processes they start."""
    if not hasattr(config, "workerinput"):
        os.environ[COMPILED] = tempfile.mkdtemp(prefix="compiled_")
        os.environ["JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS"] = "0"
    jax.config.update("jax_compilation_cache_dir", os.environ[COMPILED])
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0)


def pytest_unconfigure(config):
    if not hasattr(config, "workerinput"):
        shutil.rmtree(os.environ[COMPILED])


@pytest.fixture(scope="module")
def quick_compilation():
    """For modules that compile much, and compare what is computed in two ways, both without XLA's
    optimizations.
    """
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)


@pytest.fixture(scope="session")
def model_folder(tmp_path_factory):
    """A tiny random T5 with the shipped vocabulary, as INITIAL_CHECKPOINT_PATH takes it."""
    config = tiny.tiny_config(vocab_size=4096, num_heads=2, head_dim=8)
    vocabulary = SentencePieceVocabulary(models.ASSETS / "pocket_t5" / "vocabulary.model", 32)
    params = weights.random_params(config, seed=0)
    folder = tmp_path_factory.mktemp("tiny_t5")
    weights.save_model(
        folder, weights.FrozenModel("tiny", config, params, vocabulary), params, dtype="float32"
    )
    return folder


@pytest.fixture(scope="session")
def data_files(tmp_path_factory):
    """A task's three splits as .tsv: does the text name a colour or an animal?"""
    folder = tmp_path_factory.mktemp("data")
    words = [("red", "colour"), ("cat", "animal"), ("blue", "colour"), ("dog", "animal")]
    files = {}
    for split, count in (("train", 40), ("validation", 12), ("test", 10)):
        rows = [f"{split}{i}\t{words[i % 4][0]} {i}\t{words[i % 4][1]}" for i in range(count)]
        files[split] = str(folder / f"{split}.tsv")
        (folder / f"{split}.tsv").write_text("\n".join(["id\tinputs\ttargets", *rows]) + "\n")
    return files


@pytest.fixture(scope="session")
def training_command(model_folder, data_files):
    """`training_command(model_dir, *more)`: a small run of the tiny model, for `subprocess`."""
    bindings = {
        "INITIAL_CHECKPOINT_PATH": model_folder,
        "DATA_FILES": data_files,
        "CLASS_LABELS": ["animal", "colour"],
        "ID_COLUMN": "id",
        "TASK_FEATURE_LENGTHS": {"inputs": 16, "targets": 4},
        "BATCH_SIZE": 8,
        "PROMPT_LENGTH": 4,
        "SampledVocab.first": 4000,
        "TRAIN_STEPS": 2,
        "EVAL_PERIOD": None,
        "train.log_period": 1,
    }
    program = [sys.executable, "-m", "prompt_tuning.train", "--gin_file=tasks/files.gin"]
    flags = [f"--gin.{name}={value}" for name, value in bindings.items()]
    return lambda model_dir, *more: [*program, *flags, f"--gin.MODEL_DIR={model_dir}", *more]
