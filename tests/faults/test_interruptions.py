"""SIGTERM and Ctrl-C, at any moment: all is saved soon, and the same command goes on to the same end."""

import json
import signal
import subprocess
import time

import pytest

from prompt_tuning.checkpoints import runs

SECONDS = 30  # that schedulers leave between SIGTERM and SIGKILL; on an idle machine 10 are enough
# Training whose every evaluation takes minutes.
SLOW_EVALUATION = """
import time
from prompt_tuning.evaluation import predict
from prompt_tuning import train
batches = predict.batches.eval_batches
def slowly(*arguments):
    for batch in batches(*arguments):
        for _ in range(600):
            time.sleep(0.1)
            predict.interrupt.check()
        yield batch
predict.batches.eval_batches = slowly
train.main()
"""


def interrupted(command, run, ready, number):
    """(What a process said, its exit code) that got the signal as soon as `ready()`."""
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        try:
            while not ready():
                assert process.poll() is None, process.stdout.read()
                time.sleep(0.05)
            process.send_signal(number)
            said, _ = process.communicate(timeout=SECONDS)
        finally:
            process.kill()
    return said, process.returncode


def steps(run):
    file = run / "scalars.jsonl"
    lines = file.read_text().splitlines(keepends=True) if file.exists() else []
    return [json.loads(line)["step"] for line in lines if line.endswith("\n")]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_run_that_is_told_to_end_saves_its_last_step(tmp_path, training_command, number, code):
    command = training_command(tmp_path, "--gin.TRAIN_STEPS=1000000")
    said, found = interrupted(command, tmp_path, lambda: len(steps(tmp_path)) > 2, number)
    assert found == code, said
    last = steps(tmp_path)[-1]
    assert said.splitlines()[-1].startswith(f"Stopped at step {last} of 1000000. The same command")
    assert runs.newest_whole(tmp_path / "checkpoints") == last


def test_an_evaluation_is_left_and_made_up_for(tmp_path, training_command):
    options = "--gin.TRAIN_STEPS=4", "--gin.EVAL_PERIOD=2"
    command = training_command(tmp_path / "run", *options)
    slow = [command[0], "-c", SLOW_EVALUATION, *command[3:]]
    run = tmp_path / "run"
    _, code = interrupted(slow, run, lambda: 2 in steps(run), signal.SIGTERM)
    assert code == 143
    assert runs.newest_whole(run / "checkpoints") == 2 and not (run / "best").exists()
    for finished in (run, tmp_path / "whole"):
        subprocess.run([*command, f"--gin.MODEL_DIR={finished}"], check=True, capture_output=True)
    assert (run / "scalars.jsonl").read_text() == (tmp_path / "whole/scalars.jsonl").read_text()


def test_before_its_first_step_a_run_ends_at_once_and_nothing_is_lost(tmp_path, training_command):
    command = training_command(tmp_path, "--gin.TRAIN_STEPS=3")
    _, code = interrupted(command, tmp_path, (tmp_path / ".lock").exists, signal.SIGTERM)
    assert code == -signal.SIGTERM
    subprocess.run(command, check=True, capture_output=True)
    assert steps(tmp_path) == [1, 2, 3]
