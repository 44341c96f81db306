"""Safetensors folders: parts, laziness, and what is wrong by file."""

import json

import hypothesis
from hypothesis import strategies as st
import jax.numpy as jnp
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import tensors


def arrays(count=5, dtype=np.float32):
    rng = np.random.default_rng(0)
    return {f"layer_{i}/x": rng.normal(size=(i + 1, 6)).astype(dtype) for i in range(count)}


@hypothesis.given(
    part_bytes=st.integers(1, 500), dtype=st.sampled_from(["float32", "bfloat16", "float16"])
)
def test_any_cut_into_parts_is_read_as_one(tmp_path_factory, part_bytes, dtype):
    folder = tmp_path_factory.mktemp("parts")
    tensors.write_tensors(folder, arrays(), dtype, part_bytes=part_bytes)
    found = tensors.read_tensors(folder)
    assert found.keys() == arrays().keys()
    for name, x in arrays().items():
        assert found[name].dtype == jnp.dtype(dtype)
        np.testing.assert_array_equal(np.asarray(found[name]), x.astype(jnp.dtype(dtype)))
    files = sorted(file.name for file in folder.glob("*.safetensors"))
    largest = max(x.size for x in arrays().values()) * jnp.dtype(dtype).itemsize
    if len(files) > 1:
        assert files[0] == f"model-00001-of-{len(files):05}.safetensors"
        total = json.loads((folder / tensors.INDEX).read_text())["metadata"]["total_size"]
        assert total == sum(x.size for x in arrays().values()) * jnp.dtype(dtype).itemsize
    for file in files:
        assert (folder / file).stat().st_size < max(part_bytes, largest) + 1000


def test_a_part_is_read_alone(tmp_path):
    x = np.arange(24, dtype=np.float32).reshape(4, 6)
    tensors.write_tensors(tmp_path, {"x": x}, "float32")
    found = tensors.read_tensors(tmp_path)["x"]
    np.testing.assert_array_equal(found[1:3], x[1:3])
    np.testing.assert_array_equal(found[:, 2:5], x[:, 2:5])
    np.testing.assert_array_equal(found[np.array([3, 1, 3])], x[[3, 1, 3]])
    np.testing.assert_array_equal(found.T[2:5, 1:], x.T[2:5, 1:])
    np.testing.assert_array_equal(np.asarray(found.T), x.T)
    assert found.astype(jnp.bfloat16)[:1].dtype == jnp.bfloat16
    assert (found.shape, found.T.shape, found.size, len(found)) == ((4, 6), (6, 4), 24, 4)


@pytest.mark.parametrize("dtype", [np.int8, np.int64, bool, "float8_e4m3fn"])
def test_quantised_arrays_are_refused_by_name(tmp_path, dtype):
    x = np.ones((2, 2)).astype(jnp.dtype(dtype))
    safetensors_numpy.save_file({"x": x}, tmp_path / tensors.FILE)
    with pytest.raises(stored.CheckpointError, match="safetensors: x: expected floating-point"):
        tensors.read_tensors(tmp_path)


@pytest.mark.parametrize("content", ["{bad", "", "[1]", "3", "{}"])
def test_an_index_that_is_none_is_named(tmp_path, content):
    (tmp_path / tensors.INDEX).write_text(content)
    with pytest.raises(stored.CheckpointError, match="model.safetensors.index.json"):
        tensors.read_tensors(tmp_path)


def test_a_lost_part_and_a_lost_array_are_named(tmp_path):
    tensors.write_tensors(tmp_path, arrays(), "float32", part_bytes=100)
    index = json.loads((tmp_path / tensors.INDEX).read_text())
    index["weight_map"]["surplus"] = next(iter(index["weight_map"].values()))
    (tmp_path / tensors.INDEX).write_text(json.dumps(index))
    with pytest.raises(stored.CheckpointError, match="index.json names arrays .*surplus"):
        tensors.read_tensors(tmp_path)
    lost = index["weight_map"]["layer_4/x"]
    (tmp_path / lost).unlink()
    with pytest.raises(stored.CheckpointError, match=f"{lost} cannot be read"):
        tensors.read_tensors(tmp_path)


@pytest.mark.parametrize("before", [100, 10_000])
def test_parts_of_two_writes_are_never_read_as_one(tmp_path, before):
    """A write that ends behind its first part leaves nothing that can be read."""
    tensors.write_tensors(tmp_path, arrays(), "float32", part_bytes=before)
    broken = arrays() | {"layer_4/x": np.full((5, 6), "no number")}
    with pytest.raises(ValueError, match="no number"):
        tensors.write_tensors(tmp_path, broken, "float32", part_bytes=100)
    assert (tmp_path / "model-00001-of-00004.safetensors").exists()
    with pytest.raises(stored.CheckpointError, match="model.safetensors"):
        tensors.read_tensors(tmp_path)
