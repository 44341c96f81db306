"""Every way to predict, through the predictor: an example gets the same in any batch."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.t5 import parameters
from prompt_tuning.training import step
from tests.t5 import tiny

VOCABULARY = vocabularies.ByteVocabulary()
LABELS = ("yes", "no", "why")
DECODERS = [
    decoders.Sample(temperature=2.0, top_k=9, top_p=0.9, seed=3),
    decoders.BeamSearch(num_beams=3),
    decoders.RankLabels(),
]


@pytest.fixture(scope="module")
def model():
    config = dataclasses.replace(
        tiny.CONFIG, vocab_size=260, num_encoder_layers=1, num_decoder_layers=1
    )
    return tiny.build(config, encoder_prompt=3, decoder_prompt=2)


@pytest.fixture(scope="module")
def params(model):
    return jax.device_put(parameters.flatten(tiny.random_params(model)))


@pytest.fixture(scope="module")
def examples():
    fields = [{"inputs": f"text {i}"[i % 4 :], "targets": "no"} for i in range(5)]
    return data.examples_from_text(list("abcde"), fields, VOCABULARY, 8, 5)


def predictions(model, params, examples, decoder, batch_size):
    predictor = predict.Predictor(
        model, VOCABULARY, batch_size, 8, 5, decoder=decoder, labels=LABELS
    )
    return list(predictor(params, examples))


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_the_batch_does_not_matter(model, params, examples, decoder):
    alone = predictions(model, params, examples, decoder, 1)
    together = predictions(model, params, examples, decoder, 4)
    assert [row["prediction"] for row in alone] == [row["prediction"] for row in together]
    np.testing.assert_allclose(
        [row["score"] for row in alone], [row["score"] for row in together], rtol=1e-4
    )


def test_ranking_chooses_the_label_of_the_lowest_loss(model, params, examples):
    rows = predictions(model, params, examples, decoders.RankLabels(), 4)
    for example, row in zip(examples.fields, rows):
        losses = {}
        for label in LABELS:
            labelled = data.examples_from_text(
                ["a"], [example | {"targets": label}], VOCABULARY, 8, 5
            )
            batch = predict.batches.collate(
                [predict.batches.ExampleRows(labelled, 0).row(0)], 1, 8, 5
            )
            losses[label] = float(
                step.batch_loss(model, params, jax.device_put(batch)).cross_entropy
            )
        assert row["prediction"] == min(losses, key=losses.get)
        for label, loss in losses.items():
            np.testing.assert_allclose(row["label_scores"][label], -loss, rtol=1e-4)


def test_ranking_needs_labels_that_fit():
    with pytest.raises(ValueError, match="RankLabels chooses among labels, .* set CLASS_LABELS"):
        decoders.RankLabels().bind(VOCABULARY, None, 5)
    with pytest.raises(ValueError, match="'maybe' has 6 tokens .* gives targets 5"):
        decoders.RankLabels().bind(VOCABULARY, ["maybe"], 5)


def test_arguments_are_checked_before_anything_else():
    with pytest.raises(ValueError, match="temperature must be above 0"):
        decoders.Sample(temperature=0.0)
    with pytest.raises(ValueError, match="BeamSearch.num_beams must be at least 1"):
        decoders.BeamSearch(num_beams=0)


def test_sampling_differs_by_seed(model, params, examples):
    one, other = (
        predictions(model, params, examples, decoders.Sample(seed=seed), 4) for seed in (0, 1)
    )
    assert [row["prediction"] for row in one] != [row["prediction"] for row in other]
