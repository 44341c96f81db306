"""Markdown tables of a plan's scores, beside what the paper published: its Tables 1 to 3, and others
like them; and the summary that `collect` prints. Also how rows are grouped for a figure, which plot.py
shares.

The paper's numbers are in paper.py, tables of parameters in parameters.py.
"""

import collections
from collections.abc import Collection, Mapping, Sequence
import contextlib
import dataclasses
import itertools
import math
import os
import pathlib
import statistics

from prompt_tuning import atomic
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import super_glue_average
from prompt_tuning.data.metrics.super_glue import SUPER_GLUE_SCORES
from prompt_tuning.experiments import collect
from prompt_tuning.experiments import paper
from prompt_tuning.experiments import plan as plans

Key = tuple[str | None, ...]
Row = dict[str, str | int | float]
Column = tuple[str | None, str]  # values of figure.series and of paper.STATISTICS
AVERAGE, BEST, ENSEMBLE = paper.STATISTICS
NONE = "–"
_AVERAGE_METRIC = "super_glue_average"


def check_scores(plan: plans.Plan, table: collect.Table) -> None:
    """Raises ValueError if the table is not of this plan, or no cell has the score that it shows."""
    cells = [row for row in table if not row["ensemble"]]
    for name in (*plan.axes, plans.EVALUATION):
        expected = order(plan, name)
        found = dict.fromkeys(row.get(name) for row in cells)
        if unknown := [value for value in found if value not in expected]:
            raise ValueError(
                f"{plan.file}: {name} is one of {', '.join(expected)}, but the table has {unknown[0]}: "
                "it was collected of another plan; collect again."
            )
    if any(plan.metric in row for row in cells):
        return
    known = dict.fromkeys(name for row in cells for name in row)
    scores = [name for name in known if name not in (*plan.axes, *plans.COLUMNS)]
    if scores:
        found = f"the scores are {', '.join(scores)}"
    else:
        found = "nothing is scored yet: `run` the plan first, with this --out"
    raise ValueError(f"{plan.file}: metric is {plan.metric!r}, but {found}.")


def order(plan: plans.Plan, name: str | None) -> list[str | None]:
    """The values of an axis or of "evaluation", as the plan has them; None has the value None."""
    if name is None:
        return [None]
    return list(plan.evaluations if name == plans.EVALUATION else plan.axes[name])


def grouped(plan: plans.Plan, table: collect.Table, *by: str | None) -> dict[Key, list[Row]]:
    """Cells' rows by their values of `by`; what differs in a group is `figure.over`, nothing else.

    Ensembles are left out. A name that is None has the value None in all rows.

    Raises:
      PlanError: rows differ in something that the figure has no place for, and would be averaged.
    """
    groups: dict[Key, list[Row]] = {}
    for row in table:
        if not row["ensemble"]:
            groups.setdefault(_values(row, by), []).append(row)
    for rows in groups.values():
        for axis in (*plan.axes, plans.EVALUATION):
            values = dict.fromkeys(row[axis] for row in rows)
            if axis != plan.figure.over and len(values) > 1:
                raise plans.PlanError(
                    f"{plan.file}: [figure] would draw {axis} {', '.join(values)} as one: give {axis!r} "
                    "a part in it (x, series, panel, over), or keep one value."
                )
    return groups


def planned(plan: plans.Plan, *by: str | None) -> collections.Counter[Key]:
    """How many rows `grouped` gives of each group once all cells are evaluated."""
    return collections.Counter(_values(row, by) for row in _unscored(plan))


def _unscored(plan: plans.Plan) -> list[Row]:
    """The rows of all evaluations of cells, without scores."""
    return [
        {**cell.values, plans.EVALUATION: evaluation, "ensemble": 0}
        for cell in plan.cells()
        for evaluation in plan.evaluations
    ]


def summary(plan: plans.Plan, table: collect.Table) -> str:
    """Mean and sample standard deviation of the metric over `figure.over`, of cells and ensembles;
    without a figure, each score.

    Raises ValueError as `check_scores` does, if any row is there.
    """
    if table:
        check_scores(plan, table)
    over = plan.figure and plan.figure.over
    keys = [name for name in (*plan.axes, plans.EVALUATION, "ensemble") if name != over]
    groups: dict[tuple[str | int | float, ...], list[int | float]] = {}
    for row in table:
        if plan.metric in row:
            groups.setdefault(tuple(row[key] for key in keys), []).append(row[plan.metric])
    rows = [[*map(str, key), str(len(x)), _spread(x)] for key, x in groups.items()]
    return markdown([*keys, "n", plan.metric], rows, texts=len(keys))


