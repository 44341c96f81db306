"""Runs a plan's cells, one after another, each as the commands that users type; goes on where it stopped.

In the folder that is given, for each cell, cells/ID/: what training writes (training/loop.py),
evaluations/NAME/, log.txt with all that the commands say, and cell.json: the commands, an evaluation's
once it is done. An ensemble has the same, but for training, in ensembles/ID/, each evaluation in NAME/.
No JAX here: accelerators are the commands' own.
"""

from collections.abc import Mapping, Sequence
import json
import os
import pathlib
import shlex
import signal
import subprocess
import sys
import threading
from types import FrameType
from typing import Any

from prompt_tuning import atomic
from prompt_tuning.experiments import plan as plans

LOG = "log.txt"
RECORD = "cell.json"
METRICS = "metrics.json"
FAILED = 1
TRACEBACK_HINT = "(--traceback"  # what commands end an error with


class FailedError(Exception):
    """A command of a job failed; the message is what it said last."""


def run(
    plan: plans.Plan,
    out: str | os.PathLike,
    only: Mapping[str, Sequence[str]] | None = None,
    python: str = sys.executable,
) -> int:
    """Runs what is not done yet, and prints a line for each cell and ensemble.

    A failed cell does not stop the others. The first Ctrl-C or SIGTERM ends the command that runs,
    which saves, and then this.

    Args:
      plan: what to run.
      out: where everything is written.
      only: axis -> the values to keep.
      python: the interpreter of the commands.

    Returns:
      The exit code: 1 if anything failed, 128 and the signal's number after a signal.

    Raises PlanError, before anything runs, where `out` holds cells of another plan.
    """
    out = pathlib.Path(out)
    cells = plan.cells(only)
    jobs = [*cells, *plan.ensembles(cells)]
    for job in jobs:
        check_recorded(job, out)
    failed = []
    with _Children() as children:
        for number, job in enumerate(jobs, 1):
            print(f"{number}/{len(jobs)} {job.id}: ", end="", flush=True)
            try:
                if lacking := [member.id for member in _members(job) if member.id in failed]:
                    raise FailedError(f"for lack of its members {', '.join(lacking)}")
                print("done," if _run_job(job, out, python, children) else "skipped,", end=" ")
                print(_scores(job, out, plan.metric), flush=True)
            except (FailedError, OSError, ValueError) as error:
                if children.signal is None:
                    failed.append(job.id)
                    print(f"failed: {error} ({job.folder(out) / LOG})", flush=True)
            if children.signal is not None:
                print("stopped. The same command goes on from there.", flush=True)
                return 128 + children.signal
    if failed:
        print(f"{len(failed)} of {len(jobs)} failed: {', '.join(failed)}", file=sys.stderr)
    return FAILED if failed else 0


def one_job(commands: Sequence[Sequence[str]]) -> int:
    """Runs commands, each if the one before it went well, and hands signals on to them, as no shell does.

    Returns the exit code of the last one, or of the signal.
    """
    code = 0
    with _Children() as children:
        for command in commands:
            if code := children.call(command):
                break
        code = -children.signal if children.signal else code
    return 128 - code if code < 0 else code


def _members(job: plans.Job) -> Sequence[plans.Cell]:
    return job.members if isinstance(job, plans.Ensemble) else ()


def _run_job(job: plans.Job, out: pathlib.Path, python: str, children: "_Children") -> bool:
    """Returns whether there was anything to do."""
    recorded = _read_record(job, out)["evaluations"]
    due = [  # what is there without a record was made by an unknown command
        name
        for name in job.evaluations
        if name not in recorded or not (job.evaluation_folder(out, name) / METRICS).exists()
    ]
    if not due:
        return False
    _write_record(job, out)
    log = job.folder(out) / LOG
    if train := job.train_command(python, out):
        _logged(train, log, children)
    evaluations = job.eval_commands(python, out)
    for name in due:
        _logged(evaluations[name], log, children)
        _write_record(job, out, name)
    return True


def _scores(job: plans.Job, out: pathlib.Path, metric: str) -> str:
    scores = {name: read_metrics(job, out, name) or {} for name in job.evaluations}
    shown = [f"{name} {x[metric]:.4g}" for name, x in scores.items() if metric in x]
    return f"{metric}: {', '.join(shown)}" if shown else f"but there is no score {metric}"


def read_metrics(
    job: plans.Job, out: pathlib.Path, evaluation: str
) -> dict[str, int | float] | None:
    """The scores of an evaluation; None if it is not done. Raises ValueError, by the file."""
    file = job.evaluation_folder(out, evaluation) / METRICS
    return _read_json(file) if file.exists() else None


