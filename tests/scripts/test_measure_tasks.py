"""The measurements of the shipped tasks can be made short."""

import importlib
import pathlib

import pytest

FOLDER = pathlib.Path(__file__).parents[2] / "scripts"


@pytest.mark.parametrize("steps, warmup", [(1, 0), (3, 1), (10, 5), (600, 10)])
def test_few_steps_have_a_short_warm_up(monkeypatch, tmp_path, steps, warmup):
    monkeypatch.syspath_prepend(str(FOLDER))
    measure_tasks = importlib.import_module("measure_tasks")
    asked = {}
    schedule = measure_tasks.optimizers.warmup_cosine

    def noted(peak, **options):
        asked.update(options)
        return schedule(peak, **options)

    monkeypatch.setattr(measure_tasks.optimizers, "warmup_cosine", noted)
    monkeypatch.setattr(measure_tasks.train, "train", lambda *args, **options: None)
    monkeypatch.setattr(measure_tasks.pt, "load_model", lambda folder: None)
    monkeypatch.setattr(measure_tasks.pt, "score", lambda *args, **options: {"accuracy": 1.0})
    assert measure_tasks.run(None, "spam", "model", 0, steps, tmp_path) == {"accuracy": 1.0}
    assert asked == {"steps": steps, "warmup_steps": warmup}
