"""One seed, one run: in another process bit for bit, on other numbers of devices within rounding.

What keeps every bit on CPUs, measured on what is trained here: another process; one core or several;
XLA's --xla_force_host_platform_device_count in place of JAX_NUM_CPU_DEVICES; and
--xla_cpu_enable_fast_math=false, which is what it does unasked. What sums in another order does not,
though it is the same each time: --xla_cpu_multi_thread_eigen=false, --xla_cpu_max_isa,
--xla_backend_optimization_level, and another number of devices. On GPUs XLA promises the same bits
under --xla_gpu_deterministic_ops=true alone.

Dropout is on throughout: its masks are a function of the seed, the step and an element's place in
its part, not of the device that it is on. They may change where an arrangement cuts a
step's parts otherwise for more devices: `Bucketed` where inputs have more than 64 tokens, `Packed`.
"""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning.prompts import files
from tests import processes

STEPS = 12
TOLERANCE = 1e-5  # of losses relative to their size, of a prompt of numbers near 1 as it is
ON_ONE_CORE = """
import os
os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
from prompt_tuning import train
train.main()
"""


@pytest.fixture
def train(training_command):
    """`train(folder, devices=..., steps=..., start=..., XLA_FLAGS=...)`: in a process of its own."""

    def run(
        folder, *more, devices=1, steps=STEPS, start=("-m", "prompt_tuning.train"), **variables
    ):
        bindings = {
            "TRAIN_STEPS": steps,
            "short_run_adafactor.steps": STEPS,
            "DROPOUT_RATE": 0.1,
        }
        flags = [f"--gin.{name}={value}" for name, value in bindings.items()]
        _, _, _, *arguments = training_command(folder, *flags, *more)
        given = {"JAX_ENABLE_COMPILATION_CACHE": "0"}  # the compiler is to choose the same twice
        if devices:
            given["JAX_NUM_CPU_DEVICES"] = str(devices)
        subprocess.run(
            [sys.executable, *start, *arguments],
            check=True,
            cwd=processes.REPOSITORY,
            env=os.environ | given | variables,
        )

    return run


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def undisturbed(folder, train):
    """The run that all are compared with, on one device; made once."""
    if not (folder / "undisturbed").exists():
        train(folder / "undisturbed")
    return folder / "undisturbed"


def prompt_file(run):
    return run / "best" / files.file_name("encoder")


def scalars(run):
    return [json.loads(line) for line in (run / "scalars.jsonl").read_text().splitlines()]


def test_another_process_computes_the_same_bits(undisturbed, train, tmp_path):
    train(tmp_path / "again")
    train(
        tmp_path / "flags",
        devices=None,
        start=("-c", ON_ONE_CORE),
        XLA_FLAGS="--xla_force_host_platform_device_count=1 --xla_cpu_enable_fast_math=false",
    )
    for run in (tmp_path / "again", tmp_path / "flags"):
        assert prompt_file(run).read_bytes() == prompt_file(undisturbed).read_bytes()
        assert (run / "scalars.jsonl").read_bytes() == (undisturbed / "scalars.jsonl").read_bytes()


def test_another_seed_is_another_run(undisturbed, train, tmp_path):
    train(tmp_path, "--gin.SEED=1", steps=1)
    assert abs(scalars(tmp_path)[0]["train/loss"] - scalars(undisturbed)[0]["train/loss"]) > 1e-3


def test_a_run_goes_on_with_another_number_of_devices(undisturbed, train, tmp_path):
    for devices, steps in ((1, 3), (2, 6), (4, 9), (8, STEPS)):
        train(tmp_path, devices=devices, steps=steps)
    for found, expected in zip(scalars(tmp_path), scalars(undisturbed), strict=True):
        for name in ("step", "train/target_tokens"):
            assert found[name] == expected[name]
        np.testing.assert_allclose(found["train/loss"], expected["train/loss"], rtol=TOLERANCE)
    found, expected = (np.load(prompt_file(run)) for run in (tmp_path, undisturbed))
    np.testing.assert_allclose(found, expected, rtol=0, atol=TOLERANCE)
