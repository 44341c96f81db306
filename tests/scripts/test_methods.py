"""What is told of methods side by side: their parameters, and what a step of each costs."""

import importlib
import json
import pathlib
import subprocess
import sys

import pytest

from prompt_tuning.t5 import config as t5_config

SCRIPTS = pathlib.Path(__file__).parents[2] / "scripts"
README = pathlib.Path(__file__).parents[2] / "prompt_tuning/methods/README.md"
TINY = "--size tiny --batch 2 --inputs 12 --targets 4 --prompt_length 5"
TINY += " --rounds 1 --steps 1 --warm_up 1"


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(SCRIPTS))
    yield importlib.import_module("methods_table")
    del sys.modules["methods_table"]


def test_methods_have_as_many_parameters_as_their_formulas_say(table, monkeypatch):
    monkeypatch.setattr(t5_config, "SIZES", {"small": t5_config.SIZES["small"]})
    counted = table.counted()
    assert set(counted) == {(name, "small") for name in table.FORMULAS}
    table.check(counted, table.by_formula())
    with pytest.raises(
        ValueError, match=r"IA3 at small: expected.*\(34816, 34816\).*found \(1, 2\)"
    ):
        table.check({("IA3", "small"): (1, 2)}, table.by_formula())


def test_the_readme_has_these_numbers(table):
    told = README.read_text(encoding="utf-8")
    assert table.methods_table(table.by_formula()) in told
    assert table.lengths_table() in told


def benchmark(*arguments):
    command = [sys.executable, str(SCRIPTS / "benchmarks/methods.py"), *TINY.split(), *arguments]
    return subprocess.run(command, capture_output=True, text=True)


def test_steps_of_methods_take_turns():
    done = benchmark("--methods", "soft_prompt,adapters")
    assert done.returncode == 0, done.stderr
    prompt, adapters, last = map(json.loads, done.stdout.splitlines())
    assert prompt["trained_parameters"] == 5 * 16
    assert adapters["trained_parameters"] == 5 * (2 * 64 * 16 + 16 + 64) + 7 * 16
    for report in (prompt, adapters):
        assert {"flops", "temporaries_mib", "peak_rss_mib", "median_s"} <= set(report)
        assert report["loss"][0] != report["loss"][1]
    assert list(last["ratios"]) == ["adapters/soft_prompt"]


@pytest.fixture
def methods_script(monkeypatch):
    """The module; other scripts have a common.py, too."""
    names = [file.stem for file in (SCRIPTS / "benchmarks").glob("*.py")]
    monkeypatch.syspath_prepend(str(SCRIPTS / "benchmarks"))
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module("methods")
    for name in names:
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    ("names", "said"),
    [("soft_prompt,bias", "['bias'] are none of soft_prompt"), ("ia3", "must have soft_prompt")],
)
def test_unknown_methods_are_refused(methods_script, names, said, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["methods.py", "--methods", names])
    with pytest.raises(SystemExit):
        methods_script.main()
    assert said in capsys.readouterr().err
