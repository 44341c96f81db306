"""Prompt design: rows that are text give what the text gives, and nothing is trained."""

import dataclasses
import json

import gin
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import infer
from prompt_tuning import train
from prompt_tuning.checkpoints import weights
from prompt_tuning.cli import checking
from prompt_tuning.cli import reading
from prompt_tuning.data import files
from prompt_tuning.data import tasks
from prompt_tuning.methods import learned
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import prompt_design
from prompt_tuning.planning import programs
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import parameters
from tests import models

LENGTHS = {"inputs": 16, "targets": 4}
TEXTS = ["red", "a cat is", "blue dog", ""]


@pytest.fixture(scope="module")
def task(data_files):
    return files.FilesTask("words", data_files, labels=("animal", "colour"), id_column="id")


@pytest.fixture(scope="module")
def bytes_model():
    return models.tiny_model()


@pytest.fixture(scope="module")
def pieces_model(model_folder):
    return weights.load_model(model_folder)


def rows(tokens, length=128):
    """Padded to one length, so that programs are compiled once."""
    return jnp.array([[*row, *[0] * (length - len(row))] for row in tokens], jnp.int32)


def logits(base, method, inputs):
    """Of the network and parameters that are served."""
    adapted = learned.adapt(base, method, None)
    decoded = jnp.tile(jnp.array([[0, 9, 4, 7]]), (len(inputs), 1))

    @jax.jit
    def compute(params, inputs):
        params = {"params": parameters.unflatten(params)}
        return adapted.network.apply(params, inputs, decoded, enable_dropout=False)

    return np.asarray(compute(adapted.params, inputs))


def plain_logits(base, inputs):
    return logits(base, methods.Method(), inputs)


def check_written(base, method, write):
    """What the method adds to TEXTS gives what `write(text)`, written by hand, gives."""
    encode = base.vocabulary.encode
    given = [[*encode(text), 1] for text in TEXTS]
    found = logits(base, method, rows(given))
    expected = plain_logits(base, rows([[*encode(write(text)), 1] for text in TEXTS]))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)
    assert np.abs(found - plain_logits(base, rows(given))).max() > 1e-2


@pytest.mark.parametrize("model", ["bytes_model", "pieces_model"])
@pytest.mark.parametrize(
    ("settings", "written"),
    [
        (dict(pattern="is it a colour? {inputs} answer:"), "is it a colour? {} answer:"),
        (dict(pattern="is it? {inputs}"), "is it? {}"),
        (dict(pattern="{inputs} answer:"), "{} answer:"),
        (dict(pattern="{inputs} ?", description="so or so"), "so or so {} ?"),
    ],
)
def test_it_is_text_around_the_input(request, model, settings, written):
    base = request.getfixturevalue(model)
    check_written(base, prompt_design.PromptDesign(**settings), written.format)


def test_other_braces_are_text(bytes_model):
    design = prompt_design.PromptDesign('{"q": "{inputs}"}')
    check_written(bytes_model, design, '{{"q": "{}"}}'.format)


@pytest.mark.parametrize("model", ["bytes_model", "pieces_model"])
def test_examples_stand_in_front_in_the_form_of_the_input(request, model, task):
    """Rows of the training split that were drawn, each with its answer."""
    base = request.getfixturevalue(model)
    settings = dict(pattern="q: {inputs} a:", description="which?", examples=3, task=task)
    method = prompt_design.PromptDesign(**settings, seed=1)
    drawn = task.load("train", base.vocabulary, 99, 99).sample(3, seed=1)
    shown = [f"q: {row['inputs']} a: {row['targets']} " for row in drawn.fields]
    assert len(set(shown)) == 3 and all("animal" in x or "colour" in x for x in shown)
    check_written(base, method, lambda text: f"which? {''.join(shown)}q: {text} a:")
    others = prompt_design.PromptDesign(**settings, seed=2)
    assert others.tokens(base.vocabulary) != method.tokens(base.vocabulary)


def test_decoding_is_that_of_the_text(bytes_model):
    method = prompt_design.PromptDesign("is it? {inputs} answer:")
    adapted = learned.adapt(bytes_model, method, None)
    encode = bytes_model.vocabulary.encode

    def decoded(network, params, tokens):
        greedy = jax.jit(lambda params, x: decoding.greedy(network, params, x, 4, eos_id=-1))
        return greedy(parameters.unflatten(params), rows(tokens))

    given = [[*encode(text), 1] for text in TEXTS]
    written = [[*encode(f"is it? {text} answer:"), 1] for text in TEXTS]
    found = decoded(adapted.network, adapted.params, given)
    plain = decoded(methods.Method().network(bytes_model), bytes_model.params, written)
    np.testing.assert_array_equal(found.tokens, plain.tokens)
    np.testing.assert_allclose(found.log_probs, plain.log_probs, rtol=1e-4)


