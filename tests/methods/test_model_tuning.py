"""Model tuning writes a model, and reads one of its own base only."""

import dataclasses

import gin
import jax
import numpy as np
import pytest

from prompt_tuning.cli import reading
from prompt_tuning.data import vocabulary
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import execution
from tests import models

METHOD = model_tuning.ModelTuning()


@pytest.mark.parametrize(
    ("method", "dtype"),
    [(METHOD, "float32"), (model_tuning.ModelTuning(dtype="bfloat16"), "bfloat16")],
)
def test_what_is_written_is_read(tmp_path, method, dtype):
    base = models.tiny_model()
    method.write(base, base.params, tmp_path, {})
    rounded = {name: x.astype(dtype) for name, x in base.params.items()}
    found = {name: np.asarray(x) for name, x in method.read(base, tmp_path).items()}
    jax.tree.map(np.testing.assert_array_equal, found, rounded)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(d_model=8), "d_model: expected 16, found 8"),
        (dict(activation="relu"), "activation: expected 'gelu', found 'relu'"),
    ],
)
def test_a_model_of_another_base_is_refused(tmp_path, change, message):
    other = models.tiny_model(**change)
    METHOD.write(other, other.params, tmp_path, {})
    with pytest.raises(ValueError, match=f"PROMPT_FILE: .*{message}"):
        METHOD.read(models.tiny_model(), tmp_path)


def test_a_model_with_another_vocabulary_is_refused(tmp_path):
    base = models.tiny_model()
    other = dataclasses.replace(base, vocabulary=vocabulary.ByteVocabulary(extra_ids=9))
    METHOD.write(other, other.params, tmp_path, {})
    with pytest.raises(ValueError, match="PROMPT_FILE: .*vocabulary bytes.9.*bytes.0"):
        METHOD.read(base, tmp_path)


@pytest.mark.parametrize("choice", ["scan_layers", "int8_weights"])
def test_weights_in_a_form_for_frozen_ones_are_not_trained(choice):
    base = dataclasses.replace(models.tiny_model(), execution=execution.Execution(**{choice: True}))
    with pytest.raises(ValueError, match="ModelTuning trains .*Execution.scan_layers"):
        model_tuning.ModelTuning().check_trained(base)
    soft_prompt.SoftPrompt(2).check_trained(base)


@pytest.mark.parametrize(
    ("file", "optimizer", "rate"),
    [
        ("runs/model_finetune.gin", "adafactor", 0.001),
        ("runs/pretrain.gin", "muon", 0.01),
        ("runs/pretrain_pocket_t5.gin", "muon", 0.004),
        ("runs/lm_adapt.gin", "muon", 0.01),
        ("runs/lm_adapt_pocket_t5.gin", "muon", 0.003),
    ],
)
def test_runs_keep_optimizers_of_their_own(file, optimizer, rate):
    """Nothing that methods/model_tuning.gin sets for its own reaches them."""
    reading.read([file], [], [])
    assert repr(gin.query_parameter("%METHOD")) == "@ModelTuning()"
    assert repr(gin.query_parameter("%OPTIMIZER")) == f"@{optimizer}()"
    assert gin.query_parameter("%LEARNING_RATE") == rate
    assert gin.get_bindings("adamw", resolve_references=False).keys() == {"learning_rate"}
    given = gin.get_bindings("warmup_cosine", resolve_references=False)
    assert ("warmup_steps" in given) == (optimizer == "muon")


def test_it_does_not_take_a_prompts_learning_rate():
    """0.3 wrecks a model; its own file is enough to be spared that."""
    reading.read(["methods/model_tuning.gin"], [], [])
    assert repr(gin.query_parameter("%OPTIMIZER")) == "@adamw()"
    assert gin.query_parameter("%LEARNING_RATE") == 0.001
    assert gin.query_parameter("adamw.weight_decay") == 0.0
