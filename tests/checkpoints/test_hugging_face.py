"""Hugging Face's T5 folders: the same logits and tokens as theirs; in and out; clear errors."""

import dataclasses
import json
import pathlib
import shutil
import sys

import jax
import numpy as np
import pytest
from safetensors import numpy as safetensors_numpy

from prompt_tuning import models
from prompt_tuning.checkpoints import hugging_face
from prompt_tuning.checkpoints import weights
from prompt_tuning.checkpoints.stored import check_shapes, CheckpointError, StoredArray
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

FOLDER = pathlib.Path(__file__).parents[1] / "fixtures" / "hf_models"
SPIECE = models.ASSETS / "pocket_t5" / "vocabulary.model"
PIECES = 4064
KINDS = ("t5_v1_0", "t5_v1_1", "mt5", "umt5", "byt5")
ATOL = 1e-4  # largest difference measured: 2.5e-5 (mT5), of logits up to 6.9
TABLE, HEAD = "shared.weight", "lm_head.weight"


def expected(kind):
    with np.load(FOLDER / kind / "expected.npz") as arrays:
        return dict(arrays)


def assert_same_params(one, other):
    assert one.params.keys() == other.params.keys()
    for name in one.params:
        np.testing.assert_array_equal(one.params[name], other.params[name], name)


@pytest.fixture
def folder(tmp_path):
    """`folder(kind)`: a copy of a fixture that a test may change."""

    def copy(kind, **fields):
        copied = tmp_path / kind
        shutil.copytree(FOLDER / kind, copied, dirs_exist_ok=True)
        edit_config(copied, **fields)
        return copied

    return copy


def edit_config(folder, **fields):
    """Sets fields of config.json; those of None are taken out."""
    file = folder / "config.json"
    described = json.loads(file.read_text()) | fields
    file.write_text(json.dumps({k: v for k, v in described.items() if v is not None}))


def edit_arrays(folder, change):
    file = folder / "model.safetensors"
    arrays = safetensors_numpy.load_file(file)
    change(arrays)
    safetensors_numpy.save_file(arrays, file)


@pytest.mark.parametrize("kind", KINDS)
def test_logits_and_greedy_tokens_equal_transformers(kind):
    found, theirs = hugging_face.read_hugging_face(FOLDER / kind), expected(kind)
    check_shapes(found.params, parameters.expected_shapes(found.config), kind)
    model = network.T5(found.config)
    params = parameters.unflatten({name: np.asarray(x) for name, x in found.params.items()})

    @jax.jit
    def ours(params, inputs, decoder_inputs):
        logits = model.apply({"params": params}, inputs, decoder_inputs, enable_dropout=False)
        return logits, decoding.greedy(model, params, inputs, theirs["greedy"].shape[1]).tokens

    logits, greedy = ours(params, theirs["inputs"], theirs["decoder_inputs"])

    np.testing.assert_allclose(logits, theirs["logits"], rtol=0, atol=ATOL)
    np.testing.assert_array_equal(greedy, theirs["greedy"])


def test_switches_of_each_kind():
    configs = {kind: hugging_face.read_hugging_face(FOLDER / kind).config for kind in KINDS}
    switches = {
        kind: (x.gated, x.activation, x.tied_logits, x.relpos_per_layer)
        for kind, x in configs.items()
    }
    assert switches == {
        "t5_v1_0": (False, "relu", True, False),
        "t5_v1_1": (True, "gelu", False, False),
        "mt5": (True, "gelu", False, False),
        "umt5": (True, "gelu", False, True),
        "byt5": (True, "gelu", False, False),
    }
    assert (configs["t5_v1_1"].num_encoder_layers, configs["t5_v1_1"].num_decoder_layers) == (2, 1)


def test_parts_are_the_whole():
    whole = hugging_face.read_hugging_face(FOLDER / "t5_v1_1")
    assert_same_params(whole, hugging_face.read_hugging_face(FOLDER / "t5_v1_1_sharded"))


