"""Predictions: every example once, in order, as if it were alone; one compilation."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import parameters
from prompt_tuning.training import sharding
from tests.t5 import tiny

VOCABULARY = vocabularies.ByteVocabulary()
BATCH_SIZE, INPUTS_LENGTH, TARGETS_LENGTH = 2, 8, 5


def make_examples(count):
    fields = [{"inputs": f"text {i}"[i % 4 :], "targets": f"{i}"} for i in range(count)]
    return data.examples_from_text(
        [f"id{i}" for i in range(count)], fields, VOCABULARY, INPUTS_LENGTH, TARGETS_LENGTH
    )


def prompted(seed=0):
    """A model with a prompt, whose vocabulary has room for bytes, and flat parameters."""
    config = dataclasses.replace(
        tiny.CONFIG, vocab_size=260, num_encoder_layers=1, num_decoder_layers=1
    )
    model = tiny.build(config, encoder_prompt=3)
    return model, parameters.flatten(tiny.random_params(model, seed))


def make_predictor(**options):
    return predict.Predictor(
        prompted()[0], VOCABULARY, BATCH_SIZE, INPUTS_LENGTH, TARGETS_LENGTH, **options
    )


@pytest.fixture(scope="module")
def predictor():
    return make_predictor()


@pytest.fixture(scope="module")
def decode_alone():
    model, _ = prompted()
    return jax.jit(
        lambda params, inputs: decoding.greedy(
            model, parameters.unflatten(params), inputs, TARGETS_LENGTH
        )
    )


@pytest.mark.parametrize("count", [1, 4, 5])
def test_each_example_once_as_if_alone(predictor, decode_alone, count):
    _, params = prompted()
    examples = make_examples(count)

    found = list(predictor(params, examples))

    assert [row["id"] for row in found] == examples.ids
    for i, row in enumerate(found):
        tokens = np.zeros((1, INPUTS_LENGTH), np.int32)
        tokens[0, : len(examples.inputs[i])] = examples.inputs[i]
        alone = jax.device_get(decode_alone(params, tokens))
        assert row == examples.fields[i] | {
            "id": f"id{i}",
            "prediction": VOCABULARY.decode(alone.tokens[0]),
            "score": pytest.approx(alone.log_probs[0], rel=1e-5),
        }


def test_other_parameters_need_no_compilation(predictor, monkeypatch):
    traced = []
    greedy = decoding.greedy
    monkeypatch.setattr(decoding, "greedy", lambda *args: traced.append(1) or greedy(*args))
    examples = make_examples(3)
    both = [prompted(seed)[1] for seed in (0, 1)]

    counted = make_predictor()
    found = [list(counted(params, examples)) for params in both]

    assert len(traced) == 1
    assert found[0] != found[1]
    assert found == [list(predictor(params, examples)) for params in both]


def test_a_mesh_gives_the_same_predictions(predictor):
    model, params = prompted()
    layout = sharding.Layout(model_parallel=2)
    mesh = layout.mesh(jax.devices()[:4])
    examples = make_examples(5)

    sharded = make_predictor(mesh=mesh)
    found = list(sharded(layout.put_params(model, params, mesh), examples))

    for row, expected in zip(found, predictor(params, examples), strict=True):
        assert row == expected | {"score": pytest.approx(expected["score"], rel=1e-5)}
