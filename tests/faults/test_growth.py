"""A longer run holds no more memory, files or threads than a shorter one."""

import importlib
import pathlib

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts/faults"
STEPS = 600


def test_nothing_grows(monkeypatch, tmp_path, training_command):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    growth = importlib.import_module("growth")
    periods = "--gin.EVAL_PERIOD=30", "--gin.train.save_period=30", f"--gin.TRAIN_STEPS={STEPS}"
    arguments = training_command("unused", *periods)[3:]
    held = growth.summary(list(growth.watch(arguments, tmp_path, seconds=0.05)), STEPS)
    for name in ("files", "threads"):
        before, after = held[name]
        assert after <= before, held
    before, after = held["rss_mib"]
    assert after <= before + 0.05 * before, held
