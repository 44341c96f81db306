"""A plan is run cell by cell, each as its commands; killed, it goes on; what is wrong is told by cell."""

import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import textwrap
import time

import pytest

from prompt_tuning.experiments import __main__ as program
from prompt_tuning.experiments import collect
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file
from prompt_tuning.experiments import run

SECONDS = 240  # until something surely hangs

# Stands in for the interpreter: says what it was asked, and writes what the real commands would.
STAND_IN = """\
#!{python} -S
import json, os, pathlib, signal, sys, time

program, words = sys.argv[2], sys.argv[3:]
bound = dict(x.removeprefix("--gin.").split("=", 1) for x in words if x.startswith("--gin."))
seed, mark = json.loads(bound["SEED"]), pathlib.Path({marks!r})
folder = pathlib.Path(json.loads(bound.get("MODEL_DIR") or bound["EVAL_OUTPUT_DIR"]))
with (mark / "calls").open("a") as calls:
    calls.write(json.dumps([program.split(".")[1], str(folder)]) + "\\n")
print("going")
if program == "prompt_tuning.train":
    if seed == 1 and (mark / "broken").exists():
        print("Error: SEED must be\\n  another one\\n(--traceback shows where.)", file=sys.stderr)
        sys.exit(1)
    if seed == 1 and (mark / "slow").exists():
        def save(number, frame):
            (mark / "saved").touch()
            sys.exit(128 + number)
        signal.signal(signal.SIGTERM, save)
        signal.signal(signal.SIGINT, lambda *_: None)
        (mark / "begun").touch()
        time.sleep(200)
    if seed == 1 and (mark / "killed").exists():
        os.kill(os.getpid(), signal.SIGKILL)
else:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "metrics.json").write_text(json.dumps({{"accuracy": 50.0 + seed}}))
"""

PLAN = """
name = "colours"
metric = "accuracy"
gin_files = ["tasks/files.gin"]

[axes.method]
prompt = {}
none = { trains = false }

[axes.seed]
"0" = { bindings = { SEED = 0 } }
"1" = { bindings = { SEED = 1 } }
"2" = { bindings = { SEED = 2 } }

[evaluations]
test = {}

[ensemble]
axis = "seed"

[figure]
kind = "table"
"""
IDS = ["prompt--0", "prompt--1", "prompt--2", "none--0", "none--1", "none--2"]


