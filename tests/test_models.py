"""Models are described before they are loaded, and wrong ones are told by then."""

import dataclasses
import json
import shutil

import numpy as np
import pytest

from prompt_tuning import models
from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import weights
from prompt_tuning.t5 import config as t5_config


@pytest.fixture
def folder(model_folder, tmp_path):
    return shutil.copytree(model_folder, tmp_path / "model")


@pytest.fixture
def config(model_folder):
    fields = json.loads((model_folder / "config.json").read_text())["t5"]
    return t5_config.T5Config(**fields)


def test_a_description_has_the_shapes_of_the_model(model_folder):
    model = models.PretrainedModel(model_folder, "bfloat16", dropout_rate=0.2)
    described, loaded = model.describe(), model.load()
    assert described.config == loaded.config
    assert (loaded.config.dtype, loaded.config.dropout_rate) == ("bfloat16", 0.2)
    assert {name: (x.shape, x.dtype) for name, x in described.params.items()} == {
        name: (x.shape, x.dtype) for name, x in loaded.params.items()
    }


def test_neither_describing_nor_loading_reads_weights(folder, monkeypatch):
    monkeypatch.setattr(stored.StoredArray, "__getitem__", lambda *_: pytest.fail("read"))
    model = models.PretrainedModel(folder)
    model.describe(), model.load()
    (folder / "model.safetensors").unlink()
    with pytest.raises(weights.CheckpointError, match="INITIAL_CHECKPOINT_PATH"):
        model.describe()


def test_no_model_folder():
    with pytest.raises(
        weights.CheckpointError, match="INITIAL_CHECKPOINT_PATH 'pocket': .*pocket_t5"
    ):
        models.PretrainedModel("pocket").describe()


def test_shipped_names_are_folders_of_the_package(monkeypatch, model_folder):
    monkeypatch.setattr(models, "ASSETS", model_folder.parent)
    monkeypatch.setattr(models, "SHIPPED", (model_folder.name,))
    found = models.PretrainedModel(model_folder.name).load()
    assert found.name == model_folder.name and found.config.d_model == 16


def test_a_path_that_is_meant_for_something_else(folder, tmp_path):
    run = tmp_path / "run"
    (run / "numpy_checkpoints").mkdir(parents=True)
    with pytest.raises(weights.CheckpointError, match="What a run learned is given as PROMPT_FILE"):
        models.PretrainedModel(run).load()
    shutil.copytree(folder, run / "best")
    with pytest.raises(weights.CheckpointError, match="A tuned model is in .*best"):
        models.PretrainedModel(run).load()


@pytest.mark.parametrize("content", ["{bad", "", "[1]"])
def test_a_damaged_config_is_named(folder, content):
    (folder / "config.json").write_text(content)
    with pytest.raises(weights.CheckpointError, match="config.json"):
        models.PretrainedModel(folder).load()


def test_vocabularies_by_name(folder):
    own = models.PretrainedModel(folder).load().vocabulary
    assert models.read_vocabulary("pocket_t5").fingerprint == own.fingerprint
    assert models.read_vocabulary("pocket_t5", 7).extra_ids == 7
    assert (
        models.read_vocabulary("bytes").vocab_size,
        models.read_vocabulary("bytes", 5).extra_ids,
    ) == (259, 5)
    (folder / "text.model").write_text("no SentencePiece model")
    with pytest.raises(ValueError, match="text.model: expected a SentencePiece model"):
        models.read_vocabulary(str(folder / "text.model"))


def test_dimensions_that_were_asked_for(model_folder, config):
    asked = dataclasses.replace(config, dtype="bfloat16", dropout_rate=0.1)
    models.PretrainedModel(model_folder, config=asked).describe()
    asked = dataclasses.replace(config, d_model=32, num_heads=4)
    with pytest.raises(
        weights.CheckpointError, match="d_model: expected 32, found 16; num_heads: expected 4"
    ):
        models.PretrainedModel(model_folder, config=asked).load()


def test_a_new_model(config):
    model = models.NewModel(config, "pocket_t5", extra_ids=32, seed=1)
    described, loaded = model.describe(), model.load()
    assert {name: x.shape for name, x in described.params.items()} == {
        name: x.shape for name, x in loaded.params.items()
    }
    other = dataclasses.replace(model, seed=2).load()
    kernel = "decoder/logits_dense/kernel"
    assert not np.allclose(loaded.params[kernel], other.params[kernel])


def test_a_vocabulary_that_does_not_fit(config):
    with pytest.raises(ValueError, match="4,164|4164.*T5Config.vocab_size is 4096"):
        models.NewModel(config, "pocket_t5", extra_ids=100).describe()


def test_the_largest_model_is_described_without_its_memory():
    described = models.NewModel(t5_config.t5_1_1("xxl"), "pocket_t5", extra_ids=32).describe()
    assert sum(x.size for x in described.params.values()) == 11_135_332_352
