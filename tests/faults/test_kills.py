"""Fourteen kills: after each the same command goes on, and the end is the one without them.

By the clock they meet starting, training, evaluating and what TensorStore writes; by touches, files
before they are there, saves before and behind their renaming, and what is removed.
"""

import importlib
import pathlib
import subprocess

import pytest

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts/faults"
KILLS, SAVE_PERIOD = 14, 2


@pytest.fixture
def kills(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    return importlib.import_module("kills")


def test_killed_runs_end_as_the_one_that_was_not(kills, tmp_path, training_command, monkeypatch):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling is what takes time
    command = training_command(
        tmp_path / "compiled",
        "--gin.TRAIN_STEPS=12",
        "--gin.EVAL_PERIOD=3",
        f"--gin.train.save_period={SAVE_PERIOD}",
        "--gin.DROPOUT_RATE=0.1",
    )
    # Programs are then read from the cache, and the clock is that of runs which read them: of one
    # that compiles, most moments are past the end of those that follow.
    subprocess.run(command, check=True)
    kill = kills.kill(command[3:], tmp_path, kills=KILLS, save_period=SAVE_PERIOD)
    reports = list(kill)
    assert len(reports) == KILLS
    assert {"clock", "touch"} == {report["by"] for report in reports}
    assert any(report["steps_lost"] for report in reports)


def test_a_run_that_ends_otherwise_is_found(kills, tmp_path):
    """The comparison itself."""
    for name, loss in (("one", 1.0), ("other", 1.0), ("different", 1.5)):
        run = tmp_path / name
        (run / "checkpoints/1/notes").mkdir(parents=True)
        (run / "scalars.jsonl").write_text(f'{{"step": 1, "train/loss": {loss}}}\n')
    with pytest.raises(kills.DifferentError, match="different/scalars.jsonl is not"):
        kills.compare(tmp_path / "one", tmp_path / "different")