def test_padding_changes_nothing(bytes_model):
    method = prompt_design.PromptDesign("is it? {inputs} answer:")
    tokens = [[9, 8, 1], [7, 1]]
    found, expected = (logits(bytes_model, method, rows(tokens, x)) for x in (5, 3))
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


def test_it_trains_nothing(bytes_model, task, tmp_path):
    method = prompt_design.PromptDesign("is it? {inputs}")
    shapes = programs.added_shapes(method, models.paper_model("xl"))
    assert {x.shape for x in shapes.values()} == {(7, 2048)}
    assert method.trainable == () and method.slots is None
    with pytest.raises(
        ValueError, match="PromptDesign trains nothing: evaluate it .*prompt_tuning.e"
    ):
        train.train(
            bytes_model,
            method,
            task,
            model_dir=tmp_path,
            train_steps=1,
            task_feature_lengths={"inputs": 24, "targets": 8},
            batch_size=8,
            eval_period=None,
        )


def test_it_is_evaluated_and_predicts_without_a_prompt_file(pieces_model, task, tmp_path):
    method = prompt_design.PromptDesign("{inputs} is a", examples=2, task=task)
    options = dict(task_feature_lengths=LENGTHS, batch_size=8)
    scores = evaluation.evaluate(pieces_model, method, task, output_dir=tmp_path, **options)
    assert "accuracy" in scores
    (tmp_path / "inputs.txt").write_text("red 1\ncat 2\n")
    file, output = str(tmp_path / "inputs.txt"), str(tmp_path / "out.jsonl")
    infer.infer(pieces_model, method, input_file=file, output_file=output, **options)
    predictions = [json.loads(line) for line in open(output)]
    assert [row["inputs"] for row in predictions] == ["red 1", "cat 2"]


def made(entry_point, *bindings):
    """The method that gin makes; nothing else is looked at."""
    known = [("INITIAL_CHECKPOINT_PATH", '"m"'), ("TASK_FEATURE_LENGTHS", repr(LENGTHS))]
    sources = reading.read(["methods/prompt_design.gin"], [], [*known, *bindings])
    checking.check(entry_point, sources)
    return gin.get_configurable(entry_point)()["method"]


def test_gin():
    """Without examples it asks for no task, and with them for one."""
    pattern = ("PromptDesign.pattern", '"{inputs} answer:"')
    assert made("infer", pattern) == prompt_design.PromptDesign("{inputs} answer:")
    examples = [("PromptDesign.examples", "2"), ("PromptDesign.task", "%TASK")]
    found = made("infer", *examples, ("MIXTURE_OR_TASK_NAME", '"spam"'))
    assert (found.examples, found.task.name) == (2, "spam")
    with pytest.raises(reading.ConfigError, match="MIXTURE_OR_TASK_NAME is not set"):
        made("infer", *examples)


def test_the_task_is_read_once(task, bytes_model):
    reads = []

    class Counted(files.FilesTask):
        def read(self, split, *arguments):
            reads.append(split)
            return super().read(split, *arguments)

    counted = Counted(task.name, {"shots": task.files["train"]}, id_column="id")
    method = prompt_design.PromptDesign(examples=2, task=counted, split="shots")
    method.network(bytes_model)
    method.initial(bytes_model, jax.random.key(0))
    assert reads == ["shots"]


def test_too_many_examples(task, bytes_model):
    method = prompt_design.PromptDesign(examples=41, task=task)
    with pytest.raises(
        ValueError, match="examples is 41, but task words has 40 in its split train"
    ):
        method.network(bytes_model)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(pattern="answer:"), "pattern must be text around one {inputs}.*found 'answer:'"),
        (dict(pattern="inputs"), "pattern must be text around one {inputs}.*found 'inputs'"),
        (dict(pattern="{inputs} {inputs}"), "pattern must be text around one {inputs}"),
        (dict(pattern="{premise} {inputs}"), "pattern must be text around one {inputs}"),
        (dict(pattern=" {inputs} "), "adds nothing to the input: set PromptDesign.pattern"),
        (dict(examples=-1), "examples must be at least 0, found -1"),
        (dict(examples=2), "examples is 2, for which PromptDesign.task must be .*found none"),
        (dict(examples=2, task=tasks.TextTask("t", {})), "found t, which has no target texts"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(prompt_design.PromptDesign("{inputs} a:"), **change)
