"""A longer run holds no more memory, files or threads than a shorter one."""

import importlib
import pathlib

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts/faults"
STEPS, PERIOD = 600, 30
FEW = 4  # one more for each save or evaluation would be ten more, half a run later


def test_nothing_grows(monkeypatch, tmp_path, training_command):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    growth = importlib.import_module("growth")
    values = {"EVAL_PERIOD": PERIOD, "train.save_period": PERIOD, "TRAIN_STEPS": STEPS}
    flags = [f"--gin.{name}={value}" for name, value in values.items()]
    arguments = training_command("unused", *flags)[3:]
    held = growth.summary(list(growth.watch(arguments, tmp_path, seconds=0.05)), STEPS)
    for name in ("files", "threads"):
        before, after = held[name]
        assert after <= before + FEW, held
    before, after = held["rss_mib"]
    assert after <= before + 0.05 * before, held
