"""Every way to predict, through the predictor: a mesh of eight devices changes nothing."""

import dataclasses
import functools

import jax
import numpy as np
import pytest

from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import parameters
from prompt_tuning.training import sharding
from tests import models
from tests.t5 import tiny

pytestmark = pytest.mark.usefixtures("quick_compilation")

VOCABULARY = vocabularies.ByteVocabulary()
LABELS = ("yes", "no", "why")
SHAPE = (8, 8, 5)  # B, T, L
# What is split is divided by eight devices, but for the four heads, which eight devices share.
CONFIG = dataclasses.replace(
    tiny.CONFIG,
    vocab_size=264,
    d_model=16,
    num_heads=4,
    head_dim=4,
    d_ff=32,
    num_decoder_layers=1,
)
DECODERS = [
    decoders.Greedy(),
    decoders.Sample(temperature=2.0, top_k=9, top_p=0.9, seed=3),
    decoders.BeamSearch(num_beams=3),
    decoders.RankLabels(),
]
LAYOUTS = {
    "data": sharding.Layout(),
    "model": sharding.Layout(model_parallel=8),
    "fully_sharded": sharding.Layout(model_parallel=2, shard_frozen=True),
}


@pytest.fixture(scope="module")
def examples():
    fields = [{"inputs": f"text {i}"[i % 4 :], "targets": "no"} for i in range(11)]
    names = [str(i) for i in range(11)]
    return data.examples_from_text(names, fields, VOCABULARY, *SHAPE[1:])


@functools.cache
def prompted(*lengths):
    """A network with prompts of these lengths, and its parameters."""
    model = tiny.build(CONFIG, *lengths)
    return model, jax.device_get(parameters.flatten(tiny.random_params(model)))


@pytest.fixture(scope="module")
def on_one_device(examples):
    """`on_one_device(lengths, decoder)` is what it predicts with prompts of these lengths."""

    @functools.cache
    def predictions(lengths, decoder):
        model, params = prompted(*lengths)
        return list(predictor(model, decoder)(jax.device_put(params), examples))

    return predictions


def predictor(model, decoder, mesh=None):
    return predict.Predictor(model, VOCABULARY, *SHAPE, mesh=mesh, decoder=decoder, labels=LABELS)


def assert_same(found, expected):
    for row, other in zip(found, expected, strict=True):
        scores = {"score": pytest.approx(other["score"], rel=1e-4)}
        if "label_scores" in other:
            scores["label_scores"] = pytest.approx(other["label_scores"], rel=1e-4)
        assert row == other | scores


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
@pytest.mark.parametrize(
    "lengths, layout",
    [
        ((3, 0), "fully_sharded"),
        ((3, 2), "data"),
        ((3, 2), "model"),
        ((3, 2), "fully_sharded"),
    ],
    ids=str,
)
def test_a_mesh_gives_the_same_predictions(on_one_device, examples, decoder, lengths, layout):
    model, params = prompted(*lengths)
    mesh = LAYOUTS[layout].mesh()
    assert mesh.size == 8

    placed = LAYOUTS[layout].put_params(model, params, mesh)
    found = list(predictor(model, decoder, mesh)(placed, examples))

    assert len({row["score"] for row in found}) == len(found)
    assert_same(found, on_one_device(lengths, decoder))


def test_a_mesh_gives_each_row_its_own_prompt(examples):
    base = models.tiny_model(num_encoder_layers=1, num_decoder_layers=1)
    method = soft_prompt.SoftPrompt(3, decoder_length=2)
    model, rng = method.per_row(base, rows=SHAPE[0]), np.random.default_rng(0)
    bank = {
        name: rng.normal(size=(2, length, base.config.d_model)).astype(np.float32)
        for name, length in zip(method.trainable, (3, 2))
    }
    which, decoder = [i % 2 for i in range(len(examples))], decoders.BeamSearch(num_beams=3)
    layout = LAYOUTS["fully_sharded"]
    mesh = layout.mesh()

    one = predictor(model, decoder)(base.params, examples, bank, which)
    placed = layout.put_params(model, base.params, mesh)
    found = predictor(model, decoder, mesh)(placed, examples, bank, which)

    assert_same(list(found), list(one))
