"""T5X's checkpoints: as T5X wrote them, as T5X computed with them, and back to T5X."""

import gzip
import json
import pathlib
import shutil

from flax import serialization
from flax import traverse_util
import hypothesis
from hypothesis import strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import orbax.checkpoint as ocp
import pytest

from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints import weights
from prompt_tuning.checkpoints import zarr
from prompt_tuning.checkpoints.stored import check_shapes, CheckpointError
from prompt_tuning.data import vocabulary
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from tests import models

FIXTURES = pathlib.Path(__file__).parents[1] / "fixtures"
LEGACY = FIXTURES / "t5x_checkpoint" / "checkpoint_3"
ORBAX = FIXTURES / "t5x_orbax"
PROMPT = "encoder/prompt/prompt/prompt"
VARIANTS = {
    "v1_1": {},
    "v1_0": dict(gated=False, activation="relu", tied_logits=True),
    "umt5": dict(relpos_per_layer=True, num_decoder_layers=3),
}


def raw_zarr(folder: pathlib.Path) -> np.ndarray:
    """An array by zarr's specification, without TensorStore."""
    about = json.loads((folder / ".zarray").read_text())
    whole = np.full(about["shape"], np.nan, about["dtype"])
    for file in folder.glob("[0-9]*"):
        chunk = np.frombuffer(gzip.decompress(file.read_bytes()), about["dtype"])
        first = [int(i) * n for i, n in zip(file.name.split("."), about["chunks"])]
        place = tuple(slice(a, a + n) for a, n in zip(first, about["chunks"]))
        room = whole[place].shape
        whole[place] = chunk.reshape(about["chunks"])[tuple(slice(n) for n in room)]
    return whole


def random_params(config):
    rng = np.random.default_rng(0)
    return {
        name: rng.normal(size=shape).astype(np.float32)
        for name, shape in parameters.expected_shapes(config).items()
    }


def logits(config, params, inputs, targets):
    tree = parameters.unflatten({name: jnp.asarray(x) for name, x in params.items()})
    tokens = jnp.asarray(inputs, jnp.int32), jnp.asarray(targets, jnp.int32)
    return network.T5(config).apply({"params": tree}, *tokens, enable_dropout=False)


def assert_same(found, expected):
    assert set(found) == set(expected)
    for name, x in expected.items():
        np.testing.assert_array_equal(np.asarray(found[name]), np.asarray(x), err_msg=name)
        assert found[name].dtype == x.dtype


def test_what_t5x_wrote_is_read_bit_by_bit():
    found = t5x.read_t5x(str(LEGACY), None)
    saved = serialization.msgpack_restore((LEGACY / "checkpoint").read_bytes())["optimizer"]
    expected = {
        name: raw_zarr(LEGACY / x["kvstore"]["path"]) if isinstance(x, dict) else x
        for name, x in traverse_util.flatten_dict(
            saved["target"], sep="/", is_leaf=lambda _, x: "driver" in x
        ).items()
    }
    assert_same(found.params, expected)
    assert found.config.vocab_size == 32128 and found.config.relpos_buckets == 4
    assert found.vocabulary is None
    given = models.tiny_config(
        vocab_size=32128, d_model=4, num_heads=2, head_dim=2, d_ff=8, relpos_buckets=4,
        relpos_max_distance=8,
    )  # fmt: skip
    assert t5x.read_t5x(str(LEGACY), given).config == given


def test_the_model_of_a_checkpoint_runs():
    model = weights.open_model(LEGACY, vocabulary=vocabulary.ByteVocabulary())
    tokens = np.arange(3, 11).reshape(2, 4)
    out = logits(model.config, model.params, tokens, tokens)
    assert out.shape == (2, 4, 32128) and np.isfinite(out).all()


