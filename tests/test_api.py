"""The ten lines of the README, on a tiny model."""

import pathlib
import subprocess
import sys

import jax
import numpy as np
import pytest

import prompt_tuning as pt
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers


@pytest.fixture(scope="module")
def task(data_files):
    return pt.FilesTask("colours", data_files, labels=("animal", "colour"), id_column="id")


REPOSITORY = pathlib.Path(__file__).parents[1]
LENGTHS = {"inputs": 16, "targets": 4}


def test_from_a_model_to_predictions(model_folder, task, tmp_path):
    model = pt.load_model(model_folder)
    run = pt.train_prompt(
        model,
        task,
        model_dir=tmp_path,
        steps=2,
        length=4,
        task_feature_lengths=LENGTHS,
        batch_size=8,
    )
    prompt = pt.read_prompt(tmp_path)
    assert prompt.shape == (4, 16)
    np.testing.assert_array_equal(prompt, pt.read_prompt(tmp_path / "best"))
    scores = pt.score(
        model, prompt, task, split="validation", task_feature_lengths=LENGTHS, batch_size=8
    )
    assert scores["accuracy"] == run.best.score
    texts = ["red", "a dog", ""]
    found = pt.predict(model, prompt, texts, task_feature_lengths=LENGTHS)
    assert len(found) == 3
    assert pt.predict(model, prompt, ["a dog"], task_feature_lengths=LENGTHS) == [found[1]]
    without = pt.predict(model, None, texts, task_feature_lengths=LENGTHS)
    assert len(without) == 3 and without != found


def test_the_prompt_starts_from_the_labels(model_folder, task):
    from prompt_tuning import api

    model = pt.load_model(model_folder)
    initializer = api._initializer(model, task, 4)
    assert tuple(initializer.labels) == ("animal", "colour")
    assert initializer.fallback.first == model.vocabulary.vocab_size
    assert not hasattr(api._initializer(model, task, 1), "labels")


def test_a_prompt_of_another_model(model_folder):
    with pytest.raises(ValueError, match="width 12, this one's is 16"):
        pt.predict(pt.load_model(model_folder), np.zeros((3, 12), np.float32), ["x"])


@pytest.mark.parametrize("options", [{"location": "end"}, {"decoder_length": 1}])
def test_a_prompt_that_stands_elsewhere_is_refused(model_folder, tmp_path, options):
    model = pt.load_model(model_folder)
    method = soft_prompt.SoftPrompt(2, initializers.Uniform(), **options)
    method.write(model, method.initial(model, jax.random.key(0)), tmp_path, method.identity)
    with pytest.raises(ValueError, match="in front of the encoder's text.*prompt_tuning.eval"):
        pt.read_prompt(tmp_path)


def test_no_texts_have_no_predictions(model_folder):
    assert pt.predict(pt.load_model(model_folder), None, []) == []


WRONG = """
import sys
import prompt_tuning as pt
model, files = pt.load_model(sys.argv[1]), {"train": "train.csv"}
for call in (
    lambda: pt.predict(model, None, "a text"),
    lambda: pt.predict(model, None, ["a text", None]),
    lambda: pt.predict(model, "runs/x", ["a text"]),
    lambda: pt.FilesTask("mine", "train.csv"),
    lambda: pt.FilesTask("mine", files, labels="yes"),
    lambda: pt.FilesTask("mine", files, labels=[0, 1]),
):
    try:
        call()
    except ValueError as error:
        print(error)
"""


def test_arguments_of_another_type_are_refused_by_name(model_folder):
    """As users find it: in tests, jaxtyping would tell before."""
    command = [sys.executable, "-c", WRONG, str(model_folder)]
    done = subprocess.run(command, capture_output=True, text=True, cwd=REPOSITORY)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "texts must be a list of texts, found 'a text'.",
        "texts must be a list of texts, found ['a text', None].",
        "prompt must be an array [P, D], found 'runs/x': read_prompt gives that of a file or run.",
        "task mine: files (DATA_FILES) must be a mapping from splits to paths, found 'train.csv'",
        "task mine: labels (CLASS_LABELS) must be a list of texts, or a mapping to texts, found 'yes'",
        "task mine: labels (CLASS_LABELS) must be a list of texts, or a mapping to texts, found [0, 1]",
    ]


def test_a_batch_that_does_not_divide_is_named(model_folder, task):
    with pytest.raises(ValueError, match="BATCH_SIZE must be a multiple of 8 .*found 3"):
        pt.score(pt.load_model(model_folder), None, task, batch_size=3)


def test_shipped_tasks_are_at_hand():
    assert pt.shipped_task("spam").label_texts == ("ham", "spam")


def test_importing_the_package_is_cheap():
    code = "import sys, prompt_tuning; assert 'jax' not in sys.modules; prompt_tuning.nothing"
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert "AttributeError: module 'prompt_tuning' has no attribute 'nothing'" in found.stderr
