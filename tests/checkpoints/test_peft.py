"""PEFT's prompts, in and out: what it wrote, and what it needs (scripts/fixtures/make_peft.py)."""

import functools
import json
import pathlib
import shutil

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
from safetensors import numpy as safetensors_numpy

from prompt_tuning.checkpoints import peft
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.t5 import parameters

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "peft"
ADAPTERS = ("adapter_1", "adapter_2")  # by num_transformer_submodules
P, D = 5, 16
PROMPT = np.random.default_rng(0).normal(size=(P, D)).astype(np.float32)


@pytest.fixture(scope="module")
def outputs():
    with np.load(FIXTURE / "outputs.npz") as arrays:
        return dict(arrays)


@pytest.fixture(scope="module")
def base():
    return weights.load_model(FIXTURE / "model", vocabulary=vocabulary.ByteVocabulary())


@pytest.fixture
def adapter(tmp_path):
    """A copy of PEFT's own, to be spoilt."""
    return pathlib.Path(shutil.copytree(FIXTURE / "adapter_1", tmp_path / "adapter"))


def edit(folder, **fields):
    """Sets fields of the configuration; ... takes one out."""
    file = folder / peft.CONFIG
    config = json.loads(file.read_text()) | fields
    file.write_text(json.dumps({k: v for k, v in config.items() if v is not ...}))


def header(folder):
    """Names, shapes and dtypes of the weights, and the file's metadata."""
    with safetensors.safe_open(folder / peft.WEIGHTS, "numpy") as file:
        slices = {name: file.get_slice(name) for name in file.keys()}
        found = {name: (x.get_shape(), x.get_dtype()) for name, x in slices.items()}
        return found, file.metadata()


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_first_rows_are_the_encoder_s(name, outputs):
    prompt, about = peft.read_adapter(FIXTURE / name)
    assert prompt.dtype == np.float32 and prompt.shape == (P, D)
    np.testing.assert_array_equal(prompt, outputs[f"{name}/prompt"][:P])
    assert about == {"base_model": "tiny-random-t5"}


@pytest.mark.parametrize("name", ADAPTERS)
def test_the_prompt_does_in_our_model_what_it_does_in_peft_s(name, base, outputs):
    method = soft_prompt.SoftPrompt(P)
    apply = jax.jit(functools.partial(method.network(base).apply, enable_dropout=False))

    def logits(folder):
        params = parameters.unflatten(base.params | method.read(base, folder))
        return apply({"params": params}, outputs["inputs"], outputs["decoder_inputs"])

    assert (outputs["inputs"] == 0).any(axis=1).sum() == 3  # all rows but one are padded
    # Logits reach 6.9; measured 1.8e-5, the rounding of two float32 models.
    np.testing.assert_allclose(logits(FIXTURE / name), outputs[f"{name}/logits"], atol=5e-5)
    other = next(other for other in ADAPTERS if other != name)
    assert np.abs(logits(FIXTURE / other) - outputs[f"{name}/logits"]).max() > 1


@pytest.mark.parametrize("prompt", [PROMPT, jnp.asarray(PROMPT), PROMPT[:, ::-1], PROMPT[:1]])
def test_what_is_written_is_read(prompt, tmp_path):
    for value in (PROMPT, prompt):  # the second in place of the first
        peft.write_adapter(tmp_path / "new" / "folder", value, base_model="google/t5-v1_1-base")
    found, about = peft.read_adapter(tmp_path / "new" / "folder")
    np.testing.assert_array_equal(found, prompt)
    assert about == {"base_model": "google/t5-v1_1-base"}


def test_what_is_written_is_what_peft_writes(outputs, tmp_path):
    peft.write_adapter(tmp_path, outputs["adapter_1/prompt"], base_model="tiny-random-t5")
    theirs = FIXTURE / "adapter_1"
    assert {file.name for file in tmp_path.iterdir()} == {file.name for file in theirs.iterdir()}
    assert (
        header(tmp_path)
        == header(theirs)
        == ({"prompt_embeddings": ([P, D], "F32")}, {"format": "pt"})
    )
    written, expected = (json.loads((f / peft.CONFIG).read_text()) for f in (tmp_path, theirs))
    assert written.items() <= expected.items()
    # Without these PEFT 0.21 does not load it, or loads it and leaves the prompt out.
    assert {
        "peft_type",
        "task_type",
        "num_virtual_tokens",
        "num_transformer_submodules",
    } <= written.keys()