@pytest.mark.parametrize("name", ["t5", "umt5"])
def test_networks_of_t5x_that_orbax_wrote_give_the_same_logits(name):
    path, expected = str(ORBAX / name / "checkpoint_2"), np.load(ORBAX / name / "expected.npz")
    assert t5x.is_t5x(path)
    found = t5x.read_t5x(path, None)
    check_shapes(found.params, parameters.expected_shapes(found.config), path)
    out = logits(found.config, found.params, expected["inputs"], expected["targets"])
    np.testing.assert_allclose(out, expected["logits"], atol=5e-6)


def test_arrays_that_orbax_wrote_are_read_bit_by_bit():
    expected = np.load(ORBAX / "t5" / "expected.npz")
    params = {
        name.removeprefix("params/"): expected[name]
        for name in expected
        if name.startswith("params/")
    }
    path = str(ORBAX / "t5" / "checkpoint_2")
    assert_same(t5x.read_t5x_prompt(path), {PROMPT: params.pop(PROMPT)})
    assert_same(t5x.read_t5x(path, None).params, params)


@pytest.mark.parametrize("zarr3", [False, True])
@pytest.mark.parametrize("ocdbt", [False, True])
def test_all_that_orbax_can_write_is_read(tmp_path, ocdbt, zarr3):
    config, path = models.tiny_config(), tmp_path / "checkpoint_5"
    params, prompt = random_params(config), {PROMPT: np.ones((5, 16), np.float32)}
    tree = {"target": parameters.unflatten(params | prompt), "state": {"step": np.asarray(5)}}
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt, use_zarr3=zarr3)
    ocp.Checkpointer(handler).save(path / "state", tree)
    assert (path / "state" / "manifest.ocdbt").exists() == ocdbt
    found = weights.read_checkpoint(path)
    assert found.config == config
    assert_same(found.params, params)
    assert_same(t5x.read_t5x_prompt(str(path)), prompt)
    with pytest.raises(CheckpointError, match="holds 1 of them"):
        weights.read_checkpoint(tmp_path)


@pytest.mark.parametrize("ocdbt", [False, True])
def test_what_orbax_wrote_for_others_is_no_model(tmp_path, ocdbt):
    handler = ocp.PyTreeCheckpointHandler(use_ocdbt=ocdbt)
    ocp.Checkpointer(handler).save(tmp_path / "state", {"params": {"x": np.ones((2, 3))}})
    assert t5x.is_t5x(str(tmp_path)) == ocdbt
    with pytest.raises(CheckpointError, match="no array under target" if ocdbt else "neither"):
        t5x.read_t5x(str(tmp_path), None)


@pytest.mark.parametrize("stack", ["encoder", "decoder"])
def test_stacked_layers_are_cut_as_t5x_stacked_them(stack):
    params = t5x.read_t5x(str(ORBAX / "umt5" / "checkpoint_2"), None).params
    expected = np.load(ORBAX / "umt5" / "expected.npz")
    inner = f"params/{stack}/{stack}"
    attention = "attention" if stack == "encoder" else "self_attention"
    out = expected[f"{inner}/{attention}/out/kernel"]  # [H, layers, K, D]
    query = expected[f"{inner}/{attention}/query/kernel"]  # [D, layers, H, K]
    for layer in range(out.shape[1]):
        name = f"{stack}/layers_{layer}/{attention}"
        np.testing.assert_array_equal(params[f"{name}/out/kernel"], out[:, layer].reshape(6, 8))
        whole = query[:, layer].reshape(8, 6)
        np.testing.assert_array_equal(params[f"{name}/query/kernel"], whole)
        np.testing.assert_array_equal(params[f"{name}/query/kernel"][2:5, 1:4], whole[2:5, 1:4])
        np.testing.assert_array_equal(params[f"{name}/query/kernel"].T[1:4], whole.T[1:4])


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("variant", VARIANTS)
def test_round_trip(tmp_path, variant, dtype):
    config = models.tiny_config(**VARIANTS[variant])
    params = {name: x.astype(dtype) for name, x in random_params(config).items()}
    prompt = {PROMPT: np.ones((5, 16), np.float32)}
    path = t5x.write_t5x(tmp_path, 1_100_000, params | prompt)
    assert path == tmp_path / "checkpoint_1100000"
    found = t5x.read_t5x(str(path), None)
    assert found.config == config
    assert_same(found.params, params)
    assert_same(t5x.read_t5x_prompt(str(path)), prompt)
    again = t5x.write_t5x(tmp_path, 2, found.params)
    assert_same(t5x.read_t5x(str(again), None).params, params)
    with pytest.raises(CheckpointError, match=f"{again} holds no prompt"):
        t5x.read_t5x_prompt(str(again))


