"""What came of a plan's cells, as one table: a row for each evaluation of a cell or an ensemble.

Its columns: the axes; "evaluation"; "ensemble" (members, 0 for a cell; along their own axis they have no
value); "kept" (numbers); "steps"; "majority class" (the accuracy of answering the commonest target of
the split, in per cent); and every score. What is shown of them is the part of tables.py and plot.py.
"""

import collections
import contextlib
import csv
import json
import math
import os
import pathlib

import safetensors

from prompt_tuning import atomic
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import run

NAME = "table.csv"
SCALARS = "scalars.jsonl"
PREDICTIONS = "predictions.jsonl"
Table = list[dict[str, str | int | float]]


def collect(plan: plans.Plan, out: str | os.PathLike) -> tuple[Table, list[str]]:
    """The rows of all evaluations that are done, and the folders of those that are not.

    Raises PlanError where cells are recorded to be of another plan; what jobs made (`commands`) has
    no record.
    """
    out = pathlib.Path(out)
    cells = plan.cells()
    table, missing = [], []
    for job in [*cells, *plan.ensembles(cells)]:
        run.check_recorded(job, out)
        about = None
        for name in job.evaluations:
            scores = run.read_metrics(job, out, name)
            if scores is None:
                missing.append(str(job.evaluation_folder(out, name)))
                continue
            about = _about(job, out) if about is None else about
            values = {axis: job.values.get(axis, "") for axis in plan.axes}
            level = _majority(job.evaluation_folder(out, name) / PREDICTIONS)
            table.append({**scores, **values, plans.EVALUATION: name, **about, **level})
    return table, missing


def _about(job: plans.Job, out: pathlib.Path) -> dict[str, int]:
    """The numbers beside scores; those that the files do not tell are left out."""
    if isinstance(job, plans.Ensemble):
        return {"ensemble": len(job.members)}
    job = job.source or job  # the cell whose run is evaluated
    if job.train_command("", out) is None:
        return {"ensemble": 0, "kept": 0, "steps": 0}
    folder = job.folder(out)
    about = {"ensemble": 0, "kept": _kept(folder), "steps": _steps(folder)}
    return {name: value for name, value in about.items() if value is not None}


def _majority(file: pathlib.Path) -> dict[str, float]:
    """How many of the examples have the commonest target; nothing where targets are no texts."""
    if not file.exists():
        return {}
    with file.open(encoding="utf-8") as lines:
        targets = [json.loads(line).get("targets") for line in lines]
    if not targets or not all(isinstance(target, str) for target in targets):
        return {}
    ((_, count),) = collections.Counter(targets).most_common(1)
    return {plans.MAJORITY: 100 * count / len(targets)}


def _kept(folder: pathlib.Path) -> int | None:
    """How many numbers the best save has, by the heads of its .safetensors."""
    sizes = []
    for file in folder.glob("best/*.safetensors"):
        try:
            with safetensors.safe_open(file, "numpy") as stored:
                sizes += [math.prod(stored.get_slice(name).get_shape()) for name in stored.keys()]
        except safetensors.SafetensorError as error:
            raise ValueError(f"{file} is damaged ({error}).") from error
    return sum(sizes) or None


def _steps(folder: pathlib.Path) -> int | None:
    """The last step that was logged."""
    file = folder / SCALARS
    if not file.exists():
        return None
    for line in reversed(file.read_text(encoding="utf-8", errors="replace").splitlines()):
        with contextlib.suppress(
            ValueError
        ):  # of a run that was killed the last may be half a line
            return json.loads(line)["step"]
    return None


def write_table(plan: plans.Plan, table: Table, file: str | os.PathLike) -> None:
    """CSV, whole or not at all."""
    scores = dict.fromkeys(name for row in table for name in row)
    columns = list(dict.fromkeys([*plan.axes, *plans.COLUMNS, *scores]))
    with atomic.writing(file) as partial, partial.open("w", encoding="utf-8", newline="") as text:
        writer = csv.DictWriter(text, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def read_table(file: str | os.PathLike) -> Table:
    """What `write_table` wrote: texts up to the column "evaluation", behind it numbers; what has no
    value is left out. Raises ValueError, by file and row."""
    table = []
    with open(file, encoding="utf-8", newline="") as text:
        reader = csv.DictReader(text)
        columns = list(reader.fieldnames or ())
        if plans.EVALUATION not in columns:
            raise ValueError(
                f"{file} has no column {plans.EVALUATION!r}: it is no table of scores."
            )
        first = columns.index(plans.EVALUATION) + 1
        for row in reader:
            try:
                texts = {name: row[name] for name in columns[:first]}
                numbers = {name: float(row[name]) for name in columns[first:] if row[name]}
            except ValueError as error:
                raise ValueError(f"{file}, line {reader.line_num}: {error}.") from error
            table.append({**texts, **numbers})
    return table