def _commands(job: plans.Job) -> dict[str, Any]:
    """Of the record: the words behind the interpreter, of an ensemble its members' training too.

    Folders are as seen from the plan's, which may be moved.
    """
    here = pathlib.Path()
    trained = [cell.train_command("", here) or [""] for cell in _members(job) or [job]]
    evaluations = job.eval_commands("", here)
    return {
        "train": [word for command in trained for word in command[1:]],
        "evaluations": {name: command[1:] for name, command in evaluations.items()},
    }


def _read_record(job: plans.Job, out: pathlib.Path) -> dict[str, Any]:
    file = job.folder(out) / RECORD
    return _read_json(file) if file.exists() else {"train": [], "evaluations": {}}


def _write_record(job: plans.Job, out: pathlib.Path, done: str | None = None) -> None:
    """Records the training, and the evaluation that is done, beside those that were."""
    commands = _commands(job)
    evaluations = _read_record(job, out)["evaluations"]
    if done is not None:
        evaluations = {**evaluations, done: commands["evaluations"][done]}
    with atomic.writing(job.folder(out) / RECORD) as partial:
        partial.write_text(json.dumps({**commands, "evaluations": evaluations}, indent=2))


def check_recorded(job: plans.Job, out: pathlib.Path) -> None:
    """Raises PlanError if the job was begun with another command; new evaluations are none."""
    folder = job.folder(out)
    if not (folder / RECORD).exists():
        return
    was, now = _read_record(job, out), _commands(job)
    pairs = [(was["train"], now["train"])]
    pairs += [
        (command, now["evaluations"][name])
        for name, command in was["evaluations"].items()
        if name in now["evaluations"]
    ]
    for before, after in pairs:
        if before != after:
            gone = shlex.join(word for word in before if word not in after)
            new = shlex.join(word for word in after if word not in before)
            raise plans.PlanError(
                f"{folder}: the plan changed: this was begun with {gone or 'less'}, where the plan "
                f"now has {new or 'nothing, or another order'}. Give another --out, or delete {folder}."
            )


def _read_json(file: pathlib.Path) -> Any:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except ValueError as error:
        raise ValueError(
            f"{file} is damaged ({error}): delete it and run the plan again."
        ) from error


class _Children:
    """Commands as child processes, one at a time; SIGINT and SIGTERM are handed on to them.

    They are of this process's group, so that a terminal's Ctrl-C reaches them too, which training
    takes twice as once. A second Ctrl-C reaches them alone, and does not wait for a save.

    Attributes:
      signal: the one that asked to stop; None before.
    """

    def __enter__(self) -> "_Children":
        self.signal: signal.Signals | None = None
        self._child: subprocess.Popen | None = None
        self._before = {
            number: signal.signal(number, self._ask)
            for number in (signal.SIGINT, signal.SIGTERM)
            if threading.current_thread() is threading.main_thread()
        }
        return self

    def __exit__(self, *_: Any) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _ask(self, number: int, frame: FrameType | None) -> None:
        del frame
        self.signal = signal.Signals(number)
        if self._child is not None:
            self._child.terminate()

    def call(self, command: Sequence[str], **output: Any) -> int:
        """The exit code, negative after a signal; the command is not begun once a signal came."""
        if self.signal is not None:
            return -self.signal
        # What they say goes to one file, each line when it is said: the error comes last.
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self._child = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, **output)
        if self.signal is not None:  # it came while the child was made
            self._child.terminate()
        return self._child.wait()


def _logged(command: Sequence[str], log: pathlib.Path, children: _Children) -> None:
    """Appends what the command says to `log`; raises FailedError if it fails."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as file:
        file.write(f"$ {shlex.join(command)}\n".encode())
        file.flush()
        begin = file.tell()
        code = children.call(command, stdout=file, stderr=subprocess.STDOUT)
    if code:
        raise FailedError(_last_words(log, begin, code))


def _last_words(log: pathlib.Path, begin: int, code: int) -> str:
    """The error that a command ended with, or else its last line."""
    with log.open("rb") as file:
        file.seek(begin)
        lines = file.read().decode(errors="replace").splitlines()
    lines = [x.strip() for x in lines if x.strip() and not x.startswith(TRACEBACK_HINT)]
    errors = [index for index, line in enumerate(lines) if line.startswith("Error")]
    said = " ".join(lines[errors[-1] if errors else -1 :])
    ended = f"killed by {signal.Signals(-code).name}" if code < 0 else f"exit code {code}"
    return f"{said} ({ended})" if said else ended