@pytest.mark.parametrize("rows", [32100, 32128])
def test_padded_and_unpadded_tables(tmp_path, rows, monkeypatch):
    monkeypatch.setattr(zarr, "CHUNK_BYTES", 64 * 1024)
    params = random_params(models.tiny_config(vocab_size=rows, d_model=4, num_decoder_layers=1))
    path = t5x.write_t5x(tmp_path, 1, params)
    found = t5x.read_t5x(str(path), None)
    assert found.config.vocab_size == rows
    assert_same(found.params, params)
    assert len(list((path / "target.token_embedder.embedding").glob("*.0"))) == -(-rows // 4096)
    table = raw_zarr(path / "target.token_embedder.embedding")
    np.testing.assert_array_equal(table, params["token_embedder/embedding"])


def test_a_checkpoint_is_whole_or_absent(tmp_path):
    params = {"encoder/x": np.ones((2, 3)), "encoder/y": np.ones(3)}
    with pytest.raises(RuntimeError, match="no more"):
        t5x.write_t5x(tmp_path, 1, params | {"decoder/last": Unreadable()})
    assert not list(tmp_path.iterdir())
    t5x.write_t5x(tmp_path, 1, params)
    with pytest.raises(FileExistsError, match="checkpoint_1 is there already"):
        t5x.write_t5x(tmp_path, 1, params)
    assert [x.name for x in tmp_path.iterdir()] == ["checkpoint_1"]


class Unreadable:
    ndim = 2

    def __array__(self, dtype=None, copy=None):
        raise RuntimeError("no more")


def test_recognised_by_looking(tmp_path, model_folder):
    assert t5x.is_t5x(str(LEGACY))
    assert not t5x.is_t5x(str(model_folder))
    assert not t5x.is_t5x(str(model_folder / "config.json"))
    assert not t5x.is_t5x(str(tmp_path / "absent"))
    (tmp_path / "numpy_checkpoints" / "checkpoint_3").mkdir(parents=True)
    (tmp_path / "checkpoint_4").mkdir()
    assert not t5x.is_t5x(str(tmp_path))


def test_of_a_model_dir_one_must_be_named(tmp_path):
    for step in (9, 100, 20):
        t5x.write_t5x(tmp_path, step, {"x": np.ones(3, np.float32)})
    assert t5x.is_t5x(str(tmp_path))
    with pytest.raises(CheckpointError, match=rf"3 of them.* is {tmp_path}/checkpoint_100\.$"):
        t5x.read_t5x(str(tmp_path), None)


def test_errors_name_what_is_damaged(tmp_path):
    path = tmp_path / "checkpoint_3"
    shutil.copytree(LEGACY, path)
    table = path / "target.token_embedder.embedding"
    (table / "3.0").write_bytes((table / "3.0").read_bytes()[:100])
    (table / "5.0").unlink()
    found = t5x.read_t5x(str(path), None).params["token_embedder/embedding"]
    assert np.isfinite(found[:4096]).all()
    for file, rows in (("3.0", slice(3 * 4096, 4 * 4096)), ("5.0", slice(5 * 4096, None))):
        with pytest.raises(CheckpointError, match=f"{table}/{file}"):
            found[rows]
    (table / ".zarray").unlink()
    with pytest.raises(CheckpointError, match=f"{table}/.zarray"):
        t5x.read_t5x(str(path), None)


def test_errors_name_a_damaged_database(tmp_path):
    path = tmp_path / "checkpoint_2"
    shutil.copytree(ORBAX / "t5" / "checkpoint_2", path)
    manifest = path / "state" / "manifest.ocdbt"
    manifest.write_bytes(manifest.read_bytes()[:-4])
    with pytest.raises(CheckpointError, match=f"{manifest} cannot be read"):
        t5x.read_t5x(str(path), None)
    manifest.unlink()
    with pytest.raises(CheckpointError, match=f"{path} is no T5X checkpoint"):
        t5x.read_t5x(str(path), None)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "incomplete"),
        (b'model_checkpoint_path: "model.ckpt-1"\n', "extra data"),
        ({"version": 1, "optimizer": {}}, "expected version 3, found 1"),
        ({"version": 3, "optimizer": {}}, "'target'"),
        ({"version": 3, "optimizer": {"target": 5}}, "int"),
        ({"version": 3, "optimizer": {"target": {"x": {"kvstore": 5}}}}, "int"),
        ({"version": 3, "optimizer": {"target": {"x": np.ones(2, np.uint16)}}}, "x: .*uint16"),
    ],
)
def test_errors_of_the_msgpack_file(tmp_path, content, message):
    content = content if isinstance(content, bytes) else serialization.msgpack_serialize(content)
    (tmp_path / "checkpoint").write_bytes(content)
    with pytest.raises(CheckpointError, match=f"{tmp_path}/checkpoint.*{message}"):
        t5x.read_t5x(str(tmp_path), None)