def _values(row: Row, by: Sequence[str | None]) -> Key:
    return tuple(None if name is None else row[name] for name in by)


def render(plan: plans.Plan, table: collect.Table) -> str:
    """The plan's scores: a row for each value of `figure.x`, by default of "evaluation", and of
    `figure.panel`; columns by `figure.series`.

    A number is the mean over `figure.over`, ± one sample standard deviation. If that is the axis of
    ensembles, the best of its values and the ensemble stand beside it; best is who has the highest
    mean of the row's metrics, on the split that is shown, as the paper's is. Those are the paper's
    for this dataset, where it has any and the plan's metric is among them or not to be had; else the plan's. The paper's numbers are in columns of
    their own, for datasets and methods that are called as in the paper (`paper.find`). Where x names
    all tasks of SuperGLUE, its average has a row. Of an empty table only the paper's numbers are shown.

    Raises ValueError as `check_scores` and `grouped` do; for an empty table, if the paper has nothing.
    """
    lines = [] if table else _lines(plan, _unscored(plan))
    if not lines:
        check_scores(plan, table)
        lines = _lines(plan, table)
    columns = dict.fromkeys(column for line in lines for column in line.ours)
    header = [*lines[0].names, "metric"]
    rows = [[*line.names.values(), "/".join(line.metrics)] for line in lines]
    texts = len(header)
    for column in columns:
        name = _heading(column, columns)
        _append(header, rows, name, [_cell(line, line.ours.get(column, [])) for line in lines])
        published = [line.published.get(column) for line in lines]
        if any(published):
            cells = [_cell(line, [x.scores] if x else []) for line, x in zip(lines, published)]
            _append(header, rows, f"{name} (paper)", cells)
    numbers = sorted({x.table for line in lines for x in line.published.values()})
    notes = [f"paper: arXiv 2104.08691, Table {n}: {paper.TABLES[n]}" for n in numbers]
    if any(statistic == BEST for _, statistic in columns):
        notes.append(
            "best: by the scores that are shown, which is more than a prompt chosen before"
        )
    done, whole = sum(not row["ensemble"] for row in table), planned(plan).total()
    if done < whole:
        notes.append(f"{done} of {whole} evaluations are done")
    return "\n\n".join([markdown(header, rows, texts=texts), *notes])


def _append(header: list[str], rows: Sequence[list[str]], name: str, cells: Sequence[str]) -> None:
    header.append(name)
    for row, cell in zip(rows, cells):
        row.append(cell)


def markdown(header: Sequence[str], rows: Sequence[Sequence[str]], *, texts: int = 1) -> str:
    """A table whose first `texts` columns are text, the others numbers."""
    ruler = ["---"] * texts + ["--:"] * (len(header) - texts)
    escaped = [[cell.replace("|", "\\|") for cell in row] for row in (header, *rows)]
    return "\n".join(f"| {' | '.join(row)} |" for row in (escaped[0], ruler, *escaped[1:]))


def write(text: str, file: str | os.PathLike) -> pathlib.Path:
    """Writes it, whole or not at all."""
    file = pathlib.Path(file)
    with atomic.writing(file) as partial:
        partial.write_text(text + "\n", encoding="utf-8")
    return file


@dataclasses.dataclass(frozen=True)
class _Line:
    """One row of a table.

    Attributes:
      names: what it is of: heading -> value.
      metrics: that its cells show.
      ours: column -> the scores that the cell is the mean of.
      published: column -> what the paper has for it.
    """

    names: Mapping[str, str]
    metrics: Sequence[str]
    ours: Mapping[Column, Sequence[Row]]
    published: Mapping[Column, paper.Published]


def _cell(line: _Line, scores: Sequence[Mapping[str, str | int | float]]) -> str:
    return "/".join(_spread([row[name] for row in scores if name in row]) for name in line.metrics)


def _spread(values: Sequence[int | float]) -> str:
    if not values:
        return NONE
    mean = f"{statistics.mean(values):.1f}"
    return f"{mean} ± {statistics.stdev(values):.1f}" if len(values) > 1 else mean


