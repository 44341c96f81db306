"""One evaluator for examples, text and mixtures; a part of a split is always the same part."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import tasks
from prompt_tuning.data.batches import eval_batches
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.objectives import PrefixLM
from prompt_tuning.evaluation import evaluator
from prompt_tuning.evaluation import held_out
from prompt_tuning.methods import method
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.training import step

OPTIONS = evaluator.Options("validation", inputs_length=16, targets_length=6, batch_size=4)


@pytest.fixture(scope="module")
def base(model_folder):
    return weights.load_model(model_folder)


@pytest.fixture(scope="module")
def colours(data_files):
    return FilesTask("colours", data_files, labels=("animal", "colour"), id_column="id")


@pytest.fixture(scope="module")
def text(tmp_path_factory):
    path = tmp_path_factory.mktemp("text") / "text.txt"
    path.write_text("".join(f"a line of text, number {i}\n" for i in range(60)))
    return tasks.TextTask("text", {"validation": str(path)}, PrefixLM)


def make(base, task, **options):
    options = dataclasses.replace(OPTIONS, **options)
    return evaluator.Evaluator(method.Method().network(base), base, task, options)


def test_examples_are_predicted_and_scored(base, colours):
    (outcome,) = make(base, colours)(base.params).values()
    assert [row["id"] for row in outcome.predictions] == [f"validation{i}" for i in range(12)]
    examples = colours.load("validation", base.vocabulary, 16, 6)
    texts = [row["prediction"] for row in outcome.predictions]
    assert outcome.scores == colours.score(examples, texts, base.vocabulary)
    assert outcome.scores["illegal_rate"] == 100


def test_a_part_of_the_split_is_fixed_and_in_order(base, colours):
    found = [
        [row["id"] for row in make(base, colours, max_examples=5)(base.params)[""].predictions]
        for _ in range(2)
    ]
    order = [f"validation{i}" for i in range(12)]
    assert found[0] == found[1] == sorted(found[0], key=order.index)
    assert len(set(found[0])) == 5 and found[0] != order[:5]


def test_text_is_scored_by_its_loss(base, text):
    (outcome,) = make(base, text)(base.params).values()
    rows = text.rows("validation", base.vocabulary, 16, 6, shuffle=False)
    model = method.Method().network(base)
    sums = [
        step.batch_loss(model, base.params, jax.device_put(batch))
        for batch, _ in eval_batches(rows, 4, 16, 6)
    ]
    total = sum(float(s.cross_entropy) for s in sums) / sum(float(s.tokens) for s in sums)
    np.testing.assert_allclose(outcome.scores["loss_per_token"], total, rtol=1e-5)
    assert outcome.predictions == []


def test_part_of_a_text(base, text, monkeypatch):
    seen = []
    monkeypatch.setattr(
        held_out,
        "make_evaluate_loss",
        lambda *_: lambda params, batches: seen.append(sum(1 for _ in batches)) or {},
    )
    make(base, text, max_examples=9)(base.params)
    assert seen == [3]  # batches of four


def test_a_mixture_is_scored_by_its_parts(base, colours, text):
    mixture = tasks.MixtureTask("both", {"c": colours, "t": text}, {"c": 1, "t": 1})
    scores = evaluator.flat_scores(make(base, mixture)(base.params))
    alone = make(base, colours)(base.params)[""].scores
    assert {name: scores[f"c/{name}"] for name in alone} == alone
    assert "t/loss_per_token" in scores and mixture.metric == "c/accuracy"


def test_names_of_scores_are_known_beforehand(base, colours, text):
    mixture = tasks.MixtureTask("both", {"c": colours, "t": text}, {"c": 1, "t": 1})
    evaluation = make(base, mixture)
    assert evaluation.score_names == list(evaluator.flat_scores(evaluation(base.params)))


def test_parts_without_the_split_are_left_out(base, colours, text):
    mixture = tasks.MixtureTask("both", {"c": colours, "t": text}, {"c": 1, "t": 1})
    assert list(make(base, mixture, split="test")(base.params)) == ["c"]
    with pytest.raises(DataError, match="no task of mixture both has a split 'dev'"):
        make(base, mixture, split="dev")


def test_the_loop_gets_scores_and_diagnostics(base, colours):
    prompted = soft_prompt.SoftPrompt(3, initializers.Uniform())
    model = prompted.network(base)
    params = base.params | prompted.initial(base, jax.random.key(0))
    rows = colours.rows("train", base.vocabulary, 16, 6)
    batch = jax.device_put(next(iter(eval_batches(rows, 4, 16, 6)))[0])
    evaluation = evaluator.Evaluator(model, base, colours, OPTIONS)
    found = evaluator.with_diagnostics(evaluation, model, batch)(params, 0)
    assert {"accuracy", "illegal_rate", "prompt/row_norm_mean/vocabulary"} <= set(found)
    assert any(name.startswith("prompt/attention_mass/") for name in found)


def test_a_method_that_adds_nothing_has_no_diagnostics(base, colours):
    model = method.Method().network(base)
    evaluation = evaluator.Evaluator(model, base, colours, OPTIONS)
    found = evaluator.with_diagnostics(evaluation, model, {})(base.params, 0)
    assert not any(name.startswith("prompt/") for name in found)
