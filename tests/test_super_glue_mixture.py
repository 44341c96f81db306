"""The whole SuperGLUE mixtures end to end on TensorFlow Datasets' mock data: by name, through
training and evaluation, and as seqio gives them to T5X.
"""

import json

import pytest

seqio = pytest.importorskip("seqio", reason="needs the [seqio] extra")
pytest.importorskip("tensorflow_datasets", reason="needs the [seqio] extra")

import numpy as np

from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.find_task import find_task
from prompt_tuning.data.metrics.super_glue import SUPER_GLUE_SCORES
from prompt_tuning.data.seqio_tasks import benchmarks
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.training import optimizers
from tests.data.conftest import own_temporary_folder  # noqa: F401 (a fixture)
from tests.data.tfds_fixtures import mocked_tfds

MIXTURES = [
    "super_glue_v102_proportional",
    "task_index_super_glue_with_dpr_v102_examples_proportional",
]
EXAMPLES = 5  # rows of every split
LENGTHS = {"inputs": 64, "targets": 8}
METHOD = soft_prompt.SoftPrompt(4, initializers.Uniform())


@pytest.fixture(scope="module", params=MIXTURES)
def run(request, model_folder, tmp_path_factory):
    """(mixture, what training wrote, what an evaluation of it wrote, its scores)."""
    base, task = weights.load_model(model_folder), find_task(request.param)
    trained, evaluated = (tmp_path_factory.mktemp(name) for name in ("run", "evaluation"))
    options = dict(task_feature_lengths=LENGTHS, batch_size=8)
    with mocked_tfds(EXAMPLES):
        train.train(
            base,
            METHOD,
            task,
            model_dir=trained,
            train_steps=3,
            optimizer=optimizers.adamw(0.5),
            eval_period=3,
            log_period=1,
            **options,
        )
        scores = evaluation.evaluate(
            base, METHOD, task, prompt_file=trained, output_dir=evaluated, **options
        )
    return task, trained, evaluated, scores


def evaluated_members(task):
    return {name: member for name, member in task.tasks.items() if "validation" in member.splits}


def test_every_member_and_the_average_are_scored(run):
    task, trained, _, scores = run
    members = evaluated_members(task)
    assert len(members) == len(SUPER_GLUE_SCORES) and np.isfinite(list(scores.values())).all()
    averaged = []
    for short, metrics in SUPER_GLUE_SCORES.items():
        (name,) = (name for name in members if f"super_glue_{short}_" in name)
        averaged.append(np.mean([scores[f"{name}/{metric}"] for metric in metrics]))
    assert scores["super_glue"] == pytest.approx(np.mean(averaged))

    lines = [json.loads(line) for line in (trained / "scalars.jsonl").read_text().splitlines()]
    logged = {name: value for line in lines for name, value in line.items()}
    assert {name: logged[f"eval/{name}"] for name in scores} == pytest.approx(scores)
    losses = [line["train/loss"] for line in lines if "train/loss" in line]
    assert len(losses) == 3 and np.isfinite(losses).all()


def test_every_dev_row_is_predicted_once(run):
    task, _, folder, _ = run
    members = evaluated_members(task)
    written = {path.name for path in folder.glob("predictions-*.jsonl")}
    assert written == {f"predictions-{name}.jsonl" for name in members}
    with mocked_tfds(EXAMPLES):
        for name, member in members.items():
            rows = [fields for examples in member.examples("validation") for fields in examples]
            predictions = map(json.loads, (folder / f"predictions-{name}.jsonl").open())
            assert [row["id"] for row in predictions] == [fields["id"] for fields in rows]
            assert len(rows) == EXAMPLES


@pytest.fixture
def registered(model_folder):
    """(a mixture's name in seqio's registry while the test runs, its vocabulary)."""
    name, vocabulary = MIXTURES[0], weights.load_model(model_folder).vocabulary
    benchmarks.register(name, vocabulary)
    yield name, vocabulary
    for member in find_task(name).tasks:
        seqio.TaskRegistry.remove(member)
    seqio.MixtureRegistry.remove(name)


def test_seqio_gives_training_batches_of_the_mixture(registered):
    name, vocabulary = registered
    with mocked_tfds(EXAMPLES):
        dataset = seqio.get_dataset(
            name,
            LENGTHS,
            dataset_split="train",
            feature_converter=seqio.EncDecFeatureConverter(pack=False),
            shuffle=False,
            num_epochs=None,
        )
        batches = list(dataset.batch(16).take(4).as_numpy_iterator())
        trained_on = [task for task in find_task(name).tasks.values() if "train" in task.splits]
        examples = [task.load("train", vocabulary, *LENGTHS.values()) for task in trained_on]
    assert batches[0]["decoder_target_tokens"].shape == (16, LENGTHS["targets"])
    theirs = {tuple(row) for batch in batches for row in batch["encoder_input_tokens"].tolist()}
    ours = [part.inputs[i].tolist() for part in examples for i in range(len(part))]
    assert theirs <= {(*row, *[0] * (LENGTHS["inputs"] - len(row))) for row in ours}
    assert len(theirs) > EXAMPLES  # of several members
