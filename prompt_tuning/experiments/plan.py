"""A plan of an experiment: its cells, and the commands that each of them is.

plan_file.py reads one. Nothing is run here (run.py), printed (commands.py) or read back (collect.py).
"""

from collections.abc import Collection, Mapping, Sequence
import dataclasses
import datetime
import difflib
import itertools
import json
import math
import os
import pathlib
import re
from typing import Any

EVALUATION = "evaluation"
MAJORITY = "majority class"
COLUMNS = (
    EVALUATION,
    "ensemble",
    "kept",
    "steps",
    MAJORITY,
)  # of a table of scores, beside axes
CELLS = "cells"  # the folder of all of them
KINDS = ("curve", "table")
FOLDERS = ("MODEL_DIR", "EVAL_OUTPUT_DIR")  # the runner's to set


class PlanError(ValueError):
    """A plan that cannot be carried out; the message names the file and what to change there."""


@dataclasses.dataclass(frozen=True)
class Settings:
    """What a command is told beside its folders.

    Attributes:
      gin_files: in order; later ones win.
      bindings: name -> value, as gin text.
    """

    gin_files: tuple[str, ...] = ()
    bindings: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def __add__(self, later: "Settings") -> "Settings":
        return Settings(self.gin_files + later.gin_files, {**self.bindings, **later.bindings})

    def filled(self, values: Mapping[str, str]) -> "Settings":
        """With each {axis} in the bindings' texts replaced by the cell's value of that axis; braces
        around another name stay."""
        places = re.compile("|".join(re.escape(f"{{{axis}}}") for axis in values))

        def fill(place: re.Match[str]) -> str:
            return json.dumps(values[place[0][1:-1]], ensure_ascii=False)[1:-1]

        bindings = {name: places.sub(fill, text) for name, text in self.bindings.items()}
        return dataclasses.replace(self, bindings=bindings)

    def command(self, python: str, program: str, paths: Mapping[str, Any]) -> list[str]:
        """The words of `python -m prompt_tuning.PROGRAM`, with `paths` bound too."""
        bindings = {**self.bindings, **{name: gin_text(path) for name, path in paths.items()}}
        files = [f"--gin_file={file}" for file in self.gin_files]
        flags = [f"--gin.{name}={value}" for name, value in bindings.items()]
        return [python, "-m", f"prompt_tuning.{program}", *files, *flags]


@dataclasses.dataclass(frozen=True)
class Choice:
    """A value of an axis.

    Attributes:
      settings: what differs.
      trains: whether there is anything to train.
      x: its place on a numeric axis of a figure.
      only: of other axes, the values that it goes with; all of an axis that is not named.
      learned_from: of other axes, the value of the cell that trains for all others, which are then
        but evaluated.
    """

    settings: Settings
    trains: bool = True
    x: float | None = None
    only: Mapping[str, Sequence[str]] = dataclasses.field(default_factory=dict)
    learned_from: Mapping[str, str] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True)
class Figure:
    """What is drawn of the scores: names of axes, or "evaluation", by the part that they play.

    Attributes:
      kind: "curve" or "table".
      x: along which a curve goes.
      series: a line, or a column, for each value.
      panel: a panel for each value.
      over: what mean and standard deviation are over.
      log_x: whether x is logarithmic.
      x_label: None for the axis's name.
      levels: names of horizontal lines.
    """

    kind: str
    x: str | None = None
    series: str | None = None
    panel: str | None = None
    over: str | None = None
    log_x: bool = False
    x_label: str | None = None
    levels: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Job:
    """What a cell and an ensemble share: evaluations of something that is learned, or given.

    Attributes:
      values: axis -> its value.
      evaluations: name -> everything that this evaluation is told.
    """

    values: Mapping[str, str]
    evaluations: Mapping[str, Settings]

    @property
    def id(self) -> str:
        return "--".join(map(slug, self.values.values()))

    def folder(self, out: pathlib.Path) -> pathlib.Path:
        raise NotImplementedError

    def evaluation_folder(self, out: pathlib.Path, name: str) -> pathlib.Path:
        raise NotImplementedError

    def learned(self, out: pathlib.Path) -> Mapping[str, Any]:
        """The binding that says what is evaluated."""
        raise NotImplementedError

    def train_command(self, python: str, out: pathlib.Path) -> list[str] | None:
        """None where there is nothing to train."""
        del python, out
        return None

    def eval_commands(self, python: str, out: pathlib.Path) -> dict[str, list[str]]:
        """Of each evaluation, by its name."""
        return {
            name: settings.command(
                python,
                "eval",
                {**self.learned(out), "EVAL_OUTPUT_DIR": self.evaluation_folder(out, name)},
            )
            for name, settings in self.evaluations.items()
        }