def _heading(column: Column, columns: Collection[Column]) -> str:
    series, statistic = column
    if series is None:
        return statistic
    return series if len({x for _, x in columns}) == 1 else f"{series} {statistic}"


def _lines(plan: plans.Plan, table: collect.Table) -> list[_Line]:
    figure = plan.figure
    x = figure.x or plans.EVALUATION
    by = (figure.panel, x, figure.series)
    cells = grouped(plan, table, *by)
    votes = {_values(row, by): [row] for row in table if row["ensemble"]}
    voted = plan.ensemble is not None and plan.ensemble == figure.over
    lines = []
    for panel, value in itertools.product(order(plan, figure.panel), order(plan, x)):
        keys = [(panel, value, series) for series in order(plan, figure.series)]
        members = {key: cells[key] for key in keys if key in cells}
        if not members:
            continue
        rows = [row for group in members.values() for row in group]
        statistics_of = paper.STATISTICS if voted else (AVERAGE,)
        columns = [(key[-1], statistic) for key in members for statistic in statistics_of]
        shown, published = _shown(plan, rows, _published(rows[0], x, plan, columns))
        if not published and not any(name in row for name in shown for row in rows):
            continue
        ours: dict[Column, Sequence[Row]] = {}
        for key, group in members.items():
            best = [max(group, key=lambda row: _mean(row, shown))]
            values = {AVERAGE: group, BEST: best, ENSEMBLE: votes.get(key, [])}
            ours |= {(key[-1], statistic): values[statistic] for statistic in statistics_of}
        names = {x: value} if panel is None else {figure.panel: panel, x: value}
        lines.append(_Line(names, shown, ours, published))
    return lines + _super_glue_line(lines)


def _published(
    row: Row, x: str, plan: plans.Plan, columns: Sequence[Column]
) -> dict[Column, paper.Published]:
    """What the paper has: where x is "evaluation", of an axis's dataset on that of the evaluation;
    where it is an axis, of its dataset on itself."""
    sources = plan.axes if x == plans.EVALUATION else [x]
    found = {}
    for (series, statistic), axis in itertools.product(columns, sources):
        # Of methods the paper has averages; the best and the ensemble are of prompts alone (Table 3).
        name = statistic if series is None else series
        known = paper.find(row[axis], row[x], name)
        if known and (series is None or statistic == AVERAGE):
            found[series, statistic] = known
    return found


def _shown(
    plan: plans.Plan, rows: Sequence[Row], published: Mapping[Column, paper.Published]
) -> tuple[Sequence[str], Mapping[Column, paper.Published]]:
    """The metrics of a line, and what of the paper can stand beside them."""
    names = [name for x in published.values() for name in x.scores]
    if not names or (plan.metric not in names and any(plan.metric in row for row in rows)):
        return [plan.metric], {}
    return list(dict.fromkeys(names)), published


def _mean(row: Row, names: Sequence[str]) -> int | float:
    values = [row[name] for name in names if name in row]
    return statistics.mean(values) if values else -math.inf


def _super_glue_line(lines: Sequence[_Line]) -> list[_Line]:
    """The benchmark's average, of columns that have all of its tasks."""
    by_task = {paper.letters(list(line.names.values())[-1]): line for line in lines}
    if not SUPER_GLUE_SCORES.keys() <= by_task.keys() or len(lines[0].names) > 1:
        return []
    ours, published = {}, {}
    for column in dict.fromkeys(column for line in lines for column in line.ours):
        series, statistic = column
        if series is None and (known := paper.find(paper.SUPER_GLUE, paper.SUPER_GLUE, statistic)):
            published[column] = known
        scores = {task: _means(line.ours.get(column, [])) for task, line in by_task.items()}
        with contextlib.suppress(DataError):  # a score is not there yet
            ours[column] = [{_AVERAGE_METRIC: super_glue_average(scores)}]
    names = {heading: paper.SUPER_GLUE for heading in lines[0].names}
    return [_Line(names, [_AVERAGE_METRIC], ours, published)]


def _means(rows: Sequence[Row]) -> dict[str, float]:
    scores = dict.fromkeys(
        name for row in rows for name, x in row.items() if not isinstance(x, str)
    )
    return {name: statistics.fmean(row[name] for row in rows if name in row) for name in scores}
