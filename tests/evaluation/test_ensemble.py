"""Several prompts in one batch give what each gives alone, and their answers become one."""

import jax
import numpy as np
import pytest

from prompt_tuning.data import examples as data
from prompt_tuning.data.files import FilesTask
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import ensemble
from prompt_tuning.evaluation import evaluator
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from tests import models

LABELS = ("yes", "no", "why")
METHOD = soft_prompt.SoftPrompt(3, initializers.Uniform(-9.0, 9.0), decoder_length=2)
SHAPE = 6, 10, 5  # B, T, L
DECODERS = [decoders.Greedy(), decoders.BeamSearch(num_beams=2), decoders.RankLabels()]
SAMPLED = decoders.Sample(temperature=0.5)


@pytest.fixture(scope="module")
def base():
    return models.tiny_model(d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1)


@pytest.fixture(scope="module")
def prompts(base):
    return [METHOD.initial(base, jax.random.key(seed)) for seed in range(3)]


@pytest.fixture(scope="module")
def bank(prompts):
    return {name: np.stack([prompt[name] for prompt in prompts]) for name in METHOD.trainable}


@pytest.fixture(scope="module")
def examples(base):
    fields = [{"inputs": f"text {i}"[i % 4 :], "targets": "no"} for i in range(7)]
    return data.examples_from_text(list("abcdefg"), fields, base.vocabulary, *SHAPE[1:])


def predictor(base, network, decoder):
    return predict.Predictor(network, base.vocabulary, *SHAPE, decoder=decoder, labels=LABELS)


def separate(base, prompts, examples, decoder):
    """What each prompt predicts in a run of its own."""
    alone = predictor(base, METHOD.network(base), decoder)
    return [list(alone({**base.params, **prompt}, examples)) for prompt in prompts]


@pytest.mark.parametrize("decoder", DECODERS, ids=lambda decoder: type(decoder).__name__)
def test_each_row_with_its_own_prompt(base, prompts, bank, examples, decoder):
    expected = separate(base, prompts, examples, decoder)
    scores = [[row["score"] for row in rows] for rows in expected]
    assert not np.allclose(scores[0], scores[1], rtol=1e-2)
    which = [2, 0, 1, 1, 0, 2, 1]
    by_row = predictor(base, METHOD.per_row(base, SHAPE[0]), decoder)
    found = list(by_row(base.params, examples, bank, which))
    for i, row in enumerate(found):
        other = expected[which[i]][i]
        assert (row["id"], row["prediction"]) == (other["id"], other["prediction"])
        np.testing.assert_allclose(row["score"], other["score"], rtol=1e-4)


@pytest.mark.parametrize(
    ("combine", "decoder"),
    [
        (ensemble.mean_log_probability, decoders.RankLabels()),
        (ensemble.majority_vote, decoders.RankLabels()),
        (ensemble.majority_vote, SAMPLED),
    ],
    ids=["mean-ranked", "vote-ranked", "vote-sampled"],
)
def test_an_ensemble_in_one_pass_is_that_of_separate_runs(
    base, prompts, bank, examples, combine, decoder
):
    by_row = predictor(base, METHOD.per_row(base, SHAPE[0]), decoder)
    together = ensemble.EnsemblePredictor(by_row, ensemble.Members(bank, combine))
    found = list(together(base.params, examples))
    assert [row["id"] for row in found] == examples.ids
    for row, answers in zip(found, zip(*separate(base, prompts, examples, decoder))):
        assert row["members"] == [answer["prediction"] for answer in answers]
        expected = combine(answers)
        assert row["prediction"] == expected["prediction"]
        np.testing.assert_allclose(row["score"], expected["score"], rtol=1e-4)


def answer(prediction, score, **label_scores):
    return {"prediction": prediction, "score": score, "label_scores": label_scores}


def test_votes_count_before_probability():
    members = [answer("a", -9.0), answer("a", -8.0), answer("b", -0.1)]
    assert ensemble.majority_vote(members) == {"prediction": "a", "score": -8.5}


def test_probability_decides_between_equal_votes():
    assert ensemble.majority_vote([answer("a", -2.0), answer("b", -1.0)])["prediction"] == "b"


def test_mean_log_probability_is_a_mean_over_prompts():
    members = [answer("a", -1.0, a=-1.0, b=-2.0), answer("b", -1.0, a=-5.0, b=-1.0)]
    found = ensemble.mean_log_probability(members)
    assert (found["prediction"], found["score"]) == ("b", -1.5)
    assert found["label_scores"] == {"a": -3.0, "b": -1.5}


def test_mean_log_probability_needs_ranked_labels():
    with pytest.raises(
        ValueError, match="task t is decoded by Greedy.*: set DECODER = @RankLabels"
    ):
        ensemble.check_decoder(ensemble.mean_log_probability, "t", decoders.Greedy())
    ensemble.check_decoder(ensemble.mean_log_probability, "t", decoders.RankLabels())
    ensemble.check_decoder(ensemble.majority_vote, "t", decoders.Greedy())


def test_mean_log_probability_needs_a_task_with_labels(base, bank, data_files):
    task = FilesTask("free_text", data_files)
    options = evaluator.Options("validation", *SHAPE[1:], SHAPE[0], decoder=decoders.RankLabels())
    members = ensemble.Members(bank, ensemble.mean_log_probability)
    with pytest.raises(ValueError, match="task free_text is decoded by Greedy"):
        evaluator.Evaluator(METHOD.per_row(base, SHAPE[0]), base, task, options, members)