@dataclasses.dataclass(frozen=True)
class Cell(Job):
    """One value of each axis: a run, and its evaluations. All is in OUT/cells/ID.

    Attributes:
      settings: of the run.
      trains: whether there is a run.
      source: another cell, whose run is evaluated here.
    """

    settings: Settings
    trains: bool = True
    source: "Cell | None" = None

    def folder(self, out: pathlib.Path) -> pathlib.Path:
        return out / CELLS / self.id

    def evaluation_folder(self, out: pathlib.Path, name: str) -> pathlib.Path:
        return self.folder(out) / "evaluations" / name

    def learned(self, out: pathlib.Path) -> Mapping[str, Any]:
        if self.source is not None:
            return self.source.learned(out)
        return {"PROMPT_FILE": self.folder(out)} if self.trains else {}

    def train_command(self, python: str, out: pathlib.Path) -> list[str] | None:
        if not self.trains:
            return None
        return self.settings.command(python, "train", {"MODEL_DIR": self.folder(out)})


@dataclasses.dataclass(frozen=True)
class Ensemble(Job):
    """Cells that differ along one axis, evaluated together. All is in OUT/ensembles/ID.

    Attributes:
      members: their settings are the first one's.
    """

    members: tuple[Cell, ...]

    @property
    def id(self) -> str:
        return super().id or "all"  # where there is no other axis

    def folder(self, out: pathlib.Path) -> pathlib.Path:
        return out / "ensembles" / self.id

    def evaluation_folder(self, out: pathlib.Path, name: str) -> pathlib.Path:
        return self.folder(out) / name

    def learned(self, out: pathlib.Path) -> Mapping[str, Any]:
        return {"PROMPT_FILE": [member.folder(out) for member in self.members]}


