"""Commands set up the package's log; each test gets it as it was. And one in a process of its own."""

import logging
import sys

import pytest


@pytest.fixture(autouse=True)
def log_as_it_was():
    package = logging.getLogger("prompt_tuning")
    before = package.handlers, package.level, package.propagate
    yield
    package.handlers, package.level, package.propagate = before


@pytest.fixture
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
