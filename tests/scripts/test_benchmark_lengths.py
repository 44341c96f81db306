"""The benchmark of length distributions on a tiny model, without its peer."""

import importlib.util
import json
import pathlib
import subprocess
import sys

import numpy as np
import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "scripts/benchmarks"
SETTINGS = {
    "shape": {"batch": 400, "inputs": 512, "targets": 16},
    "config": {"vocab_size": 100},
    "batches": 2,
    "each_task_alike": False,
}


@pytest.fixture(scope="module")
def sampler():
    spec = importlib.util.spec_from_file_location("lengths", FOLDER / "mixture_lengths.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lengths"] = module  # its dataclass asks for it
    spec.loader.exec_module(module)
    yield module
    del sys.modules["lengths"]


def lengths(sampler, step, **changed):
    examples = sampler.of_step(SETTINGS | changed, step)
    assert all(len(x) <= 512 and 0 < len(y) <= 16 for x, y in examples)
    return np.array([len(x) for x, _ in examples])


def test_lengths_are_drawn_by_task_and_repeat(sampler):
    np.testing.assert_array_equal(lengths(sampler, 0), lengths(sampler, 2))
    assert not np.array_equal(lengths(sampler, 0), lengths(sampler, 1))
    # The means of the tasks at their rates, or alike; a little less where 512 cuts.
    assert 265 < lengths(sampler, 0).mean() < 305
    assert 110 < lengths(sampler, 0, each_task_alike=True).mean() < 160


def test_each_arrangement_takes_the_same_steps():
    command = [sys.executable, str(FOLDER / "lengths.py"), "--size", "tiny", "--batch", "4"]
    command += ["--inputs", "72", "--targets", "4", "--prompt_length", "3", "--rounds", "1"]
    command += ["--batches", "1", "--systems", "bucketed,packed", "--all_at_once"]
    found = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    bucketed, packed, ratios = map(json.loads, found.splitlines())
    assert bucketed["loss"] == pytest.approx(packed["loss"], rel=1e-5)
    assert bucketed["columns_per_example"] <= 72 and packed["columns_per_example"] <= 80
    assert min(bucketed["examples_per_s"], packed["examples_per_s"]) > 0
    assert list(ratios["ratios"]) == ["packed/bucketed"]
