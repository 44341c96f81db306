"""Two real processes train what one does, though they stop and start again."""

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
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from tests import models
from tests import processes

LABELS = ("animal", "colour")
TRAINED = {
    "prompt": (soft_prompt.SoftPrompt(3, initializers.Uniform()), sharding.Layout()),
    "model": (model_tuning.ModelTuning(), sharding.Layout(shard_frozen=True)),
}


def train_each(base, data, output_dir, steps):
    """A prompt on every device, then a model that is divided among them."""
    model = weights.open_model(base, dropout_rate=0.1)
    splits = {split: f"{data}/{split}.tsv" for split in ("train", "validation")}
    for name, (method, layout) in TRAINED.items():
        with mock.patch.object(runs, "latest_notes", late(runs.latest_notes)):
            train.train(
                model,
                method,
                FilesTask("colours", splits, labels=LABELS, id_column="id"),
                model_dir=pathlib.Path(output_dir, name),
                train_steps=int(steps),
                task_feature_lengths={"inputs": 16, "targets": 8},
                batch_size=8,
                optimizer=optimizers.adamw(0.1),
                decoder=decoders.RankLabels(),
                eval_period=4,
                log_period=1,
                layout=layout,
            )


def late(function):
    """`function`, called a second later by process 1: what the other writes changes nothing."""

    def call(*arguments):
        time.sleep(jax.process_index())
        return function(*arguments)

    return call


@pytest.fixture(scope="module")
def runs_of(tmp_path_factory, data_files):
    """`runs_of(name)`: MODEL_DIR of six steps by one process, and by two that stopped at four."""
    folder = tmp_path_factory.mktemp("processes")
    base = models.tiny_model(d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1)
    weights.save_model(folder / "base", base, base.params, dtype="float32")
    common = folder / "base", pathlib.Path(data_files["train"]).parent
    processes.run(1, train_each, *common, folder / "one", 6)
    for steps in (4, 6):
        processes.run(2, train_each, *common, folder / "two", steps)
    return lambda name: (folder / "one" / name, folder / "two" / name)


def scalars(folder):
    return [json.loads(line) for line in (folder / "scalars.jsonl").open()]


@pytest.mark.parametrize("name", TRAINED)
def test_two_processes_log_what_one_does(runs_of, name):
    one, two = map(scalars, runs_of(name))
    trained = [line["step"] for line in two if "train/loss" in line]
    assert trained == [1, 2, 3, 4, 5, 6]
    for found, expected in zip(two, one, strict=True):
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-6)


@pytest.mark.parametrize("save", ["best", "numpy_checkpoints/checkpoint_6"])
def test_two_processes_train_the_prompt_that_one_does(runs_of, save):
    one, two = (files.read_prompts(folder / save).arrays for folder in runs_of("prompt"))
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=1e-4, atol=1e-5)


def test_two_processes_write_the_model_that_one_does(runs_of):
    one, two = (weights.open_model(folder / "best").params for folder in runs_of("model"))
    for name, expected in one.items():
        np.testing.assert_allclose(two[name], expected, rtol=2**-7)
