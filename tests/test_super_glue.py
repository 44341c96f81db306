"""SuperGLUE end to end on files in its own layout: the whole mixture, single tasks, a submission."""

import json
import pathlib
import subprocess
import sys
import zipfile

import numpy as np
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.find_task import find_task
from prompt_tuning.evaluation import decoders
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import optimizers

REPOSITORY = pathlib.Path(__file__).parents[1]
FOLDER = REPOSITORY / "tests/fixtures/benchmarks/super_glue/official"
LENGTHS = {"inputs": 64, "targets": 8}
METHOD = soft_prompt.SoftPrompt(4, initializers.Uniform())


@pytest.fixture(scope="module")
def base(model_folder):
    return weights.load_model(model_folder)


def find(name):
    return find_task(name, data_dir=FOLDER)


@pytest.fixture(scope="module")
def mixture_run(base, tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    task = find("super_glue_v102_proportional")
    result = train.train(
        base,
        METHOD,
        task,
        model_dir=folder,
        train_steps=4,
        task_feature_lengths=LENGTHS,
        batch_size=8,
        optimizer=optimizers.adamw(0.5),
        eval_period=4,
        log_period=1,
    )
    return folder, result


def test_the_whole_mixture_trains_and_every_task_is_scored(mixture_run):
    folder, result = mixture_run
    assert result.step == 4 and np.isfinite(result.best.score)
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]
    names = {name for line in lines for name in line}
    for score in (
        "boolq_v102/accuracy",
        "cb_v102/macro_f1",
        "copa_v102/illegal_rate",
        "multirc_v102/multirc_f1a",
        "record_v102/record_em",
        "rte_v102/accuracy",
        "wic_v102/accuracy",
        "wsc_v102_simple_eval/wsc",
    ):
        assert f"eval/super_glue_{score}" in names
    assert "eval/super_glue" in names  # the benchmark's average, which tells what was best


def test_a_prompt_of_the_mixture_on_one_task(base, mixture_run, tmp_path):
    folder, _ = mixture_run
    scores = evaluation.evaluate(
        base,
        METHOD,
        find("super_glue_multirc_v102"),
        prompt_file=folder,
        output_dir=tmp_path,
        task_feature_lengths=LENGTHS,
        batch_size=8,
        decoder=decoders.RankLabels(),
    )
    assert scores["illegal_rate"] == 0
    assert json.loads((tmp_path / "metrics.json").read_text()) == scores
    rows = [json.loads(line) for line in (tmp_path / "predictions.jsonl").open()]
    assert all(row["prediction"] in ("True", "False") for row in rows)
    for row in rows:
        assert row["score"] == max(row["label_scores"].values())


def test_unlabelled_rows_are_predicted_and_not_scored(base, mixture_run, tmp_path):
    folder, _ = mixture_run
    scores = evaluation.evaluate(
        base,
        METHOD,
        find("super_glue_rte_v102"),
        prompt_file=folder,
        output_dir=tmp_path,
        split="test",
        task_feature_lengths=LENGTHS,
        batch_size=8,
    )
    assert scores == {}
    assert len((tmp_path / "predictions.jsonl").read_text().splitlines()) > 0


def test_a_submission_has_every_file(base, mixture_run, model_folder, tmp_path):
    """From prompts in each form that evaluation takes."""
    prompt, both, out = tmp_path / "prompt.npy", tmp_path / "both", tmp_path / "submission"
    both.mkdir()
    rng = np.random.default_rng(0)
    for path, length in (
        (prompt, 4),
        (both / files.file_name("encoder"), 3),
        (both / files.file_name("decoder"), 2),
    ):
        files.write_prompt(path, rng.normal(size=(length, 16)).astype(np.float32))
    prompts = dict.fromkeys(("boolq", "cb", "copa", "multirc", "record", "rte", "wic"), both)
    prompts |= {"record": mixture_run[0], "rte": both / files.file_name("decoder"), "wsc": prompt}
    command = [
        *(sys.executable, str(REPOSITORY / "scripts/superglue_submission.py")),
        *("--model", str(model_folder), "--data_dir", str(FOLDER), "--out", str(out)),
        *("--inputs_length", "48", "--targets_length", "6", "--batch_size", "4"),
        *(f"--prompt={task}={path}" for task, path in prompts.items()),
    ]
    subprocess.run(command, check=True, cwd=REPOSITORY)
    with zipfile.ZipFile(out / "submission.zip") as archive:
        names = archive.namelist()
        assert len(names) == 10
        for name in names:
            assert archive.read(name) == (out / name).read_bytes()
            rows = [json.loads(line) for line in (out / name).open()]
            assert rows and all("idx" in row for row in rows)
    for name in ("BoolQ", "CB", "COPA", "MultiRC", "RTE", "WiC", "WSC"):
        expected = [json.loads(line)["idx"] for line in (FOLDER / name / "test.jsonl").open()]
        written = (out / f"{name}.jsonl").open()
        assert [json.loads(line)["idx"] for line in written] == expected

    command[command.index(f"--prompt=wsc={prompt}")] = f"--prompt=wsc={tmp_path}/nowhere.npy"
    command[command.index(str(out))] = str(tmp_path / "other")
    failed = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True)
    assert failed.returncode == 2 and "there is no" in failed.stderr
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize(
    ("name", "changed", "expected"),
    [
        ("super_glue_rte_v102", {"train_split": "dev"}, "no split 'dev', only train, validation"),
        ("super_glue_axb_v102", {}, "no split 'train', only test"),
        ("super_glue_rte_v102", {"eval_split": "test"}, "metric is 'accuracy'"),
    ],
)
def test_bad_splits_end_the_run_before_anything_is_written(base, tmp_path, name, changed, expected):
    options = dict(model_dir=tmp_path / "run", train_steps=1, task_feature_lengths=LENGTHS)
    with pytest.raises(ValueError, match=expected):
        train.train(base, METHOD, find(name), **(options | changed))
    assert not (tmp_path / "run").exists()


def test_a_folder_without_the_files_says_what_it_looked_for(base, tmp_path):
    task = find_task("super_glue_rte_v102", data_dir=tmp_path)
    with pytest.raises(DataError, match="neither the benchmark's own file RTE/train.jsonl nor"):
        train.train(
            base,
            METHOD,
            task,
            model_dir=tmp_path / "run",
            train_steps=1,
            task_feature_lengths=LENGTHS,
        )
    assert not (tmp_path / "run").exists()
