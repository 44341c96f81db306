"""Two real processes of four devices train what one of eight does, and one of one device, though they
stop and start again.
"""

import itertools
import json
import pathlib
import time
from unittest import mock

import jax
import numpy as np
import pytest

from prompt_tuning import train
from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.files import FilesTask
from prompt_tuning.evaluation import decoders
from prompt_tuning.experiments import sweep
from prompt_tuning.experiments import together
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from tests import models
from tests import processes

pytestmark = pytest.mark.xdist_group("processes train")  # they share what takes long

LABELS = ("animal", "colour")
PROMPT = soft_prompt.SoftPrompt(3, initializers.Uniform())
TRAINED = {
    "data": (PROMPT, sharding.Layout()),
    "model": (PROMPT, sharding.Layout(model_parallel=8)),  # one copy of the model on both processes
    "fully_sharded": (model_tuning.ModelTuning(), sharding.Layout(2, shard_frozen=True)),
}


def train_each(base, data, output_dir, *stops):
    """Trains in each layout until each stop; one device has but one."""
    model = weights.open_model(base, dropout_rate=0.1)
    splits = {split: f"{data}/{split}.tsv" for split in ("train", "validation")}
    for name, stop in itertools.product(TRAINED, map(int, stops)):
        method, layout = TRAINED[name]
        with mock.patch.object(runs, "RunCheckpoints", late(runs.RunCheckpoints)):
            train.train(
                model,
                method,
                FilesTask("colours", splits, labels=LABELS, id_column="id"),
                model_dir=pathlib.Path(output_dir, name),
                train_steps=stop,
                task_feature_lengths={"inputs": 16, "targets": 8},
                batch_size=8,
                optimizer=optimizers.adamw(0.1),
                decoder=decoders.RankLabels(),
                eval_period=4,
                log_period=1,
                layout=layout if jax.device_count() > 1 else sharding.Layout(),
            )


def sweep_each(base, data, output_dir, *stops):
    """Sweeps until each stop."""
    splits = {split: f"{data}/{split}.tsv" for split in ("train", "validation")}
    for stop in map(int, stops):
        sweep.train_together(
            weights.open_model(base),
            PROMPT,
            FilesTask("colours", splits, labels=LABELS, id_column="id"),
            members=together.grid([0.1, 0.3], [0]),
            out=pathlib.Path(output_dir, "sweep"),
            train_steps=stop,
            task_feature_lengths={"inputs": 16, "targets": 8},
            batch_size=8,
            optimizer=optimizers.adamw,
            decoder=decoders.RankLabels(),
            eval_period=4,
            log_period=1,
        )


def train_and_sweep(*arguments):
    train_each(*arguments)
    sweep_each(*arguments)


def late(function):
    """`function`, called a second later by process 1: what the other writes changes nothing."""

    def call(*arguments):
        time.sleep(jax.process_index())
        return function(*arguments)

    return call


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_files):
    """What came of six steps in `1x1`, `1x8` (processes x devices) and, with a stop, in `2x4`."""
    folder = tmp_path_factory.mktemp("processes")
    base = models.tiny_model(
        d_model=8, num_heads=8, head_dim=2, num_encoder_layers=1, num_decoder_layers=1
    )
    weights.save_model(folder / "base", base, base.params, dtype="float32")
    common = folder / "base", pathlib.Path(data_files["train"]).parent
    processes.run(1, train_and_sweep, *common, folder / "1x1", 6, devices=1)
    processes.run(1, train_and_sweep, *common, folder / "1x8", 6)
    processes.run(2, train_and_sweep, *common, folder / "2x4", 4, 6)
    return folder


def scalars(run):
    return [json.loads(line) for line in (run / "scalars.jsonl").open()]


@pytest.mark.parametrize("name", TRAINED)
@pytest.mark.parametrize("other", ["1x1", "1x8"])
def test_two_processes_log_what_one_does(folder, name, other):
    two, one = (scalars(folder / devices / name) for devices in ("2x4", other))
    trained = [line["step"] for line in two if "train/loss" in line]
    assert trained == [1, 2, 3, 4, 5, 6]
    for found, expected in zip(two, one, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("name", ["data", "model"])
@pytest.mark.parametrize("other", ["1x1", "1x8"])
@pytest.mark.parametrize("save", ["best", "numpy_checkpoints/checkpoint_6"])
def test_two_processes_train_the_prompt_that_one_does(folder, name, other, save):
    two, one = (
        files.read_prompts(folder / devices / name / save).arrays for devices in ("2x4", other)
    )
    for part, expected in one.items():
        np.testing.assert_allclose(two[part], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("other", ["1x1", "1x8"])
def test_two_processes_write_the_model_that_one_does(folder, other):
    two, one = (
        weights.open_model(folder / devices / "fully_sharded" / "best").params
        for devices in ("2x4", other)
    )
    for part, expected in one.items():
        np.testing.assert_allclose(two[part], expected, rtol=2**-7)


@pytest.mark.parametrize("other", ["1x1", "1x8"])
def test_two_processes_sweep_as_one_does(folder, other):
    two, one = (
        [json.loads(line) for line in (folder / devices / "sweep" / sweep.RESULTS).open()]
        for devices in ("2x4", other)
    )
    assert two == one and len(two) == 2
    for member in two:
        found, expected = (
            files.read_prompts(folder / devices / "sweep" / member["folder"] / "best").arrays
            for devices in ("2x4", other)
        )
        for part, rows in expected.items():
            np.testing.assert_allclose(found[part], rows, rtol=1e-4, atol=1e-5)