def test_pytorch_files_are_the_same_model(tmp_path):
    torch = pytest.importorskip("torch", reason="reading pytorch_model.bin needs PyTorch")
    whole = hugging_face.read_hugging_face(FOLDER / "t5_v1_1")
    assert_same_params(whole, hugging_face.read_hugging_face(FOLDER / "t5_v1_1_bin"))

    arrays = torch.load(FOLDER / "t5_v1_1_bin" / "pytorch_model.bin", weights_only=True)
    parts = {"a.bin": list(arrays)[::2], "b.bin": list(arrays)[1::2]}
    for file, names in parts.items():
        part = {name: arrays[name].clone() for name in names}
        torch.save(part, tmp_path / file, _use_new_zipfile_serialization=file == "b.bin")
    index = {"weight_map": {name: file for file, names in parts.items() for name in names}}
    (tmp_path / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    shutil.copy(FOLDER / "t5_v1_1" / "config.json", tmp_path)
    assert_same_params(whole, hugging_face.read_hugging_face(tmp_path))


def test_pytorch_files_of_bfloat16(tmp_path):
    torch = pytest.importorskip("torch", reason="reading pytorch_model.bin needs PyTorch")
    arrays = torch.load(FOLDER / "t5_v1_1_bin" / "pytorch_model.bin", weights_only=True)
    halved = {name: x.to(torch.bfloat16) for name, x in arrays.items()}
    torch.save(halved, tmp_path / "pytorch_model.bin")
    shutil.copy(FOLDER / "t5_v1_1" / "config.json", tmp_path)

    table = hugging_face.read_hugging_face(tmp_path).params["token_embedder/embedding"]

    assert table.dtype.name == "bfloat16"
    rounded = halved[TABLE].float().numpy()
    np.testing.assert_array_equal(np.asarray(table).astype(np.float32), rounded)


def test_without_pytorch_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(CheckpointError, match=r"pip install prompt_tuning\[torch\]"):
        hugging_face.read_hugging_face(FOLDER / "t5_v1_1_bin")


@pytest.mark.parametrize("flag", [True, False, None])
def test_a_head_of_its_own_is_t5_1_1_whatever_the_flag(folder, flag):
    found = hugging_face.read_hugging_face(folder("t5_v1_1", tie_word_embeddings=flag))
    assert not found.config.tied_logits
    assert_same_params(found, hugging_face.read_hugging_face(FOLDER / "t5_v1_1"))


def test_the_table_under_other_names_is_one(folder):
    def repeat(arrays):
        table = arrays.pop(TABLE)
        arrays["encoder.embed_tokens.weight"] = table
        arrays["decoder.embed_tokens.weight"] = table.copy()
        arrays[HEAD] = table.copy()

    copied = folder("t5_v1_0")
    edit_arrays(copied, repeat)
    found = hugging_face.read_hugging_face(copied)
    assert found.config.tied_logits
    assert_same_params(found, hugging_face.read_hugging_face(FOLDER / "t5_v1_0"))


@pytest.mark.parametrize("kind", ["t5_v1_1", "mt5"])
def test_a_table_that_is_the_head_unscaled(folder, kind):
    """As transformers 5 makes T5 1.1 and mT5 from a configuration."""
    copied = folder(kind)
    edit_arrays(copied, lambda arrays: arrays.pop(HEAD))
    found = hugging_face.read_hugging_face(copied)
    assert not found.config.tied_logits
    table, head = (
        found.params["token_embedder/embedding"],
        found.params["decoder/logits_dense/kernel"],
    )
    np.testing.assert_array_equal(np.asarray(head), np.asarray(table).T)


def test_fields_that_old_files_lack(folder):
    copied = folder(
        "t5_v1_0",
        num_decoder_layers=None,
        feed_forward_proj=None,
        relative_attention_max_distance=None,
        layer_norm_epsilon=None,
        dense_act_fn=None,
        tie_word_embeddings=None,
        scale_decoder_outputs=None,
    )
    config = hugging_face.read_hugging_face(copied).config
    wanted = hugging_face.read_hugging_face(FOLDER / "t5_v1_0").config
    assert config == dataclasses.replace(wanted, relpos_max_distance=128)


@pytest.mark.parametrize(
    "fields, message",
    [
        (dict(model_type="longt5"), "model_type must be .*found 'longt5'"),
        (dict(layer_norm_epsilon=1e-5), "layer_norm_epsilon must be 1e-06, found 1e-05"),
        (dict(feed_forward_proj="gated-silu"), "feed_forward_proj must be .*found 'gated-silu'"),
        (dict(dense_act_fn="gelu"), "dense_act_fn must be 'gelu_new', found 'gelu'"),
        (dict(d_kv=None, num_heads=None), "config.json lacks num_heads, d_kv"),
        (dict(d_ff=-1), "config.json: T5Config.d_ff must be a positive integer, found -1"),
    ],
)
def test_configurations_that_cannot_be_used(folder, fields, message):
    with pytest.raises(CheckpointError, match=message):
        hugging_face.read_hugging_face(folder("t5_v1_1", **fields))


def test_missing_and_unknown_arrays_have_their_own_names(folder):
    def change(arrays):
        del arrays[TABLE]
        del arrays["encoder.block.1.layer.0.SelfAttention.q.weight"]
        arrays["encoder.block.2.layer.0.layer_norm.weight"] = np.ones(12, np.float32)

    copied = folder("t5_v1_1", tie_word_embeddings=False)
    edit_arrays(copied, change)
    with pytest.raises(CheckpointError) as error:
        hugging_face.read_hugging_face(copied)
    for part in (
        "3 differences",
        "missing shared.weight",
        "missing encoder.block.1.layer.0.SelfAttention.q.weight",
        "unexpected encoder.block.2.layer.0.layer_norm.weight",
    ):
        assert part in str(error.value)


def test_t5_1_1_without_its_head(folder):
    copied = folder("t5_v1_1", tie_word_embeddings=False)
    edit_arrays(copied, lambda arrays: arrays.pop(HEAD))
    with pytest.raises(CheckpointError, match="missing lm_head.weight"):
        hugging_face.read_hugging_face(copied)


def test_wrong_shapes(folder):
    copied = folder("t5_v1_1", d_ff=21)
    with pytest.raises(
        CheckpointError, match=r"DenseReluDense.wi_0.weight: expected \(21, 12\), found \(20, 12"
    ):
        weights.open_model(copied, vocabulary=vocabularies.ByteVocabulary())


def test_a_folder_without_weights(folder):
    copied = folder("t5_v1_1")
    (copied / "model.safetensors").unlink()
    with pytest.raises(CheckpointError, match="neither model.safetensors nor pytorch_model.bin"):
        hugging_face.read_hugging_face(copied)


@pytest.mark.parametrize("kind", KINDS)
def test_what_is_written_is_read(tmp_path, kind):
    found = hugging_face.read_hugging_face(FOLDER / kind)
    vocabulary = vocabularies.ByteVocabulary(5)
    hugging_face.write_hugging_face(tmp_path, found.config, found.params, vocabulary)

    again = hugging_face.read_hugging_face(tmp_path)

    assert again.config == found.config
    assert again.vocabulary.fingerprint == vocabulary.fingerprint
    assert_same_params(again, found)
    assert [file.name for file in tmp_path.iterdir() if file.suffix == ".safetensors"] == [
        "model.safetensors"
    ]


def test_written_in_bfloat16(tmp_path):
    found = hugging_face.read_hugging_face(FOLDER / "t5_v1_0")
    vocabulary = vocabularies.SentencePieceVocabulary(SPIECE, 32)
    hugging_face.write_hugging_face(
        tmp_path, found.config, found.params, vocabulary, dtype="bfloat16"
    )
    again = hugging_face.read_hugging_face(tmp_path)
    assert again.vocabulary.fingerprint == vocabulary.fingerprint
    for name, x in again.params.items():
        assert x.dtype.name == "bfloat16"
        np.testing.assert_array_equal(x, np.asarray(found.params[name]).astype(x.dtype), name)


def test_only_a_whole_t5_is_written(tmp_path):
    found = hugging_face.read_hugging_face(FOLDER / "t5_v1_0")
    params = {**found.params, "encoder/prompt/prompt/prompt": np.ones((3, 12), np.float32)}
    del params["encoder/encoder_norm/scale"]
    with pytest.raises(CheckpointError, match="(?s)missing encoder/encoder_norm.*unexpected .*/pr"):
        hugging_face.write_hugging_face(
            tmp_path, found.config, params, vocabularies.ByteVocabulary()
        )
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("kind", KINDS)
def test_transformers_reads_what_is_written(tmp_path, kind):
    torch = pytest.importorskip("torch", reason="asks transformers, which needs PyTorch")
    transformers = pytest.importorskip("transformers", reason="asks transformers")
    found, theirs = hugging_face.read_hugging_face(FOLDER / kind), expected(kind)
    hugging_face.write_hugging_face(
        tmp_path, found.config, found.params, vocabularies.ByteVocabulary()
    )

    model = transformers.AutoModelForSeq2SeqLM.from_pretrained(tmp_path).eval()
    if kind == "umt5":  # which transformers 5 would scale (scripts/fixtures/make_hf_logits.py)
        model.config.tie_word_embeddings = False
    inputs = dict(
        input_ids=torch.tensor(theirs["inputs"], dtype=torch.long),
        attention_mask=torch.tensor(theirs["inputs"] != 0).long(),
    )
    decoder_inputs = torch.tensor(theirs["decoder_inputs"], dtype=torch.long)
    with torch.no_grad():
        logits = model(**inputs, decoder_input_ids=decoder_inputs).logits.numpy()
        greedy = model.generate(**inputs, max_new_tokens=theirs["greedy"].shape[1])

    np.testing.assert_array_equal(logits, theirs["logits"])
    np.testing.assert_array_equal(greedy[:, 1:], theirs["greedy"])


def write_with_rows(folder, kind, rows, vocabulary):
    """A fixture with so many rows of vocabulary."""
    found = hugging_face.read_hugging_face(FOLDER / kind)
    config, rng = dataclasses.replace(found.config, vocab_size=rows), np.random.default_rng(0)
    params = {**found.params, "token_embedder/embedding": rng.normal(size=(rows, 12))}
    if not config.tied_logits:
        params["decoder/logits_dense/kernel"] = rng.normal(size=(12, rows))
    hugging_face.write_hugging_face(folder, config, params, vocabulary)


@pytest.mark.parametrize("rows", [32_100, 32_128])
def test_vocabulary_rows_with_and_without_padding(tmp_path, rows):
    """T5's pieces and sentinels are 32,100; its published tables have 28 rows more."""
    vocabulary = vocabularies.SentencePieceVocabulary(SPIECE, 32_100 - PIECES)
    write_with_rows(tmp_path, "t5_v1_0", rows, vocabulary)

    model = weights.open_model(tmp_path)

    assert model.table.shape == (rows, 12)
    assert model.vocabulary.sentinel_id(0) == 32_099


@pytest.mark.parametrize(
    "kind, tokenizer, extra_ids",
    [
        ("t5_v1_1", None, 100),
        ("t5_v1_1", {"extra_ids": 7}, 7),
        ("t5_v1_1", {"tokenizer_class": "T5Tokenizer"}, 100),
        ("mt5", None, 0),
        ("umt5", None, 300),
    ],
)
def test_sentinels_of_each_kind(folder, kind, tokenizer, extra_ids):
    copied = folder(kind)
    shutil.copy(SPIECE, copied / "spiece.model")
    if tokenizer:
        (copied / "tokenizer_config.json").write_text(json.dumps(tokenizer))
    vocabulary = hugging_face.read_hugging_face(copied).vocabulary
    assert vocabulary.vocab_size == PIECES + extra_ids


def test_bytes_have_the_sentinels_that_byt5_was_trained_with():
    vocabulary = hugging_face.read_hugging_face(FOLDER / "byt5").vocabulary
    assert isinstance(vocabulary, vocabularies.ByteVocabulary)
    assert vocabulary.sentinel_id(0) == 258


def test_a_folder_without_vocabulary_asks_for_one():
    assert hugging_face.read_hugging_face(FOLDER / "t5_v1_1").vocabulary is None
    with pytest.raises(CheckpointError, match="set VOCABULARY_FILE"):
        weights.open_model(FOLDER / "t5_v1_1")


@pytest.fixture
def rows_read(monkeypatch):
    """Shapes of all parts that are read."""
    parts, read = [], StoredArray.__getitem__

    def counted(self, index):
        part = read(self, index)
        parts.append(part.shape)
        return part

    monkeypatch.setattr(StoredArray, "__getitem__", counted)
    return parts


def test_opening_reads_no_array(folder, rows_read):
    copied = folder("t5_v1_1", tie_word_embeddings=False)
    for opened in (FOLDER / "t5_v1_0", copied):
        hugging_face.read_hugging_face(opened)
    assert not rows_read


def test_heads_are_compared_as_far_as_they_agree(tmp_path, rows_read):
    write_with_rows(tmp_path, "t5_v1_1", 32_100, vocabularies.ByteVocabulary())
    edit_config(tmp_path, tie_word_embeddings=True)
    rows_read.clear()

    found = hugging_face.read_hugging_face(tmp_path)

    assert not found.config.tied_logits
    assert rows_read == [(256, 12), (256, 12)]
