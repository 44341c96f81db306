"""Norms beside the vocabulary's, and out of a run's folder."""

import logging

import jax
import numpy as np

from prompt_tuning.methods import p_tuning
from prompt_tuning.prompts import files
from prompt_tuning.understanding import norms
from tests import models as tiny
from tests.prompts.stubs import Words


def test_the_vocabularys_are_those_of_its_own_rows():
    table = np.zeros((12, 4), np.float32)
    table[:, 1] = np.arange(12)
    # pad, eos and unk are 0 to 2, rows 10 and 11 past the vocabulary
    assert norms.vocabulary_norms(table, Words()).tolist() == [3, 4, 5, 6, 7, 8, 9]


def test_a_run_tells_of_its_training(tmp_path, caplog):
    for step in (100, 20, 3):  # in the order of numbers, not of letters
        folder = tmp_path / "numpy_checkpoints" / f"checkpoint_{step}"
        files.write_prompt(folder / files.file_name("encoder"), step * np.eye(2, 4))
    (tmp_path / "numpy_checkpoints" / "checkpoint_tmp").mkdir()
    lines = [
        '{"step": 1, "train/loss": 5, "train/trained_norm": 2.5}',
        '{"step": 2, "eval/accuracy": 50}',
        '{"step": 3, "train/trained_norm": 3}',
        '{"step": 4, "train/tr',
    ]
    (tmp_path / "scalars.jsonl").write_text("\n".join(lines))
    with caplog.at_level(logging.WARNING):
        found = norms.training(tmp_path)
    assert "left out" in caplog.text
    assert found.trained == {1: 2.5, 3: 3.0}
    rows = {
        step: saved["encoder/prompt/prompt/prompt"].tolist() for step, saved in found.saves.items()
    }
    assert list(rows.items()) == [(3, [3, 3]), (20, [20, 20]), (100, [100, 100])]


def test_a_run_of_a_method_that_learns_more_than_its_prompt(tmp_path):
    model, method = tiny.tiny_model(), p_tuning.PTuning("[1] {inputs} [2]")
    trained = method.initial(model, jax.random.key(0))
    saves = tmp_path / "numpy_checkpoints"
    method.write(model, trained, saves / "checkpoint_10", {})
    (saves / "checkpoint_20").mkdir()
    (saves / "checkpoint_20" / ".learned.safetensors.0a1b").write_text("what a kill left")
    found = norms.training(tmp_path)
    expected = norms.row_norms(method.materialize(trained)[files.parameter("encoder")])
    assert list(found.saves) == [10]
    np.testing.assert_allclose(found.saves[10][files.parameter("encoder")], expected, rtol=1e-6)


def test_a_prompt_file_was_not_seen_in_training(tmp_path):
    files.write_prompt(tmp_path / "prompt.npy", np.ones((2, 3)))
    assert norms.training(tmp_path / "prompt.npy") is None
    assert norms.training(tmp_path) is None
