"""`train` from plain Python: what it writes, what it says of bad data, and that it starts again."""

import dataclasses
import json
import pathlib
import shutil

import numpy as np
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.training import optimizers

LENGTHS = {"inputs": 16, "targets": 4}


@pytest.fixture(scope="module")
def base(model_folder):
    return weights.load_model(model_folder)


@pytest.fixture(scope="module")
def task(data_files):
    return FilesTask("colours", data_files, labels=("animal", "colour"), id_column="id")


def run(base, task, model_dir, **options):
    options = (
        dict(
            model_dir=model_dir,
            train_steps=6,
            task_feature_lengths=LENGTHS,
            batch_size=8,
            optimizer=optimizers.adamw(0.5),
            eval_period=3,
            save_period=3,
            log_period=1,
        )
        | options
    )
    return train.train(base, soft_prompt.SoftPrompt(4, initializers.Uniform()), task, **options)


@pytest.fixture(scope="module")
def finished(base, task, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return folder, run(base, task, folder)


def scalars(folder):
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]
    return {(line["step"], name): value for line in lines for name, value in line.items()}


def test_what_a_run_leaves(finished):
    folder, result = finished
    assert result.step == 6
    written = np.load(folder / "numpy_checkpoints/checkpoint_6/encoder.prompt.prompt.prompt")
    np.testing.assert_array_equal(written, result.trained["encoder/prompt/prompt/prompt"])
    logged = scalars(folder)
    assert logged[6, "train/loss"] < logged[1, "train/loss"]
    for name in ("eval/accuracy", "eval/illegal_rate", "eval/prompt/row_norm_mean/encoder"):
        assert (3, name) in logged and (6, name) in logged
    assert (1, "prompt/update_ratio") in logged


def test_a_metric_that_will_not_come_ends_the_run_before_it_begins(base, task, tmp_path):
    with pytest.raises(ValueError, match="metric is 'f1', but the evaluation gave .*accuracy"):
        run(base, task, tmp_path / "run", metric="f1")
    assert not (tmp_path / "run").exists()


def test_evaluation_of_the_best_gives_the_runs_own_score(finished, base, task, tmp_path):
    folder, result = finished
    method = soft_prompt.SoftPrompt(4)
    scores = evaluation.evaluate(
        base,
        method,
        task,
        output_dir=tmp_path / "eval",
        task_feature_lengths=LENGTHS,
        prompt_file=folder,
        batch_size=8,
    )
    assert scores["accuracy"] == result.best.score
    assert json.loads((tmp_path / "eval/metrics.json").read_text()) == scores
    lines = (tmp_path / "eval/predictions.jsonl").read_text().splitlines()
    rows = [json.loads(line) for line in lines]
    assert [row["id"] for row in rows] == [f"validation{i}" for i in range(12)]
    assert set(rows[0]) == {"id", "inputs", "targets", "prediction", "score"}


def test_an_evaluation_does_not_write_into_a_run(finished, base, task):
    folder, _ = finished
    with pytest.raises(ValueError, match="EVAL_OUTPUT_DIR .* is the MODEL_DIR of a run"):
        evaluation.evaluate(
            base,
            soft_prompt.SoftPrompt(4),
            task,
            output_dir=folder,
            task_feature_lengths=LENGTHS,
            prompt_file=folder,
        )


def test_no_examples_cannot_be_evaluated(base, task, tmp_path):
    with pytest.raises(ValueError, match="evaluate.max_examples must be at least 1, found 0"):
        evaluation.evaluate(
            base,
            soft_prompt.SoftPrompt(4),
            task,
            output_dir=tmp_path / "eval",
            task_feature_lengths=LENGTHS,
            max_examples=0,
        )
    assert not (tmp_path / "eval").exists()