class Bench:
    """A plan, its folder, and a stand-in for the interpreter whose calls are kept."""

    def __init__(self, folder):
        self.folder, self.out = folder, folder / "out"
        self.python = folder / "python"
        text = STAND_IN.format(python=sys.executable, marks=str(folder))
        self.python.write_text(text)
        self.python.chmod(0o755)

    def plan(self, text=PLAN):
        (self.folder / "colours.toml").write_text(text)
        return plan_file.read(str(self.folder / "colours.toml"))

    def run(self, text=PLAN, only=None, out=None):
        return run.run(self.plan(text), out or self.out, only, str(self.python))

    def mark(self, name):
        (self.folder / name).touch()

    def calls(self):
        """(program, the last two parts of the folder) of the calls since the last question."""
        file = self.folder / "calls"
        calls = (
            [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []
        )
        file.write_text("")
        return [(name, "/".join(pathlib.Path(folder).parts[-3:])) for name, folder in calls]


@pytest.fixture
def bench(tmp_path):
    return Bench(tmp_path)


def test_cells_then_ensembles_and_nothing_twice(bench, capsys):
    assert bench.run() == 0
    assert bench.calls() == [
        *(
            call
            for name in IDS[:3]
            for call in (
                ("train", f"out/cells/{name}"),
                ("eval", f"{name}/evaluations/test"),
            )
        ),
        *(("eval", f"{name}/evaluations/test") for name in IDS[3:]),
        ("eval", "ensembles/prompt/test"),
    ]
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2/7 prompt--1: done, accuracy: test 51"
    assert lines[6] == "7/7 prompt: done, accuracy: test 50"
    assert (bench.out / "cells/prompt--1/log.txt").read_text().count("\ngoing\n") == 2
    assert bench.run() == 0
    assert bench.calls() == []
    lines = capsys.readouterr().out.splitlines()
    assert lines[1] == "2/7 prompt--1: skipped, accuracy: test 51"


def test_what_is_missing_alone_is_done_again(bench):
    bench.run()
    bench.calls()
    (bench.out / "cells/prompt--1/evaluations/test/metrics.json").unlink()
    bench.run()
    assert bench.calls() == [
        ("train", "out/cells/prompt--1"),  # which finds that it is done
        ("eval", "prompt--1/evaluations/test"),
    ]


def test_only_some_cells(bench):
    assert bench.run(only={"seed": ["0", "2"], "method": ["none"]}) == 0
    assert [folder for _, folder in bench.calls()] == [
        "none--0/evaluations/test",
        "none--2/evaluations/test",
    ]


def test_a_failed_cell_is_told_and_the_others_are_done(bench, capsys):
    bench.mark("broken")
    assert bench.run() == 1
    told = capsys.readouterr()
    lines = told.out.splitlines()
    log = bench.out / "cells/prompt--1/log.txt"
    assert lines[1] == (
        f"2/7 prompt--1: failed: Error: SEED must be another one (exit code 1) ({log})"
    )
    assert "7/7 prompt: failed: for lack of its members prompt--1" in lines[6]
    assert all("done" in lines[index] for index in (0, 2, 3, 4, 5))
    assert "2 of 7 failed: prompt--1, prompt" in told.err
    (bench.folder / "broken").unlink()
    bench.calls()
    assert bench.run() == 0
    assert [folder for _, folder in bench.calls()] == [
        "out/cells/prompt--1",
        "prompt--1/evaluations/test",
        "ensembles/prompt/test",
    ]


def test_a_command_that_is_killed_and_one_that_cannot_start(bench, capsys):
    bench.mark("killed")
    assert bench.run(only={"method": ["prompt"]}) == 1
    assert "prompt--1: failed: going (killed by SIGKILL)" in capsys.readouterr().out
    bench.python.unlink()
    assert bench.run(only={"method": ["prompt"]}) == 1
    assert "prompt--0: skipped" in (told := capsys.readouterr().out)
    assert "prompt--1: failed: [Errno 2]" in told


def test_a_changed_plan_is_refused_before_anything_runs(bench):
    bench.run(only={"seed": ["2"]})
    bench.calls()
    changed = PLAN.replace("SEED = 2", "SEED = 2, BATCH_SIZE = 8")
    with pytest.raises(plans.PlanError, match="cells/prompt--2: the plan changed.*BATCH_SIZE=8"):
        bench.run(changed)
    evaluated = PLAN.replace("test = {}", "test = { bindings = { EVAL_SPLIT = 'test' } }")
    with pytest.raises(plans.PlanError, match="Give another --out, or delete .*prompt--2"):
        bench.run(evaluated)
    assert bench.calls() == []
    assert bench.run(changed, only={"seed": ["0"]}) == 0  # whose commands are the same


def test_an_ensemble_is_of_the_members_that_it_was_of(bench):
    bench.run()
    shutil.rmtree(bench.out / "cells/prompt--2")
    changed = PLAN.replace("SEED = 2", "SEED = 3")
    only = {"method": ["prompt"]}
    with pytest.raises(plans.PlanError, match="ensembles/prompt: the plan changed.*SEED=2"):
        bench.run(changed, only)
    shutil.rmtree(bench.out / "ensembles/prompt")
    assert bench.run(changed, only) == 0


def test_an_evaluation_may_be_added(bench):
    only = {"seed": ["0"], "method": ["prompt"]}
    bench.run(only=only)
    bench.calls()
    added = PLAN.replace("test = {}", "test = {}\nmoved = { bindings = { EVAL_SPLIT = 'test' } }")
    assert bench.run(added, only=only) == 0
    assert bench.calls() == [
        ("train", "out/cells/prompt--0"),
        ("eval", "prompt--0/evaluations/moved"),
    ]
    assert bench.run(only=only) == 0
    assert bench.run(added, only=only) == 0
    assert bench.calls() == []


def test_the_folder_may_be_moved(bench):
    bench.run()
    bench.calls()
    shutil.move(bench.out, bench.folder / "moved")
    assert bench.run(out=bench.folder / "moved") == 0
    assert bench.calls() == []


def test_results_of_unknown_commands_are_made_again(bench):
    bench.run(only={"seed": ["0"]})
    bench.calls()
    (bench.out / "cells/none--0/cell.json").unlink()
    bench.run(only={"seed": ["0"]})
    assert bench.calls() == [("eval", "none--0/evaluations/test")]


def test_results_of_jobs_stay_until_they_are_made_again(bench, capsys):
    metrics = bench.out / "cells/prompt--1/evaluations/test/metrics.json"
    metrics.parent.mkdir(parents=True)
    metrics.write_text('{"accuracy": 7.0}')  # as `commands` leaves it
    bench.mark("broken")
    assert bench.run(only={"seed": ["1"], "method": ["prompt"]}) == 1
    assert json.loads(metrics.read_text()) == {"accuracy": 7.0}
    (bench.folder / "broken").unlink()
    assert bench.run(only={"seed": ["1"], "method": ["prompt"]}) == 0
    assert json.loads(metrics.read_text()) == {"accuracy": 51.0}


def test_damaged_files_are_told(bench, capsys):
    bench.run()
    metrics = bench.out / "cells/none--1/evaluations/test/metrics.json"
    metrics.write_text('{"accuracy": 5')
    assert bench.run() == 1
    assert f"failed: {metrics} is damaged" in capsys.readouterr().out
    (bench.out / "cells/none--2/cell.json").write_text("")
    with pytest.raises(ValueError, match="none--2/cell.json is damaged"):
        bench.run()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("send", [os.kill, os.killpg])
def test_a_signal_ends_the_command_which_saves_and_then_the_plan(bench, number, send):
    bench.mark("slow")
    bench.plan()
    script = textwrap.dedent(
        f"""
        import sys
        from prompt_tuning.experiments import plan_file, run
        plan = plan_file.read({str(bench.folder / "colours.toml")!r})
        sys.exit(run.run(plan, {str(bench.out)!r}, None, {str(bench.python)!r}))
        """
    )
    process = subprocess.Popen(
        [sys.executable, "-c", script], start_new_session=True, stdout=subprocess.PIPE, text=True
    )
    try:
        wait_for(bench.folder / "begun", process)
        send(process.pid, number)
        said, _ = process.communicate(timeout=SECONDS)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert (bench.folder / "saved").exists()
    assert bench.calls()[-1] == ("train", "out/cells/prompt--1")
    assert said.splitlines()[-1] == ("2/7 prompt--1: stopped. The same command goes on from there.")


def test_one_job_hands_on_signals_and_codes(tmp_path, bench):
    quick = [sys.executable, "-IS", "-c"]
    assert run.one_job([[*quick, "pass"], [*quick, "pass"]]) == 0
    touch = [*quick, f"open({str(tmp_path / 'second')!r}, 'w')"]
    assert program.main(["job", "--", *quick, "raise SystemExit(3)", "--", *touch]) == 3
    kill = "import os; os.kill(os.getpid(), 9)"
    assert program.main(["job", "--", *quick, "pass", "--", *quick, kill]) == 137
    assert not (tmp_path / "second").exists()
    bench.mark("slow")
    train = bench.plan().cells()[1].train_command(str(bench.python), bench.out)
    process = subprocess.Popen(
        [sys.executable, "-m", "prompt_tuning.experiments", "job", "--", *train, "--", *touch]
    )
    try:
        wait_for(tmp_path / "begun", process)
        process.terminate()
        assert process.wait(timeout=SECONDS) == 143
    finally:
        process.kill()
    assert (tmp_path / "saved").exists() and not (tmp_path / "second").exists()


def test_the_devices_are_left_to_the_commands():
    code = "import sys, prompt_tuning.experiments.__main__; sys.exit('jax' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code]).returncode == 0


def wait_for(path, process):
    end = time.monotonic() + SECONDS
    while not path.exists():
        assert process.poll() is None, "it ended before"
        assert time.monotonic() < end, f"no {path}"
        time.sleep(0.02)


def test_parameters_are_drawn_by_a_command(tmp_path, monkeypatch, capsys):
    pytest.importorskip("matplotlib")
    from prompt_tuning.experiments import parameters

    of_one = {"IA3": parameters.METHODS["IA3"]}
    monkeypatch.setattr(parameters, "METHODS", of_one)
    assert program.main(["parameters", "--out", str(tmp_path)]) == 0
    assert str(tmp_path / "parameters.png") in capsys.readouterr().out
    assert "34,816" in (tmp_path / "parameters.md").read_text()


def test_wrong_command_lines_end_with_2(bench, capsys):
    bench.plan()
    plan, out = str(bench.folder / "colours.toml"), f"--out={bench.out}"
    for arguments, expected in [
        (["run", "colour", out], "no plan file colour"),
        (["run", plan, out, "--only", "seed"], "--only seed: expected --only NAME=VALUE"),
        (["run", plan, out, "--only", "seed=7"], "seed has no value '7'"),
        (["run", plan, out, "--binding", "SEED="], "expected --binding NAME=VALUE"),
        (["commands", plan, out, "--on=shell", "--options=--spot"], "--on shell has none"),
        (["plot", plan, out], "[figure] would draw method prompt, none as one"),
    ]:
        assert program.main(arguments) == 2
        assert expected in capsys.readouterr().err


def test_killed_after_its_first_cell_a_real_plan_goes_on(
    model_folder, data_files, tmp_path, capsys, monkeypatch
):
    monkeypatch.setenv("JAX_DISABLE_MOST_OPTIMIZATIONS", "1")  # compiling is what takes time
    (tmp_path / "tiny.gin").write_text("EVAL_PERIOD = None\n")  # which TOML cannot say
    (tmp_path / "tiny.toml").write_text(
        f"""
        name = "tiny"
        gin_files = ["tasks/files.gin", {json.dumps(str(tmp_path / "tiny.gin"))}]
        metric = "accuracy"
        [bindings]
        INITIAL_CHECKPOINT_PATH = {json.dumps(str(model_folder))}
        CLASS_LABELS = ["animal", "colour"]
        ID_COLUMN = "id"
        TASK_FEATURE_LENGTHS = {{ inputs = 16, targets = 4 }}
        BATCH_SIZE = 8
        PROMPT_LENGTH = 4
        "SampledVocab.first" = 4000
        TRAIN_STEPS = 2
        "train.log_period" = 1
        [bindings.DATA_FILES]
        {chr(10).join(f"{split} = {json.dumps(file)}" for split, file in data_files.items())}
        [axes.seed]
        "0" = {{ bindings = {{ SEED = 0 }} }}
        "1" = {{ bindings = {{ SEED = 1 }} }}
        [evaluations.test]
        bindings = {{ EVAL_SPLIT = "test" }}
        [ensemble]
        axis = "seed"
        [figure]
        kind = "table"
        """
    )
    plan, out = str(tmp_path / "tiny.toml"), tmp_path / "out"
    process = subprocess.Popen(
        [sys.executable, "-m", "prompt_tuning.experiments", "run", plan, "--out", str(out)],
        start_new_session=True,
    )
    first = out / "cells/0/evaluations/test/metrics.json"
    try:
        wait_for(first, process)
        wait_for(out / "cells/1", process)
    finally:
        os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "cells/1/evaluations/test/metrics.json").exists()
    before = first.stat()

    assert program.main(["run", plan, "--out", str(out)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split(",")[0] for line in lines] == [
        "1/3 0: skipped",
        "2/3 1: done",
        "3/3 all: done",
    ]
    after = first.stat()
    assert (after.st_mtime_ns, after.st_ino) == (before.st_mtime_ns, before.st_ino)

    assert program.main(["collect", plan, "--out", str(out)]) == 0
    table = collect.read_table(out / "table.csv")
    assert [(row["seed"], row["ensemble"]) for row in table] == [("0", 0), ("1", 0), ("", 2)]
    assert [row.get("kept") for row in table] == [4 * 16, 4 * 16, None]  # P x D
    assert [row.get("steps") for row in table] == [2, 2, None]
    folders = [first.parent, out / "cells/1/evaluations/test", out / "ensembles/all/test"]
    for row, folder in zip(table, folders):
        metrics = json.loads((folder / "metrics.json").read_text())
        assert metrics.items() <= row.items()
        assert len((folder / "predictions.jsonl").read_text().splitlines()) == 10
