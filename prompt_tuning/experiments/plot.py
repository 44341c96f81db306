"""Figures of a plan's scores. matplotlib is imported only to draw.

Tables are tables.py's part; how many parameters a method has is parameters.py's.
"""

from collections.abc import Mapping, Sequence
import os
import pathlib
import statistics
from typing import Any, NamedTuple

import numpy as np

from prompt_tuning import atomic
from prompt_tuning.experiments import collect
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import tables

Figure = Axes = Any  # matplotlib's, which need not be installed
BAND_ALPHA = 0.2
LEVEL_STYLES = (":", "--", "-.")
PANELS_A_ROW = 3
LEGEND_COLUMNS = 3
PANEL_INCHES = 5.0, 3.8
GROUP_WIDTH = 0.5  # of all series at one category; categories are 1 apart


def draw(plan: plans.Plan, table: collect.Table, folder: str | os.PathLike) -> list[pathlib.Path]:
    """Writes what the plan's [figure] asks for, and returns the files.

    They are FOLDER/figure.png and .svg, or FOLDER/figure.md for a table (tables.py).

    Raises:
      PlanError: there is no [figure], what would be drawn as one is not alike but for `figure.over`,
        or a level is no column of the table.
      ValueError: the table is not of this plan, or no cell has the score that it shows, and there is
        nothing of the paper's to show alone.
      ImportError: there is no matplotlib, and the figure is no table.
    """
    if plan.figure is None:
        raise plans.PlanError(
            f"{plan.file}: [figure] is missing: expected kind ({' or '.join(plans.KINDS)}), x, series, "
            "panel and over."
        )
    file = pathlib.Path(folder) / "figure"
    if plan.figure.kind == "table":
        return [tables.write(tables.render(plan, table), file.with_suffix(".md"))]
    return save(curve(plan, table), file)


def curve(plan: plans.Plan, table: collect.Table) -> Figure:
    """A panel a value of `figure.panel`, but for what is scored by other metrics alone; in it a line a value of `figure.series`, along `figure.x`.

    A point is the mean of the metric over `figure.over`; the band reaches one sample standard
    deviation to either side (the paper's, of three runs), where there are several runs. If the
    values of x have no numbers, or only one was run, points with bars take the place of lines with
    bands, the series side by side. A point that lacks runs of the plan says how many it
    has. Each of `figure.levels` is a column of the table: a horizontal line at its mean over the panel's
    cells.
    """
    tables.check_scores(plan, table)
    part = plan.figure
    parts = (part.panel, part.series, part.x)
    groups, planned = tables.grouped(plan, table, *parts), tables.planned(plan, *parts)
    _check_levels(plan, groups)
    scored = {key[0]: False for key in groups}
    for key, rows in groups.items():
        scored[key[0]] |= any(plan.metric in row for row in rows)
    panels = [panel for panel in tables.order(plan, part.panel) if scored.get(panel, True)]
    series = tables.order(plan, part.series)
    single = all(len(rows) == 1 for rows in groups.values())
    label = plan.metric if single else f"{plan.metric}, mean ± SD over {part.over}"
    drawn, all_axes = new_figure(len(panels))
    for panel, axes in zip(panels, all_axes):
        for number, name in enumerate(series):
            shift = GROUP_WIDTH * ((number + 0.5) / len(series) - 0.5)
            rows = {key[2]: x for key, x in groups.items() if key[:2] == (panel, name)}
            points = _points(plan, rows, {x: planned[panel, name, x] for x in rows})
            _draw_series(axes, points, _is_numeric(plan), name, f"C{number}", shift)
        _draw_levels(axes, plan, [x for key, x in groups.items() if key[0] == panel])
        if part.log_x:
            axes.set_xscale("log")
        name_ticks(axes, _places(plan))
        axes.set(title=panel or "", xlabel=part.x_label or part.x, ylabel=label)
    named = {
        name: handle for axes in all_axes for handle, name in zip(*axes.get_legend_handles_labels())
    }
    if named:  # below all panels, where it hides no line
        place = {"loc": "outside lower center", "ncols": LEGEND_COLUMNS}
        drawn.legend(named.values(), named.keys(), title=part.series, **place)
    return drawn