def test_another_part_goes_on_where_the_first_stopped(finished, base, task, tmp_path):
    _, whole = finished
    run(base, task, tmp_path, train_steps=3)
    result = run(base, task, tmp_path)
    for name, value in whole.trained.items():
        np.testing.assert_array_equal(result.trained[name], value)
    assert model_dirs.find_learned(tmp_path).name == "best"


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({"task": "other"}, "holds another run: it had {'task': 'colours'}, .*'other'"),
        ({"length": 5}, r"\[4, 16\].* this one has .*\[5, 16\].* Give another MODEL_DIR"),
        ({"seed_of_base": 1}, "holds another run: it had {'model':"),
        ({"seed": 1}, "holds another run: it had {'seed': 0}, this one has {'seed': 1}"),
        ({"batch_size": 16}, "it had {'batch': 8}, this one has {'batch': 16}"),
    ],
)
def test_another_run_does_not_go_on(finished, base, task, changed, expected):
    folder, _ = finished
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    if name := changed.get("task"):
        task = dataclasses.replace(task, name=name)
    if seed := changed.get("seed_of_base"):
        base = dataclasses.replace(base, params=weights.random_params(base.config, seed))
    method = soft_prompt.SoftPrompt(changed.get("length", 4), initializers.Uniform())
    with pytest.raises(ValueError, match=expected):
        train.train(
            base,
            method,
            task,
            model_dir=folder,
            train_steps=9,
            task_feature_lengths=LENGTHS,
            batch_size=changed.get("batch_size", 8),
            seed=changed.get("seed", 0),
        )
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_run_does_not_go_on_with_other_data(finished, base, task, tmp_path):
    folder, _ = finished
    file = tmp_path / "train.tsv"
    text = pathlib.Path(task.files["train"]).read_text()
    file.write_text(text.replace("\tanimal", "\tother").replace("\tcolour", "\tanimal"))
    swapped = dataclasses.replace(
        task, files=dict(task.files, train=str(file)), labels=("animal", "colour", "other")
    )
    with pytest.raises(ValueError, match="holds another run: it had {'training examples': '"):
        run(base, swapped, folder)


def test_what_a_refused_run_opened_is_closed(finished, base, task, monkeypatch):
    closed = []
    close = runs.RunCheckpoints.close
    monkeypatch.setattr(runs.RunCheckpoints, "close", lambda x: (closed.append(x), close(x)))
    with pytest.raises(ValueError, match="holds another run"):
        run(base, task, finished[0], seed=1)
    assert len(closed) == 1


def test_what_was_learned_without_a_save_to_go_on_from_is_kept(finished, base, task, tmp_path):
    shutil.copytree(finished[0], tmp_path / "run")
    shutil.rmtree(tmp_path / "run" / "checkpoints")
    best = tmp_path / "run" / "best" / "prompt.safetensors"
    before = best.read_bytes()
    with pytest.raises(ValueError, match="what a run learned, but .*checkpoints has no save of it"):
        run(base, task, tmp_path / "run")
    assert best.read_bytes() == before


def test_a_finished_run_says_so(finished, base, task, capsys):
    folder, result = finished
    assert run(base, task, folder, train_steps=2).step == result.step == 6
    assert "is at step 6 of 2: there is no step left" in capsys.readouterr().out


@pytest.mark.parametrize(
    "name",
    [
        *("log_period", "save_period", "eval_period", "accumulate", "keep", "patience"),
        "max_eval_examples",
    ],
)
def test_zero_is_refused_by_name(base, task, tmp_path, name):
    with pytest.raises(ValueError, match=f"train.{name} must be at least 1, found 0"):
        run(base, task, tmp_path / "run", **{name: 0})


def test_a_negative_seed_is_refused(base, task, tmp_path):
    with pytest.raises(ValueError, match="train.seed must be at least 0, found -1"):
        run(base, task, tmp_path / "run", seed=-1)


def test_training_without_evaluation(base, task, tmp_path):
    only_train = FilesTask("colours", {"train": task.files["train"]}, id_column="id")
    run(base, only_train, tmp_path, train_steps=1, eval_period=None)
    assert (
        model_dirs.find_learned(tmp_path) == tmp_path / "best"
    )  # the last one, for want of scores


@pytest.mark.parametrize(
    "change, error, message",
    [
        (dict(train_split="trian"), DataError, "no split 'trian'.*nearest: 'train'"),
        (dict(eval_split="dev"), DataError, "no split 'dev'"),
        (dict(batch_size=12), ValueError, "BATCH_SIZE must be a multiple of 8 .*found 12"),
        (dict(accumulate=2), ValueError, "BATCH_SIZE must be a multiple of 16"),
        (dict(task_feature_lengths={"inputs": 8}), ValueError, "TASK_FEATURE_LENGTHS must be"),
        (
            dict(task_feature_lengths={"inputs": 8, "targets": 0}),
            ValueError,
            "TASK_FEATURE_LENGTHS",
        ),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(
    base, task, tmp_path, change, error, message
):
    with pytest.raises(error, match=message):
        run(base, task, tmp_path / "run", **change)
    assert not (tmp_path / "run").exists()


def test_missing_data_is_named(base, task, tmp_path):
    files = dict(task.files, train=str(tmp_path / "absent.tsv"))
    with pytest.raises(
        DataError, match="task colours: no data file .*absent.tsv: check DATA_FILES"
    ):
        run(base, FilesTask("colours", files), tmp_path)
