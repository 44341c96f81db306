"""A printed line is the commands of its cell, whatever starts it."""

import dataclasses
import pathlib
import re
import shlex
import subprocess
import sys

import hypothesis
from hypothesis import strategies as st
import pytest

from prompt_tuning.experiments import __main__ as program
from prompt_tuning.experiments import commands
from prompt_tuning.experiments import plan_file

ROOT = pathlib.Path(__file__).parents[2]
OUT = pathlib.Path("/mnt/my runs/it's")
# What a shell would change if it were not quoted.
TEXT = """it's  \\"one\\" `word`; $HOME & \\\\ * ~ -- x"""
PLAN = f"""
name = "quotes"
metric = "accuracy"
[axes.method]
"prompt tuning" = {{ bindings = {{ PROMPT_TEXT = "{TEXT}", "FromText.text" = "%PROMPT_TEXT" }} }}
none = {{ trains = false }}
[axes.seed]
"0" = {{ bindings = {{ SEED = 0 }} }}
"1" = {{ bindings = {{ SEED = 1 }} }}
[evaluations.validation]
[evaluations.test]
bindings = {{ EVAL_SPLIT = "test", TASK_FEATURE_LENGTHS = {{ inputs = 16, targets = 4 }} }}
[ensemble]
axis = "seed"
[figure]
kind = "table"
"""
OPTIONS = {
    "shell": "",
    "slice": "--name xxl --zone us-west4-a --project mine",
    "gke": "--name xxl --zone us-west4-a --project mine --accelerator_type v6e-16",
    "slurm": "--nodes 2 --gpus_per_node 8 --account 'my lab'",
}
SCRIPTS = {
    "slice": ["bash", "scripts/tpu/slice.sh", "run"],
    "gke": ["bash", "scripts/tpu/gke.sh", "run"],
    "slurm": ["bash", "scripts/slurm/submit.sh"],
}


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "quotes.toml").write_text(PLAN)
    return plan_file.read(str(tmp_path / "quotes.toml"))


def expected(plan):
    """The commands of each cell and ensemble, by hand."""
    cells = plan.cells()
    return [
        [
            *filter(None, [job.train_command("python", OUT)]),
            *job.eval_commands("python", OUT).values(),
        ]
        for job in [*cells, *plan.ensembles(cells)]
    ]


def split(words, separator):
    """The lists of words between separators."""
    parts = [[]]
    for word in words:
        parts.append([]) if word == separator else parts[-1].append(word)
    return parts


def test_a_line_of_shell_is_the_commands_one_after_another(plan):
    lines = list(commands.lines(plan, OUT, "shell"))
    assert lines.pop(4) == commands.MEMBERS_FIRST
    assert [split(shlex.split(line), "&&") for line in lines] == expected(plan)


@pytest.mark.parametrize("on", SCRIPTS)
def test_a_launcher_gets_the_commands_and_its_options(plan, on):
    lines = list(commands.lines(plan, OUT, on, OPTIONS[on]))
    assert lines.pop(4) == commands.MEMBERS_FIRST
    for line, wanted in zip(lines, expected(plan), strict=True):
        head, *rest = split(shlex.split(line), "--")
        assert head[: len(SCRIPTS[on])] == SCRIPTS[on]
        assert [word for word in shlex.split(OPTIONS[on]) if word not in head] == []
        assert rest[0] == ["python", "-m", "prompt_tuning.experiments", "job"]
        assert rest[1:] == wanted
        assert len(wanted) == 3 if "none" not in line and "ensembles/" not in line else 2


def test_one_command_needs_no_program_around_it(plan):
    one = dataclasses.replace(plan, evaluations={"test": plan.evaluations["test"]})
    *_, line = commands.lines(one, OUT, "slurm", only={"method": ["none"], "seed": ["0"]})
    (cell,) = one.cells({"method": ["none"], "seed": ["0"]})
    _, *rest = split(shlex.split(line), "--")
    assert rest == list(cell.eval_commands("python", OUT).values())


@pytest.mark.parametrize("on", SCRIPTS)
def test_launchers_take_the_lines_as_they_are(plan, on):
    line = next(commands.lines(plan, OUT, on, f"--dry_run {OPTIONS[on]}"))
    done = subprocess.run(line, shell=True, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    *_, started = shlex.split(done.stdout.splitlines()[-1])
    cell = plan.cells()[0]
    train, *evaluations = [
        cell.train_command("python", OUT),
        *cell.eval_commands("python", OUT).values(),
    ]
    if on == "slurm":
        words = shlex.split(done.stdout.splitlines()[-1])
        assert "--job-name=prompt-tuning--0" in words and "--account=my lab" in words
    else:  # a line of shell, in one word
        words = shlex.split(started.removeprefix("--command="))
        assert on != "gke" or "--workload=prompt-tuning--0" in done.stdout
    assert split(words, "--")[1:] == [train, *evaluations]
    assert split(words, "--")[0][-4:] == ["python", "-m", "prompt_tuning.experiments", "job"]


@hypothesis.given(st.from_regex(r"[a-z0-9]{1,8}(-{1,2}[a-z0-9]{1,12}){0,6}", fullmatch=True))
def test_workloads_have_names_that_gke_takes(name):
    made = commands.workload(name)
    assert len(made) < 40
    assert re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", made)
    assert made != commands.workload(f"{name}x")


def test_the_command_line_prints_them(plan, capsys):
    arguments = ["commands", str(plan.file), f"--out={OUT}", "--on=gke", "--only", "seed=1"]
    options = ["--options", OPTIONS["gke"], "--binding", "SEED=7", "--binding=DTYPE=bfloat16"]
    assert program.main([*arguments, *options]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2  # no ensemble of half its members
    for line in lines:
        words = shlex.split(line)
        assert "--gin.SEED=7" in words and "--gin.DTYPE=bfloat16" in words
        assert not [word for word in words if word.startswith("--gin.SEED=1")]


def test_as_a_program(plan):
    command = [sys.executable, "-m", "prompt_tuning.experiments", "commands", str(plan.file)]
    done = subprocess.run([*command, f"--out={OUT}", "--on=shell"], capture_output=True, text=True)
    assert done.stdout.splitlines() == list(commands.lines(plan, OUT, "shell"))
