"""A plan as lines to paste: one a cell, for a shell or for a launcher of the project's scripts/.

What a launcher does with its options is the scripts' business (`--help`).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
import hashlib
import os
import pathlib
import re
import shlex

from prompt_tuning.experiments import plan as plans

Commands = Sequence[Sequence[str]]
PYTHON = "python"
WORKLOAD_LENGTH = 39  # of a job's name, which xpk also wants to be of a-z, 0-9 and -
DIGITS = 8
MEMBERS_FIRST = "# Once the jobs above are done:"


def lines(
    plan: plans.Plan,
    out: str | os.PathLike,
    on: str,
    options: str = "",
    only: Mapping[str, Sequence[str]] | None = None,
) -> Iterator[str]:
    """A line for each cell, which trains it and then evaluates it; then those of ensembles.

    Args:
      plan: what to run.
      out: the folder of all cells, as the machines that run them see it.
      on: a name of LAUNCHERS.
      options: of the launcher, as typed.
      only: axis -> the values to keep.
    """
    if on not in LAUNCHERS:
        raise plans.PlanError(f"--on {on}: expected one of {', '.join(LAUNCHERS)}.")
    launch, words = LAUNCHERS[on], shlex.split(options)
    out = pathlib.Path(out)
    cells = plan.cells(only)
    for cell in cells:
        yield launch(cell.id, words, _commands(cell, out))
    if ensembles := plan.ensembles(cells):
        yield MEMBERS_FIRST
    for ensemble in ensembles:
        yield launch(f"ensemble-{ensemble.id}", words, _commands(ensemble, out))


def _commands(job: plans.Job, out: pathlib.Path) -> Commands:
    train, evaluations = job.train_command(PYTHON, out), job.eval_commands(PYTHON, out)
    return [*([train] if train else []), *evaluations.values()]


def workload(name: str) -> str:
    """The job's name on GKE: as it is, or, where that may not be, what fits of it and a checksum."""
    if len(name) <= WORKLOAD_LENGTH and re.fullmatch(r"[a-z]([-a-z0-9]*[a-z0-9])?", name):
        return name
    kept = f"cell-{name}"[: WORKLOAD_LENGTH - DIGITS - 1].strip("-")
    return f"{kept}-{hashlib.sha256(name.encode()).hexdigest()[:DIGITS]}"


def _shell(name: str, options: Sequence[str], commands: Commands) -> str:
    if options:
        raise plans.PlanError("--options are a launcher's: --on shell has none.")
    del name
    return " && ".join(map(shlex.join, commands))


def _slice(name: str, options: Sequence[str], commands: Commands) -> str:
    del name
    return shlex.join(["bash", "scripts/tpu/slice.sh", "run", *options, *_one_job(commands)])


def _gke(name: str, options: Sequence[str], commands: Commands) -> str:
    words = ["bash", "scripts/tpu/gke.sh", "run", "--workload", workload(name), *options]
    return shlex.join([*words, *_one_job(commands)])


def _slurm(name: str, options: Sequence[str], commands: Commands) -> str:
    words = ["bash", "scripts/slurm/submit.sh", "--name", name, *options]
    return shlex.join([*words, *_one_job(commands)])


def _one_job(commands: Commands) -> list[str]:
    """What a launcher starts: one command as it is, several by a program that hands signals on."""
    if len(commands) == 1:
        return ["--", *commands[0]]
    words = [word for command in commands for word in ("--", *command)]
    return ["--", PYTHON, "-m", "prompt_tuning.experiments", "job", *words]


LAUNCHERS: dict[str, Callable[[str, Sequence[str], Commands], str]] = {
    "shell": _shell,
    "slice": _slice,
    "gke": _gke,
    "slurm": _slurm,
}