@pytest.mark.parametrize("submodules", [None, ...])
def test_two_submodules_are_peft_s_default(submodules, tmp_path):
    folder = pathlib.Path(shutil.copytree(FIXTURE / "adapter_2", tmp_path / "adapter"))
    edit(folder, num_transformer_submodules=submodules)
    expected, _ = peft.read_adapter(FIXTURE / "adapter_2")
    np.testing.assert_array_equal(peft.read_adapter(folder)[0], expected)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_is_widened(dtype, adapter):
    stored = np.asarray(jnp.asarray(PROMPT, dtype))
    safetensors_numpy.save_file({"prompt_embeddings": stored}, adapter / peft.WEIGHTS)
    prompt, _ = peft.read_adapter(adapter)
    assert prompt.dtype == np.float32
    np.testing.assert_array_equal(prompt, stored.astype(np.float32))


def test_a_base_model_without_a_name(adapter):
    edit(adapter, base_model_name_or_path=None)
    assert peft.read_adapter(adapter)[1] == {}


def test_a_folder_of_peft_s_is_a_prompt_file(base):
    found = files.read_prompts(FIXTURE / "adapter_2")
    assert list(found.arrays) == ["encoder/prompt/prompt/prompt"]
    with pytest.raises(ValueError, match="Set PROMPT_LENGTH=5"):
        soft_prompt.SoftPrompt(4).read(base, FIXTURE / "adapter_2")


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(peft_type="LORA"), "expected peft_type PROMPT_TUNING, found 'LORA': only PEFT's"),
        (dict(peft_type=...), "expected peft_type PROMPT_TUNING, found None"),
        (dict(task_type="CAUSAL_LM"), "expected task_type SEQ_2_SEQ_LM, found 'CAUSAL_LM'"),
        (dict(num_virtual_tokens=...), "expected num_virtual_tokens to be a positive .* None"),
        (dict(num_virtual_tokens="5"), "expected num_virtual_tokens to be .* found '5'"),
        (
            dict(num_transformer_submodules=0),
            "expected num_transformer_submodules to be .* found 0",
        ),
        (dict(token_dim=None), "expected token_dim to be a positive integer, found None"),
    ],
)
def test_configurations_that_are_not_read(fields, message, adapter):
    edit(adapter, **fields)
    with pytest.raises(ValueError, match=f"PROMPT_FILE .*adapter_config.json: {message}"):
        peft.read_adapter(adapter)


@pytest.mark.parametrize(
    "content, message",
    [
        (b'{"peft_type": ', "cannot be read: Expecting value"),
        (b"\xff\xfe", "cannot be read: .*decode"),
        (b"[]", ": expected an object, found list"),
        (None, "cannot be read: .*No such file"),
    ],
)
def test_broken_configurations(content, message, adapter):
    (adapter / peft.CONFIG).unlink()
    if content is not None:
        (adapter / peft.CONFIG).write_bytes(content)
    with pytest.raises(ValueError, match=f"PROMPT_FILE .*adapter_config.json ?{message}"):
        peft.read_adapter(adapter)


@pytest.mark.parametrize("content", [b"", b"not safetensors", None])
def test_broken_weights(content, adapter):
    (adapter / peft.WEIGHTS).unlink()
    if content is not None:
        (adapter / peft.WEIGHTS).write_bytes(content)
    message = "PROMPT_FILE .*adapter_model.safetensors cannot be read: .* safe_serialization=False"
    with pytest.raises(ValueError, match=message):
        peft.read_adapter(adapter)


@pytest.mark.parametrize(
    "tensors, found",
    [
        ({"prompt_embeddings": (2 * P, D)}, r"{'prompt_embeddings': \(10, 16\)}"),
        ({"prompt_embeddings": (P, D + 1)}, r"{'prompt_embeddings': \(5, 17\)}"),
        # What PEFT adds for modules_to_save=["lm_head"]: the prompt alone is not what was trained.
        (
            {"base_model.lm_head.weight": (3, D), "prompt_embeddings": (P, D)},
            ".*base_model.lm_head",
        ),
        ({}, "{}"),
    ],
)
def test_weights_that_are_not_what_the_configuration_says(tensors, found, adapter):
    arrays = {name: np.zeros(shape, np.float32) for name, shape in tensors.items()}
    safetensors_numpy.save_file(arrays, adapter / peft.WEIGHTS)
    message = (
        rf"adapter_model.safetensors: expected prompt_embeddings \(5, 16\) alone.* found {found}"
    )
    with pytest.raises(ValueError, match=f"PROMPT_FILE .*{message}"):
        peft.read_adapter(adapter)
