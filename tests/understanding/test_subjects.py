"""Prompts of every form, the table in place of a model, and what does not fit."""

import jax
import numpy as np
import pytest

from prompt_tuning.checkpoints import peft
from prompt_tuning.methods import lora
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import soft_words
from prompt_tuning.methods import warp
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.understanding import subjects
from tests import models as tiny
from tests.understanding import examples

ROWS = np.random.default_rng(0).normal(size=(3, examples.D)).astype(np.float32)


@pytest.fixture(scope="module")
def base():
    return examples.embeddings()


def test_a_file_a_folder_a_run_and_an_adapter(base, tmp_path):
    files.write_prompt(tmp_path / "p.npy", ROWS)
    best = tmp_path / "run" / "best"
    files.write_prompt(best / files.file_name("encoder"), ROWS)
    files.write_prompt(best / files.file_name("decoder"), 2 * ROWS)
    newer = tmp_path / "run" / "numpy_checkpoints" / "checkpoint_9"
    files.write_prompt(newer / files.file_name("encoder"), 3 * ROWS)
    peft.write_adapter(tmp_path / "adapter", ROWS, base_model="some/model")
    read = {
        name: subjects.read_subject(name, tmp_path / name, base)
        for name in ("p.npy", "run", "adapter")
    }
    for found in read.values():
        np.testing.assert_array_equal(found.prompts["encoder"], ROWS)
    assert read["run"].path == best and read["run"].given == tmp_path / "run"
    np.testing.assert_array_equal(read["run"].prompts["decoder"], 2 * ROWS)
    assert read["adapter"].about["base_model"] == "some/model"
    method = read["run"].method
    assert (method.length, method.decoder_length, method.location) == (3, 3, "front")
    assert list(read["run"].params) == list(method.trainable)


def test_prompts_that_do_not_fit(base, tmp_path):
    files.write_prompt(tmp_path / "wide.npy", np.ones((2, 17)))
    with pytest.raises(ValueError, match="wide.npy.*width 17, this one's is 16"):
        subjects.read_subject("x", tmp_path / "wide.npy", base)
    other = {"encoder/lora": ROWS}
    files.write_prompts(tmp_path / "other.safetensors", other, {})
    with pytest.raises(
        ValueError, match=r"expected prompts \['encoder/prompt.*found \['encoder/lo"
    ):
        subjects.read_subject("x", tmp_path / "other.safetensors", base)
    with pytest.raises(FileNotFoundError, match="there is no"):
        subjects.read_subject("x", tmp_path / "nothing", base)


@pytest.mark.parametrize(
    "method",
    [
        p_tuning.PTuning("[1] {inputs} [2]"),
        warp.WARP(("yes", "no"), 3, initializers.Uniform()),
        soft_words.SoftWords("the", 3),
    ],
)
def test_rows_that_other_methods_learned(method, tmp_path):
    model = tiny.tiny_model()
    trained = method.initial(model, jax.random.key(0))
    method.write(model, trained, tmp_path / "best", {})
    found = subjects.read_subject("x", tmp_path, model)
    read = method.read(model, tmp_path / "best")
    np.testing.assert_array_equal(found.prompts["encoder"], read[files.parameter("encoder")])
    assert found.prompts["encoder"].shape == (3, 16)
    with pytest.raises(ValueError, match=f"is of {type(method).__name__}.*leave --task out"):
        _ = found.method


def test_a_method_without_a_prompt(tmp_path):
    model, method = tiny.tiny_model(), lora.LoRA(2)
    method.write(model, method.initial(model, jax.random.key(0)), tmp_path, {})
    with pytest.raises(ValueError, match=r"expected prompts \['encoder/prompt.*found \['decoder/"):
        subjects.read_subject("x", tmp_path, model)


def test_a_prompt_of_another_base_model_is_refused_by_name(base, tmp_path):
    model = tiny.tiny_model()
    about = {"base_model": "another", "fingerprint": "0" * 16}
    path = tmp_path / "p.safetensors"
    files.write_prompts(path, {files.parameter("encoder"): ROWS}, about)
    with pytest.raises(ValueError, match="p.safetensors was trained on another.*--any_base_model"):
        subjects.read_subject("x", path, model)
    assert subjects.read_subject("x", path, model, any_base_model=True).about == about
    assert subjects.read_subject("x", path, base).about == about  # a table has no fingerprint


def test_a_table_and_its_vocabulary(base, tmp_path):
    np.save(tmp_path / "table.npy", base.table)
    read = subjects.read_embeddings(tmp_path / "table.npy", "bytes")
    np.testing.assert_array_equal(read.table, base.table)
    assert read.vocabulary.vocab_size == 259
    with pytest.raises(ValueError, match="has 264 rows, but the vocabulary bytes.100 has 359 ids"):
        subjects.read_embeddings(tmp_path / "table.npy", "bytes", 100)
    np.save(tmp_path / "flat.npy", np.ones(3, np.float32))
    with pytest.raises(ValueError, match=r"EMBEDDING_FILE .*flat.npy: expected an embedding table"):
        subjects.read_embeddings(tmp_path / "flat.npy", "bytes")
