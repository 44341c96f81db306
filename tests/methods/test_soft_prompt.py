"""What the soft prompt adds, trains, writes and reads."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.methods import warp
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import execution
from tests import models

UNIFORM = initializers.Uniform()
BOTH = soft_prompt.SoftPrompt(3, UNIFORM, decoder_length=2)


@pytest.fixture(scope="module")
def base():
    return models.tiny_model()


def test_a_kernel_that_is_not_here_is_refused_for_prompts_by_row_too(base):
    base = dataclasses.replace(base, execution=execution.Execution(attention="cudnn"))
    with pytest.raises(ValueError, match="cudnn.*needs an NVIDIA GPU"):
        BOTH.per_row(base, 4)


def test_names_and_shapes_are_the_network_s_own(base):
    tokens = jax.ShapeDtypeStruct((1, 4), "int32")
    model = BOTH.network(base)
    shapes = jax.eval_shape(
        lambda key, x: model.init(key, x, x, enable_dropout=False)["params"],
        jax.random.key(0),
        tokens,
    )
    initial = BOTH.initial(base, jax.random.key(0))
    assert (
        set(initial)
        == set(BOTH.trainable)
        == {"encoder/prompt/prompt/prompt", "decoder/prompt/prompt/prompt"}
    )
    for stack, length in (("encoder", 3), ("decoder", 2)):
        declared = shapes[stack]["prompt"]["prompt"]["prompt"].shape
        assert declared == initial[f"{stack}/prompt/prompt/prompt"].shape == (length, 16)


def test_two_prompts_start_differently_and_a_seed_repeats_them(base):
    first, again = (BOTH.initial(base, jax.random.key(0)) for _ in range(2))
    jax.tree.map(np.testing.assert_array_equal, first, again)
    encoder, decoder = (first[name] for name in BOTH.trainable)
    assert not np.any(np.isin(encoder, decoder))


def test_what_is_written_is_read(base, tmp_path):
    trained = BOTH.initial(base, jax.random.key(1))
    BOTH.write(base, trained, tmp_path, {"task": "spam"})
    assert {p.name for p in tmp_path.iterdir()} == {
        "encoder.prompt.prompt.prompt",
        "decoder.prompt.prompt.prompt",
        "prompt.safetensors",
    }
    jax.tree.map(np.testing.assert_array_equal, BOTH.read(base, tmp_path), trained)
    single = soft_prompt.SoftPrompt(3, UNIFORM)
    found = single.read(base, tmp_path / "encoder.prompt.prompt.prompt")
    np.testing.assert_array_equal(found[single.trainable[0]], trained[single.trainable[0]])


def test_a_folder_with_prompts_that_the_method_lacks(base, tmp_path):
    BOTH.write(base, BOTH.initial(base, jax.random.key(1)), tmp_path, {})
    with pytest.raises(ValueError, match="decoder/prompt.*change SoftPrompt.length"):
        soft_prompt.SoftPrompt(3, UNIFORM).read(base, tmp_path)


def test_a_prompt_of_another_base_model_is_refused_unless_forced(base, tmp_path):
    method = soft_prompt.SoftPrompt(3, UNIFORM)
    trained = method.initial(base, jax.random.key(1))
    about = {"base_model": base.name, "fingerprint": base.fingerprint}
    method.write(base, trained, tmp_path, about)
    other = dataclasses.replace(models.tiny_model(seed=1), name="other")
    method.read(base, tmp_path)
    with pytest.raises(ValueError, match=r"trained on tiny .*this model is other .*any_base_model"):
        method.read(other, tmp_path)
    forced = dataclasses.replace(method, any_base_model=True).read(other, tmp_path)
    jax.tree.map(np.testing.assert_array_equal, forced, trained)
    for initializer in (initializers.FromFile(tmp_path), initializers.AverageOf([tmp_path])):
        started = dataclasses.replace(method, initializer=initializer)
        elsewhere = (
            warp.WARP(("yes", "no"), 3, initializer),
            p_tuning.PTuning("[3] {inputs}", "none", initializer=initializer),
        )
        for refused in (started, *elsewhere):
            refused.initial(base, jax.random.key(0))
            with pytest.raises(ValueError, match="trained on tiny"):
                refused.initial(other, jax.random.key(0))
    # The original's format has no place to say it.
    method.read(other, tmp_path / "encoder.prompt.prompt.prompt")


def test_a_prompt_of_another_place_is_refused(base, tmp_path):
    method = soft_prompt.SoftPrompt(3, UNIFORM, location="end")
    method.write(base, method.initial(base, jax.random.key(1)), tmp_path, method.identity)
    method.read(base, tmp_path)
    with pytest.raises(ValueError, match="trained with SoftPrompt.location 'end', found 'front'"):
        soft_prompt.SoftPrompt(3, UNIFORM).read(base, tmp_path)


def test_a_prompt_that_does_not_fit_names_what_to_change(base, tmp_path):
    files.write_prompt(tmp_path / "p", np.ones((4, 16)))
    with pytest.raises(ValueError, match="Set PROMPT_LENGTH=4"):
        soft_prompt.SoftPrompt(3, UNIFORM).read(base, tmp_path / "p")
    files.write_prompt(tmp_path / "wide", np.ones((3, 20)))
    with pytest.raises(ValueError, match="width 20, this one's is 16"):
        soft_prompt.SoftPrompt(3, UNIFORM).read(base, tmp_path / "wide")
    with pytest.raises(ValueError, match="but the method has .*decoder.*give the folder"):
        BOTH.read(base, tmp_path / "p")


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(length=0), "at least one row: PROMPT_LENGTH"),
        (dict(length=-1), "PROMPT_LENGTH .* is -1"),
        (dict(location="middle"), "must be one of .*'front'.* found 'middle'"),
    ],
)
def test_impossible_prompts(arguments, message):
    with pytest.raises(ValueError, match=message):
        soft_prompt.SoftPrompt(**arguments)