@dataclasses.dataclass(frozen=True)
class Plan:
    """A plan that is whole and consistent.

    Attributes:
      file: where it stands.
      name: of the experiment.
      metric: the score that is shown.
      settings: of every cell.
      axes: axis -> value -> what differs.
      evaluations: name -> what differs.
      figure: what is drawn; None for a plan that is never drawn.
      ensemble: the axis whose cells are also evaluated together.
    """

    file: pathlib.Path
    name: str
    metric: str
    settings: Settings
    axes: Mapping[str, Mapping[str, Choice]]
    evaluations: Mapping[str, Settings]
    figure: Figure | None
    ensemble: str | None = None

    def cells(self, only: Mapping[str, Sequence[str]] | None = None) -> list[Cell]:
        """The product of the axes, the last one's values next to each other, but for what does not go
        together (`Choice.only`).

        Args:
          only: of these axes, the values to keep. Raises PlanError where there is no such.
        """
        only = only or {}
        for axis, values in only.items():
            check_known(axis, self.axes, f"--only {axis}: there is no axis {axis!r}")
            for value in values:
                what = f"--only {axis}={value}: the axis {axis} has no value {value!r}"
                check_known(value, self.axes[axis], what)
        kept = [
            [value for value in choices if axis not in only or value in only[axis]]
            for axis, choices in self.axes.items()
        ]
        product = [dict(zip(self.axes, values)) for values in itertools.product(*kept)]
        return [self._cell(values) for values in product if self._goes_together(values)]

    def _goes_together(self, values: Mapping[str, str]) -> bool:
        choices = [self.axes[axis][value] for axis, value in values.items()]
        return all(
            values[axis] in allowed for choice in choices for axis, allowed in choice.only.items()
        )

    def _cell(self, values: Mapping[str, str]) -> Cell:
        choices = [self.axes[axis][value] for axis, value in values.items()]
        settings = sum((choice.settings for choice in choices), self.settings)
        evaluations = {
            name: (settings + differs).filled(values) for name, differs in self.evaluations.items()
        }
        elsewhere = {**values, **{k: x for c in choices for k, x in c.learned_from.items()}}
        source = None if elsewhere == values else self._cell(elsewhere)
        trains = source is None and all(choice.trains for choice in choices)
        return Cell(values, evaluations, settings.filled(values), trains, source)

    def ensembles(self, cells: Sequence[Cell]) -> list[Ensemble]:
        """Those that have all their members among `cells`, and something to vote on: trained prompts."""
        if self.ensemble is None:
            return []
        groups: dict[tuple[str, ...], list[Cell]] = {}
        for cell in cells:
            others = {axis: x for axis, x in cell.values.items() if axis != self.ensemble}
            groups.setdefault(tuple(others.values()), []).append(cell)
        axes = [axis for axis in self.axes if axis != self.ensemble]
        return [
            Ensemble(dict(zip(axes, values)), members[0].evaluations, tuple(members))
            for values, members in groups.items()
            if len(members) == len(self.axes[self.ensemble])
            and all(member.trains for member in members)
        ]

    def with_bindings(self, given: Mapping[str, str]) -> "Plan":
        """Each name takes its gin text in every cell, whatever the plan binds it to where; one that only
        evaluations bind, in these alone."""
        for name in given:
            check_binding(name, f"--binding {name}")
        choices = [choice for axis in self.axes.values() for choice in axis.values()]
        of_cells = {*self.settings.bindings}.union(*(x.settings.bindings for x in choices))
        evaluated = {name for x in self.evaluations.values() for name in x.bindings} - of_cells

        def change(settings: Settings, new: Mapping[str, str] | None = None) -> Settings:
            changed = {name: given.get(name, text) for name, text in settings.bindings.items()}
            return Settings(settings.gin_files, {**changed, **(new or {})})

        return dataclasses.replace(
            self,
            settings=change(
                self.settings, {name: x for name, x in given.items() if name not in evaluated}
            ),
            axes={
                axis: {
                    value: dataclasses.replace(choice, settings=change(choice.settings))
                    for value, choice in choices.items()
                }
                for axis, choices in self.axes.items()
            },
            evaluations={name: change(settings) for name, settings in self.evaluations.items()},
        )


def slug(value: str) -> str:
    """A value as part of a folder's name: "prompt tuning" -> "prompt-tuning"; none has "--" in it."""
    return re.sub(r"[^a-z0-9]+", "-", value.lower()).strip("-")


def gin_text(value: Any) -> str:
    """A value as gin writes it; texts that begin with @ or % are references.

    Raises TypeError for what gin has no way to write.
    """
    if isinstance(value, str):  # in double quotes, for a shell wants single ones around the flag
        return value if value.startswith(("@", "%")) else json.dumps(value, ensure_ascii=False)
    if isinstance(value, list):
        return f"[{', '.join(map(gin_text, value))}]"
    if isinstance(value, Mapping):
        parts = (
            f"{json.dumps(key, ensure_ascii=False)}: {gin_text(x)}" for key, x in value.items()
        )
        return f"{{{', '.join(parts)}}}"
    if isinstance(value, os.PathLike):
        return json.dumps(os.fspath(value), ensure_ascii=False)
    if isinstance(value, datetime.date | datetime.time):
        raise TypeError("gin has no dates and times: write a text")
    if isinstance(value, float) and not math.isfinite(value):
        raise TypeError("gin has finite numbers only")
    return repr(value)


def check_binding(name: str, place: str) -> None:
    if name in FOLDERS:
        raise PlanError(f"{place} is set for each cell: leave it out, and give --out.")
    if not re.fullmatch(r"(\w+/)*\w+(\.\w+)*", name):
        raise PlanError(f"{place}: expected the name of a macro or Name.argument, found {name!r}.")


def check_known(name: str, known: Collection[str], what: str, lists: bool = True) -> None:
    """Raises PlanError that says `what`, and which names are near, if `name` is not among `known`."""
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if not near and lists:
        hint = f" There is {', '.join(sorted(known))}." if known else " There is none."
    raise PlanError(f"{what}.{hint}")