@hypothesis.given(data=st.data())
@hypothesis.settings(
    max_examples=40, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_a_damaged_msgpack_file_is_a_checkpoint_error_or_reads(tmp_path, data):
    if not (tmp_path / "checkpoint_1").exists():
        params = {"encoder/layers_0/x": np.ones((2, 3), np.float32), "y": np.ones(3, np.float32)}
        t5x.write_t5x(tmp_path, 1, params)
    content = (tmp_path / "checkpoint_1" / "checkpoint").read_bytes()
    place = data.draw(st.integers(0, len(content) - 1))
    if data.draw(st.booleans()):
        damaged = content[:place]
    else:
        damaged = content[:place] + bytes([data.draw(st.integers(0, 255))]) + content[place + 1 :]
    copy = tmp_path / "copy"
    shutil.copytree(tmp_path / "checkpoint_1", copy, dirs_exist_ok=True)
    (copy / "checkpoint").write_bytes(damaged)
    try:
        t5x.read_t5x(str(copy), None)
    except CheckpointError as error:
        assert str(copy) in str(error)


def test_t5x_restores_what_was_written(tmp_path):
    t5x_checkpoints = pytest.importorskip("t5x.checkpoints")
    from t5x import partitioning
    from t5x import train_state

    config = models.tiny_config(num_heads=8, **VARIANTS["v1_0"])  # T5X shards over all devices
    params = random_params(config)
    path = t5x.write_t5x(tmp_path, 7, params | {PROMPT: np.ones((5, 16), np.float32)})
    tokens = jnp.ones((2, 4), jnp.int32)
    variables = network.T5(config).init(jax.random.key(1), tokens, tokens, enable_dropout=False)
    state = train_state.InferenceState.create(variables)
    partitioner = partitioning.PjitPartitioner(num_partitions=1)
    for checkpointer in (
        t5x_checkpoints.OrbaxCheckpointManagerInterface(str(tmp_path), state, partitioner),
        t5x_checkpoints.Checkpointer(state, partitioner, str(tmp_path)),
    ):
        restored = checkpointer.restore(path=str(path))
        assert restored.step == 7
        assert_same(parameters.flatten(restored.params), jax.tree.map(jnp.asarray, params))
    loaded = t5x_checkpoints.load_t5x_checkpoint(str(path))["target"]
    assert loaded["encoder"]["prompt"]["prompt"]["prompt"].shape == (5, 16)
