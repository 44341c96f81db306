"""A T5X checkpoint that T5X wrote, and T5X's command line on it."""

import os
import pathlib
import subprocess
import sys

import pytest

from prompt_tuning.t5 import network
from tests import models as tiny

ROOT = pathlib.Path(__file__).parents[2]
STEP = 1_100_000  # as the public LM-adapted checkpoints
PROMPT_LENGTH, SEED, BATCH_SIZE = 5, 7, 8
CONFIG = tiny.tiny_config(vocab_size=4096, num_heads=2, head_dim=8)


@pytest.fixture(scope="session")
def checkpoint(tmp_path_factory):
    """A base model as the public ones are: T5X's format, with T5X's own Adafactor's state."""
    import jax
    import numpy as np
    from t5x import adafactor, checkpoints, models, partitioning, utils

    from tests.t5x import tiny_task

    model = models.EncoderDecoderModel(
        network.T5(CONFIG),
        tiny_task.VOCABULARY,
        tiny_task.VOCABULARY,
        adafactor.Adafactor(1e-3, logical_factor_rules=adafactor.standard_logical_factor_rules()),
    )
    whole = [(axis, None) for axis, _ in partitioning.standard_logical_axis_rules()]
    partitioner = partitioning.PjitPartitioner(num_partitions=1, logical_axis_rules=whole)
    shapes = {f"{stack}_input_tokens": (BATCH_SIZE, 8) for stack in ("encoder", "decoder")}
    types = dict.fromkeys(shapes, np.int32)
    initializer = utils.TrainStateInitializer(
        model.optimizer_def, model.get_initial_variables, shapes, partitioner, types
    )
    state = initializer.from_scratch(jax.random.PRNGKey(3)).replace_step(np.int32(STEP))
    folder = tmp_path_factory.mktemp("base")
    checkpoints.Checkpointer(state, partitioner, str(folder)).save(state)
    return folder / f"checkpoint_{STEP}"


@pytest.fixture(scope="session")
def command(checkpoint):
    """`command("train", MODEL_DIR=...)`: T5X's program, on two devices that share each weight."""
    from tests.t5x import tiny_task

    always = {
        "VOCABULARY_FILE": tiny_task.VOCABULARY.sentencepiece_model_file,
        "INITIAL_CHECKPOINT_PATH": str(checkpoint),
        "CHECKPOINT_PATH": str(checkpoint),
        "MIXTURE_OR_TASK_MODULE": "tests.t5x.tiny_task",
        "MIXTURE_OR_TASK_NAME": tiny_task.NAME,
        "TASK_FEATURE_LENGTHS": tiny_task.LENGTHS,
        "PROMPT_LENGTH": PROMPT_LENGTH,
        "partitioning.PjitPartitioner.num_partitions": 2,
    }

    def run(program, run_file, **bindings):
        files = ["tests/t5x/tiny.gin", run_file]
        flags = [f"--gin_file={file}" for file in files]
        flags += [f"--gin.{name}={value!r}" for name, value in (always | bindings).items()]
        environment = {
            "JAX_PLATFORMS": "cpu",
            "XLA_FLAGS": "--xla_force_host_platform_device_count=2",
        }
        done = subprocess.run(
            [sys.executable, "-m", f"t5x.{program}", *flags],
            cwd=ROOT,
            env=os.environ | environment,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr[-4000:]

    return run
