"""The frozen model's own format: what is written is what is read, or a clear error."""

import dataclasses
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary
from tests import models

VOCABULARY = "prompt_tuning/assets/pocket_t5/vocabulary.model"


@pytest.fixture
def model(request):
    config = models.tiny_config(vocab_size=4096)
    path = request.config.rootpath / VOCABULARY
    return weights.FrozenModel(
        "tiny",
        config,
        weights.random_params(config, 0),
        vocabulary.SentencePieceVocabulary(path, 32),
    )


def test_round_trip(tmp_path, model):
    weights.save_model(tmp_path, model, model.params, dtype="float32")
    found = weights.load_model(tmp_path, dropout_rate=0.1)
    jax.tree.map(np.testing.assert_array_equal, model.params, found.params)
    assert found.config.dropout_rate == 0.1 and found.config.d_model == model.config.d_model
    assert found.vocabulary.fingerprint == model.vocabulary.fingerprint


def test_bfloat16_on_disk_halves_the_file(tmp_path, model):
    for dtype in ("float32", "bfloat16"):
        weights.save_model(tmp_path / dtype, model, model.params, dtype=dtype)
    size = {d: (tmp_path / d / "model.safetensors").stat().st_size for d in ("float32", "bfloat16")}
    assert size["bfloat16"] < 0.52 * size["float32"]
    found = weights.load_model(tmp_path / "bfloat16", dtype="float32")
    for name, x in model.params.items():
        np.testing.assert_allclose(found.params[name], x, rtol=2**-8)
        assert found.params[name].dtype == np.float32


def test_what_does_not_fit_is_listed_by_name(tmp_path, model):
    params = dict(model.params)
    del params["encoder/encoder_norm/scale"]
    params["decoder/decoder_norm/scale"] = np.ones(3, np.float32)
    params["surplus"] = np.ones(2, np.float32)
    weights.save_model(tmp_path, model, params)
    with pytest.raises(weights.CheckpointError) as error:
        weights.load_model(tmp_path)
    for part in (
        "3 differences",
        "missing encoder/encoder_norm/scale (16,)",
        "decoder/decoder_norm/scale: expected (16,), found (3,)",
        "unexpected surplus (2,)",
    ):
        assert part in str(error.value)


def test_errors_name_the_file_and_the_flag(tmp_path, model):
    with pytest.raises(
        weights.CheckpointError, match="no config.json .*Check INITIAL_CHECKPOINT_PATH"
    ):
        weights.load_model(tmp_path)
    weights.save_model(tmp_path, model, model.params)
    described = json.loads((tmp_path / "config.json").read_text())
    described["t5"]["d_modle"] = described["t5"].pop("d_model")
    (tmp_path / "config.json").write_text(json.dumps(described))
    with pytest.raises(
        ValueError, match="unknown T5Config field 'd_modle'. Did you mean 'd_model'"
    ):
        weights.load_model(tmp_path)
    weights.save_model(tmp_path, model, model.params)
    (tmp_path / "model.safetensors").write_bytes(b"not safetensors")
    with pytest.raises(weights.CheckpointError, match="model.safetensors cannot be read"):
        weights.load_model(tmp_path)


def test_a_byte_vocabulary_is_kept(tmp_path):
    model = models.tiny_model()
    weights.save_model(tmp_path, model, model.params)
    assert weights.open_model(tmp_path).vocabulary.fingerprint == model.vocabulary.fingerprint


def test_a_fingerprint_tells_models_apart_and_nothing_else(model):
    same = model.fingerprint
    params = {name: np.asarray(x) for name, x in model.params.items()}
    rounded = {name: x.astype(jnp.bfloat16) for name, x in params.items()}
    assert dataclasses.replace(model, params=rounded).fingerprint == same
    padded = params | {
        "token_embedder/embedding": np.pad(params["token_embedder/embedding"], ((0, 28), (0, 0))),
        "decoder/logits_dense/kernel": np.pad(
            params["decoder/logits_dense/kernel"], ((0, 0), (0, 28))
        ),
    }
    assert dataclasses.replace(model, params=padded).fingerprint == same
    sentinels = vocabulary.SentencePieceVocabulary(model.vocabulary.path, extra_ids=0)
    assert dataclasses.replace(model, vocabulary=sentinels).fingerprint == same
    looked_at = ("relpos_bias/rel_embedding", "decoder_norm/scale", "layer_norm/scale")
    for name, x in params.items():
        if name.startswith("decoder/layers_1/") or name.endswith(looked_at):
            changed = dataclasses.replace(model, params=params | {name: x + 0.125})
            assert changed.fingerprint != same, name
    for change in (dict(relpos_max_distance=19), dict(activation="relu")):
        config = dataclasses.replace(model.config, **change)
        assert dataclasses.replace(model, config=config).fingerprint != same
    used = dataclasses.replace(model.config, dtype="bfloat16", dropout_rate=0.1)
    assert dataclasses.replace(model, config=used).fingerprint == same
    other = dataclasses.replace(model, vocabulary=vocabulary.ByteVocabulary())
    assert other.fingerprint != same


def test_a_saved_model_has_the_fingerprint_of_the_one_in_memory(tmp_path, model):
    weights.save_model(tmp_path, model, model.params)
    assert weights.open_model(tmp_path).fingerprint == model.fingerprint
