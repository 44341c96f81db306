"""The command lines as users type them, in this process and once in their own."""

import json
import os
import pathlib
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import infer
from prompt_tuning import train

REPOSITORY = pathlib.Path(__file__).parents[2]
PROMPT = "encoder.prompt.prompt.prompt"


@pytest.fixture
def command(monkeypatch, model_folder, data_files, tmp_path):
    """`command(main, *arguments)` runs an entry point on the tiny model and task."""
    task = tmp_path / "task.gin"
    task.write_text(
        'include "tasks/files.gin"\n'
        f"DATA_FILES = {data_files!r}\n"
        'MIXTURE_OR_TASK_NAME = "colours"\n'
        'CLASS_LABELS = ["animal", "colour"]\n'
        'ID_COLUMN = "id"\n'
        'TASK_FEATURE_LENGTHS = {"inputs": 16, "targets": 4}\n'
        "BATCH_SIZE = 8\n"
        "PROMPT_LENGTH = 4\n"
    )

    def run(main, *arguments):
        flags = [f"--gin_file={task}", f"--gin.INITIAL_CHECKPOINT_PATH={model_folder}"]
        monkeypatch.setattr(sys, "argv", ["program", *flags, *arguments])
        main()

    return run


def trained(folder, step=4):
    return np.load(folder / "numpy_checkpoints" / f"checkpoint_{step}" / PROMPT)


def test_train_replay_evaluate_infer(command, monkeypatch, tmp_path, capsys):
    run = tmp_path / "run"
    command(
        train.main,
        "--gin_file=prompts/from_class_labels.gin",
        f"--gin.MODEL_DIR={run}",
        "--gin.SampledVocab.first=4000",
        "--gin.TRAIN_STEPS=4",
        "--gin.EVAL_PERIOD=2",
    )

    # config.gin alone makes the same run again, and flags still change what it says.
    config = f"--gin_file={run / 'config.gin'}"
    monkeypatch.setattr(sys, "argv", ["program", config, f"--gin.MODEL_DIR={tmp_path / 'again'}"])
    train.main()
    np.testing.assert_array_equal(trained(tmp_path / "again"), trained(run))
    again = (tmp_path / "again" / "config.gin").read_text()
    assert again.replace(str(tmp_path / "again"), str(run)) == (run / "config.gin").read_text()

    output = tmp_path / "eval"
    monkeypatch.setattr(
        sys,
        "argv",
        [
            "program",
            config,
            f"--gin.PROMPT_FILE={run}",
            f"--gin.EVAL_OUTPUT_DIR={output}",
            "--gin.EVAL_SPLIT=test",
        ],
    )
    evaluation.main()
    assert "accuracy" in json.loads((output / "metrics.json").read_text())
    assert len((output / "predictions.jsonl").read_text().splitlines()) == 10

    inputs = tmp_path / "in.txt"
    inputs.write_text("red\ncat\n")
    capsys.readouterr()
    monkeypatch.setattr(
        sys, "argv", ["program", config, f"--gin.PROMPT_FILE={run}", f"--gin.INPUT_FILE={inputs}"]
    )
    infer.main()
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["inputs"] for line in lines] == ["red", "cat"]


def failing(command, main, *arguments):
    with pytest.raises(SystemExit) as caught:
        command(main, *arguments)
    return caught.value.code


def test_bad_configuration_ends_with_two_and_writes_nothing(command, capsys, tmp_path):
    code = failing(command, train.main, f"--gin.MODEL_DIR={tmp_path / 'run'}", "--gin.SEED='x'")
    message = capsys.readouterr().err
    assert code == 2
    assert message.startswith("Error: TRAIN_STEPS is not set")
    assert "\n  --gin.SEED: SEED (train.seed) must be a whole number, found 'x'." in message
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--gin.PROMPT_LENGTH=0"], "A soft prompt needs at least one row"),
        (["--gin.FilesTask.metrics=['acuracy']"], "no metric 'acuracy'"),
        (["--gin.CLASS_LABELS=[]"], "labels is empty"),
        (["--gin.TASK=@find_task()", "--gin.MIXTURE_OR_TASK_NAME=spma"], "'spam'"),
    ],
)
def test_values_that_parts_refuse_end_with_two(command, capsys, tmp_path, arguments, expected):
    code = failing(
        command, train.main, f"--gin.MODEL_DIR={tmp_path}", "--gin.TRAIN_STEPS=1", *arguments
    )
    assert code == 2 and expected in capsys.readouterr().err


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--gin.INITIAL_CHECKPOINT_PATH=nowhere", "INITIAL_CHECKPOINT_PATH 'nowhere'"),
        ("--gin.DATA_FILES={'train': 'absent.tsv'}", "no data file absent.tsv: check DATA_FILES"),
        ("--gin.PROMPT_LENGTH=5000", "exceeds SampledVocab.first"),
    ],
)
def test_what_is_not_there_ends_with_one_and_a_line(command, capsys, tmp_path, argument, expected):
    code = failing(
        command,
        train.main,
        f"--gin.MODEL_DIR={tmp_path / 'run'}",
        "--gin.TRAIN_STEPS=1",
        "--gin.SampledVocab.first=4000",
        argument,
    )
    message = capsys.readouterr().err
    assert code == 1 and expected in message and "Traceback" not in message


def test_the_traceback_is_there_when_asked_for(command, tmp_path):
    with pytest.raises(ValueError, match="TRAIN_STEPS is not set"):
        command(train.main, "--traceback", f"--gin.MODEL_DIR={tmp_path}")


def test_in_a_process_of_its_own(tmp_path):
    found = subprocess.run(
        [sys.executable, "-m", "prompt_tuning.train", "--gin_file=tasks/spam.gin"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=os.environ | {"PYTHONPATH": str(REPOSITORY)},
    )
    assert found.returncode == 2
    lines = found.stderr.strip().splitlines()
    assert lines[0].startswith("Error: INITIAL_CHECKPOINT_PATH is not set")
    assert len(lines) == 3 and found.stdout == ""


# A save that fails does not wait for all of its writes: this one ends when nobody does any more.
LATE_WRITE = """
import asyncio, threading, tensorstore
from prompt_tuning.cli import command

command._show_log()
promise, written = tensorstore.Promise.new()
async def wait():
    await written
async def save():
    asyncio.ensure_future(wait())
    await asyncio.sleep(0.01)
loop = asyncio.new_event_loop()
loop.run_until_complete(save())
loop.close()
thread = threading.Thread(target=promise.set_result, args=(0,))
thread.start()
thread.join()
class Other:
    def __del__(self):
        raise RuntimeError("another error")
Other()
"""


def test_a_write_that_ends_behind_a_failed_save_is_silent():
    done = subprocess.run([sys.executable, "-c", LATE_WRITE], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "another error" in done.stderr
    assert "loop" not in done.stderr and "Task" not in done.stderr
