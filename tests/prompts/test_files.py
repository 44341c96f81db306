"""Prompt files: what is written is read, whole, and checked."""

import pathlib
import tempfile

import hypothesis
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import t5x
from prompt_tuning.prompts import files

RELEASED = pathlib.Path(__file__).parents[1] / "fixtures" / "released_prompts" / "rte.npy"
PROMPT = np.random.default_rng(0).normal(size=(3, 4)).astype(np.float32)


def test_round_trip_under_exactly_the_given_name(tmp_path):
    path = tmp_path / "numpy_checkpoints" / "checkpoint_7" / "encoder.prompt.prompt.prompt"
    files.write_prompt(path, jnp.asarray(PROMPT))
    assert [found.name for found in path.parent.iterdir()] == [path.name]
    np.testing.assert_array_equal(files.read_prompt(path, 3, 4), PROMPT)
    np.testing.assert_array_equal(np.load(path), PROMPT)


def test_bfloat16_is_widened(tmp_path):
    path = tmp_path / "prompt.npy"
    files.write_prompt(path, jnp.asarray(PROMPT, jnp.bfloat16))
    assert files.read_prompt(path).dtype == np.float32
    np.testing.assert_allclose(files.read_prompt(path), PROMPT, rtol=1e-2)


def test_a_failed_write_leaves_the_old_file_and_nothing_else(tmp_path, monkeypatch):
    path = tmp_path / "prompt.npy"
    files.write_prompt(path, PROMPT)
    half = lambda file, *_, **__: file.write(b"half") and (_ for _ in ()).throw(OSError("full"))
    monkeypatch.setattr(np, "save", half)
    with pytest.raises(OSError, match="full"):
        files.write_prompt(path, PROMPT * 2)
    assert list(tmp_path.iterdir()) == [path]
    np.testing.assert_array_equal(files.read_prompt(path), PROMPT)


def test_a_released_prompt():
    prompt = files.read_prompt(RELEASED, 100, 768)
    assert prompt.dtype == np.float32
    assert abs(np.linalg.norm(prompt, axis=1).mean() - 903) < 1


@pytest.mark.parametrize(
    "length, width, message",
    [
        (
            20,
            768,
            r"rte\.npy: expected a prompt \[20, 768\], found shape \(100, 768\).*PROMPT_LENGTH=100",
        ),
        (
            None,
            512,
            r"expected a prompt \[P, 512\], found shape \(100, 768\).*width 768, this one's is 512",
        ),
    ],
)
def test_a_prompt_that_does_not_fit_says_what_to_change(length, width, message):
    with pytest.raises(ValueError, match=message):
        files.read_prompt(RELEASED, length, width)


@pytest.mark.parametrize(
    "content, message",
    [
        (np.ones(4, np.float32), r"expected a prompt \[P, D\], found shape \(4,\)"),
        (np.ones((0, 4), np.float32), r"expected a prompt \[P, D\], found shape \(0, 4\)"),
        (np.ones((2, 4), np.int32), "expected one array of float32, found int32"),
        (np.array([{"a": 1}], dtype=object), "expected one array in .npy format"),
        (b"", "expected one array in .npy format"),
        (b"not an array", "expected one array in .npy format"),
    ],
)
def test_other_files_are_no_prompts(tmp_path, content, message):
    path = tmp_path / "prompt.npy"
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        np.save(path, content)
    with pytest.raises(ValueError, match=f"PROMPT_FILE .*prompt.npy: {message}"):
        files.read_prompt(path)


@pytest.mark.parametrize("bad", [np.nan, np.inf])
def test_numbers_that_are_none_are_no_prompt(tmp_path, bad):
    prompt = PROMPT.copy()
    prompt[1, 2] = bad
    files.write_prompt(tmp_path / "prompt.npy", prompt)
    with pytest.raises(
        ValueError, match="finite floating-point numbers, found float32 with 1 that"
    ):
        files.read_prompt(tmp_path / "prompt.npy")


def test_what_a_prompt_was_trained_for_goes_with_it(tmp_path):
    prompts = {files.parameter(stack): PROMPT for stack in ("encoder", "decoder")}
    about = {"task": "spam", "step": "3", "config": "a = 1\nb = 2"}
    files.write_prompts(tmp_path / "prompt.safetensors", prompts, about)
    for path in (tmp_path, tmp_path / "prompt.safetensors"):
        found = files.read_prompts(path)
        assert found.about == about and found.arrays.keys() == prompts.keys()
        np.testing.assert_array_equal(files.read_prompt(path), PROMPT)


def test_a_folder_without_a_prompt(tmp_path):
    with pytest.raises(FileNotFoundError, match="no prompt in .*encoder.prompt.prompt.prompt"):
        files.read_prompts(tmp_path)


def test_a_t5x_checkpoint_with_a_prompt(tmp_path):
    t5x.write_t5x(tmp_path, 7, {files.parameter("encoder"): PROMPT, "x": np.ones(2, np.float32)})
    found = files.read_prompts(tmp_path / "checkpoint_7")
    assert list(found.arrays) == [files.parameter("encoder")]
    np.testing.assert_array_equal(files.read_prompt(tmp_path / "checkpoint_7"), PROMPT)


def test_an_archive_is_no_prompt(tmp_path):
    path = tmp_path / "prompt.npz"
    np.savez(path, PROMPT)
    with pytest.raises(ValueError, match="found an archive of arrays"):
        files.read_prompt(path)


@hypothesis.given(hypothesis.strategies.integers(0, 8 * 24 - 1))
def test_a_flipped_bit_of_a_described_prompt_is_found(bit):
    with tempfile.TemporaryDirectory() as folder:
        file = pathlib.Path(folder, files.DESCRIBED)
        prompt = np.arange(6, dtype=np.float32).reshape(2, 3)
        files.write_prompts(file, {files.parameter("encoder"): prompt}, {"task": "spam"})
        assert files.read_prompts(file).about == {"task": "spam"}
        content = bytearray(file.read_bytes())
        content[len(content) - 24 + bit // 8] ^= 1 << bit % 8  # the numbers are at the end
        file.write_bytes(content)
        with pytest.raises(ValueError, match=f"PROMPT_FILE {file}"):
            files.read_prompts(file)