def new_figure(panels: int) -> tuple[Figure, list[Axes]]:
    """A figure with so many panels, which belongs to no window; raises ImportError, with the cure."""
    try:
        from matplotlib import figure
    except ImportError as error:
        raise ImportError(
            f'Figures need matplotlib ({error}): pip install "prompt_tuning[demo]"'
        ) from error
    columns = min(panels, PANELS_A_ROW)
    rows = -(-panels // columns)
    width, height = PANEL_INCHES
    drawn = figure.Figure(figsize=(width * columns, height * rows), layout="constrained")
    return drawn, [drawn.add_subplot(rows, columns, n + 1) for n in range(panels)]


def name_ticks(axes: Axes, places: Mapping[str, int | float]) -> None:
    """Writes each name at its place on the x axis, and nothing between."""
    axes.set_xticks(list(places.values()), labels=list(places))
    axes.set_xticks([], minor=True)


def save(figure: Figure, path: pathlib.Path) -> list[pathlib.Path]:
    """Writes `path` with the endings .png and .svg, each whole or not at all."""
    files = [path.with_name(f"{path.name}.{kind}") for kind in ("png", "svg")]
    for file in files:
        with atomic.writing(file) as partial:
            figure.savefig(partial, format=file.suffix[1:], dpi=150)
    return files


class _Point(NamedTuple):
    x: int | float
    mean: int | float
    deviation: float  # NaN for one run
    lacking: str  # "2 of 3" where runs of the plan are not there; else empty


def _draw_series(
    axes: Axes,
    points: Sequence[_Point],
    numeric: bool,
    name: str | None,
    color: str,
    shift: float,
) -> None:
    """A line with a band, or points with bars, `shift` beside their categories."""
    if not points:
        return
    x, mean, deviation = (np.array(column) for column in list(zip(*points))[:3])
    x = x if numeric else x + shift
    for place, point in zip(x, points):
        if point.lacking:
            axes.annotate(
                point.lacking,
                (place, point.mean),
                xytext=(4, 4),
                textcoords="offset points",
                fontsize="x-small",
            )
    if numeric and len(points) > 1:
        axes.plot(x, mean, marker="o", color=color, label=name)
        if np.isfinite(deviation).any():
            axes.fill_between(
                x, mean - deviation, mean + deviation, color=color, alpha=BAND_ALPHA, linewidth=0
            )
        return
    bars = deviation if np.isfinite(deviation).any() else None
    axes.errorbar(x, mean, bars, fmt="o", capsize=3, color=color, label=name)


def _points(
    plan: plans.Plan, rows: Mapping[str, Sequence[tables.Row]], planned: Mapping[str, int]
) -> list[_Point]:
    """Along x; `planned` says how many runs each should be of."""
    points = []
    for value, place in _places(plan).items():
        scores = [row[plan.metric] for row in rows.get(value, []) if plan.metric in row]
        if scores:
            deviation = statistics.stdev(scores) if len(scores) > 1 else np.nan
            lacking = f"{len(scores)} of {planned[value]}" if len(scores) < planned[value] else ""
            points.append(_Point(place, statistics.mean(scores), deviation, lacking))
    return sorted(points)


def _is_numeric(plan: plans.Plan) -> bool:
    """Whether the values of x have numbers: all have, or none (plan.py)."""
    choices = plan.axes.get(plan.figure.x, {})
    return any(choice.x is not None for choice in choices.values())


def _places(plan: plans.Plan) -> dict[str, int | float]:
    """Value of x -> its number, or where it stands in the plan."""
    if _is_numeric(plan):
        return {value: choice.x for value, choice in plan.axes[plan.figure.x].items()}
    return {value: float(n) for n, value in enumerate(tables.order(plan, plan.figure.x))}


def _check_levels(plan: plans.Plan, groups: Mapping[tables.Key, Sequence[tables.Row]]) -> None:
    columns = {name for rows in groups.values() for row in rows for name in row}
    if unknown := [name for name in plan.figure.levels if name not in columns]:
        raise plans.PlanError(
            f"{plan.file}: [figure] levels: expected columns of the table, found {unknown[0]!r}; "
            f"there is {', '.join(sorted(columns))}."
        )


def _draw_levels(axes: Axes, plan: plans.Plan, groups: Sequence[Sequence[tables.Row]]) -> None:
    for number, name in enumerate(plan.figure.levels):
        values = [row[name] for rows in groups for row in rows if name in row]
        if values:
            style = LEVEL_STYLES[number % len(LEVEL_STYLES)]
            axes.axhline(statistics.mean(values), color="gray", linestyle=style, label=name)
