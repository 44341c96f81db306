"""A plan of an experiment, read from TOML and checked: its cells, and the commands that each of them is.

    name = "length"
    gin_files = ["models/pocket_t5.gin"]    # of every cell, before those of its axes
    metric = "accuracy"                     # the score that is shown
    [bindings]                              # of every cell: --gin.NAME=VALUE
    TRAIN_STEPS = 400
    [axes.task]                             # axis -> value -> what differs; cells are the product of all axes
    spam = { gin_files = ["tasks/spam.gin"] }
    [axes.length]
    "20" = { bindings = { PROMPT_LENGTH = 20 }, x = 20 }    # x: its place on a numeric axis of a figure
    [axes.seed]
    "0" = { bindings = { SEED = 0 } }       # trains = false: there is nothing to train, only to evaluate
    [evaluations.test]                      # what is evaluated of each cell once it is trained
    bindings = { EVAL_SPLIT = "test" }
    [ensemble]                              # optional: also evaluates all along this axis together
    axis = "seed"
    [figure]
    kind = "curve"                          # or "table"
    x = "length"; series = "task"; over = "seed"            # each on a line of its own; panel, log_x, x_label, levels

Texts that begin with @ or % are gin's references. What comes later wins: the plan's, the axes' in their
order, the evaluation's; bindings win over files. Nothing is run here (run.py), printed (commands.py) or
read back (collect.py).
"""

from collections.abc import Callable, Collection, Mapping, Sequence
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

from prompt_tuning.gin_folder import GIN_FOLDER

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

SHIPPED = pathlib.Path(__file__).parent / "plans"
EVALUATION = "evaluation"
COLUMNS = (EVALUATION, "ensemble", "trained", "steps")  # of a table of scores, beside axes
KINDS = ("curve", "table")
FOLDERS = ("MODEL_DIR", "EVAL_OUTPUT_DIR")  # the runner's to set
_NEEDED = object()


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
    """

    settings: Settings
    trains: bool = True
    x: float | None = None


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
    """One value of each axis: a run, and its evaluations. All is in OUT/cells/ID."""

    settings: Settings
    trains: bool = True

    def folder(self, out: pathlib.Path) -> pathlib.Path:
        return out / "cells" / self.id

    def evaluation_folder(self, out: pathlib.Path, name: str) -> pathlib.Path:
        return self.folder(out) / "evaluations" / name

    def learned(self, out: pathlib.Path) -> Mapping[str, Any]:
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
      figure: what is drawn.
      ensemble: the axis whose cells are also evaluated together.
    """

    file: pathlib.Path
    name: str
    metric: str
    settings: Settings
    axes: Mapping[str, Mapping[str, Choice]]
    evaluations: Mapping[str, Settings]
    figure: Figure
    ensemble: str | None = None

    def cells(self, only: Mapping[str, Sequence[str]] | None = None) -> list[Cell]:
        """The product of the axes, the last one's values next to each other.

        Args:
          only: of these axes, the values to keep. Raises PlanError where there is no such.
        """
        only = only or {}
        for axis, values in only.items():
            _check_known(axis, self.axes, f"--only {axis}: there is no axis {axis!r}")
            for value in values:
                what = f"--only {axis}={value}: the axis {axis} has no value {value!r}"
                _check_known(value, self.axes[axis], what)
        kept = [
            [value for value in choices if axis not in only or value in only[axis]]
            for axis, choices in self.axes.items()
        ]
        return [self._cell(dict(zip(self.axes, values))) for values in itertools.product(*kept)]

    def _cell(self, values: Mapping[str, str]) -> Cell:
        choices = [self.axes[axis][value] for axis, value in values.items()]
        settings = sum((choice.settings for choice in choices), self.settings)
        evaluations = {name: settings + differs for name, differs in self.evaluations.items()}
        return Cell(values, evaluations, settings, all(choice.trains for choice in choices))

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
        """Each name takes its gin text wherever the plan binds it; one that it does not, in every cell."""
        for name in given:
            _check_binding(name, f"--binding {name}")
        choices = [choice for axis in self.axes.values() for choice in axis.values()]
        parts = [self.settings, *(choice.settings for choice in choices)]
        bound = {name for x in [*parts, *self.evaluations.values()] for name in x.bindings}

        def change(settings: Settings, new: Mapping[str, str] | None = None) -> Settings:
            changed = {name: given.get(name, text) for name, text in settings.bindings.items()}
            return Settings(settings.gin_files, {**changed, **(new or {})})

        return dataclasses.replace(
            self,
            settings=change(
                self.settings, {name: x for name, x in given.items() if name not in bound}
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


def read(name: str) -> Plan:
    """The plan in a TOML file, or the shipped one of this name; raises PlanError."""
    file = pathlib.Path(name)
    if not file.is_file():
        shipped = [path.stem for path in SHIPPED.glob("*.toml")]
        _check_known(
            name, shipped, f"There is no plan file {name}, nor a shipped plan of that name"
        )
        file = SHIPPED / f"{name}.toml"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise PlanError(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOML's or UTF-8's
        raise PlanError(f"{file} is no TOML file: {error}.") from error
    return _plan(content, file)


def _plan(content: Mapping[str, Any], file: pathlib.Path) -> Plan:
    top = _Section(content, file)
    metric = top.value("metric", "text")
    axes = {
        _axis_name(name, metric, axis): _axis(axis) for name, axis in top.sections("axes").items()
    }
    ensemble = top.section("ensemble", optional=True)
    plan = Plan(
        file,
        top.value("name", "text"),
        metric,
        _settings(top),
        axes,
        {
            _evaluation_name(name, part): _only_settings(part)
            for name, part in top.sections("evaluations").items()
        },
        _figure(top.section("figure"), axes),
        ensemble and _played_by(ensemble, "axis", axes, needed=True),
    )
    top.check_unknown()
    if ensemble:
        ensemble.check_unknown()
    return plan


def _axis_name(name: str, metric: str, axis: "_Section") -> str:
    if name in (*COLUMNS, metric) or not re.fullmatch(r"[A-Za-z]\w*", name):
        raise PlanError(
            f"{axis.place} an axis needs a name of letters, digits and _ that is none of the "
            f"columns {', '.join((*COLUMNS, metric))}, found {name!r}."
        )
    return name


def _axis(axis: "_Section") -> dict[str, Choice]:
    choices, slugs = {}, {}
    for value, part in axis.sections().items():
        if not slug(value):
            raise PlanError(f"{part.place} a value needs a letter or a digit, found {value!r}.")
        if (other := slugs.setdefault(slug(value), value)) != value:
            raise PlanError(
                f"{part.place} {value!r} and {other!r} would share the folder name "
                f"{slug(value)!r}: rename one."
            )
        trains = part.value("trains", "true or false", True)
        x = part.value("x", "a finite number", None)
        choices[value] = Choice(_only_settings(part), trains, None if x is None else float(x))
    without = [value for value, choice in choices.items() if choice.x is None]
    if 0 < len(without) < len(choices):
        raise PlanError(
            f"{axis.place} x must be given for every value or for none, and {', '.join(without)} "
            "lacks it."
        )
    return choices


def _evaluation_name(name: str, part: "_Section") -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise PlanError(
            f"{part.place} an evaluation's name is a folder's: letters, digits, . _ and -, found "
            f"{name!r}."
        )
    return name


def _figure(part: "_Section", axes: Mapping[str, Mapping[str, Choice]]) -> Figure:
    kind = part.value("kind", "text")
    _check_known(kind, KINDS, f"{part.place} there is no kind {kind!r}")
    played = {
        role: _played_by(part, role, [*axes, EVALUATION], kind == "curve" and role == "x")
        for role in ("x", "series", "panel", "over")
    }
    log_x = part.value("log_x", "true or false", False)
    if log_x:
        for value, choice in axes.get(played["x"], {"": Choice(Settings())}).items():
            if choice.x is None or choice.x <= 0:
                raise PlanError(
                    f"{part.place} log_x needs an axis whose values have an x above 0, found "
                    f"{played['x']} {value} with x = {choice.x}."
                )
    label, levels = part.value("x_label", "text", None), part.value("levels", "a list of texts", [])
    part.check_unknown()
    return Figure(kind, **played, log_x=log_x, x_label=label, levels=tuple(levels))


def _played_by(part: "_Section", role: str, axes: Collection[str], needed: bool) -> str | None:
    axis = part.value(role, "text", _NEEDED if needed else None)
    if axis is not None:
        _check_known(axis, axes, f"{part.place} {role}: there is no axis {axis!r}")
    return axis


def _only_settings(part: "_Section") -> Settings:
    settings = _settings(part)
    part.check_unknown()
    return settings


def _settings(part: "_Section") -> Settings:
    files = part.value("gin_files", "a list of texts", [])
    for file in files:
        if not any(os.path.isfile(folder / file) for folder in (pathlib.Path(), GIN_FOLDER)):
            known = [str(path.relative_to(GIN_FOLDER)) for path in GIN_FOLDER.rglob("*.gin")]
            _check_known(
                file, known, f"{part.place} gin_files: there is no gin file {file!r}", False
            )
    bindings = {}
    for name, value in part.value("bindings", "a table", {}).items():
        place = f"{part.place} bindings: {name}"
        if isinstance(value, Mapping) and not name.isupper() and "." not in name:
            first = next(iter(value), "NAME")
            raise PlanError(
                f"{place} is a table: a dotted name needs quotes, as in "
                f'"{name}.{first}" = ..., for TOML divides it otherwise.'
            )
        _check_binding(name, place)
        try:
            bindings[name] = gin_text(value)
        except TypeError as error:
            raise PlanError(f"{place}: {error}, found {value}.") from error
    return Settings(tuple(files), bindings)


def _check_binding(name: str, place: str) -> None:
    if name in FOLDERS:
        raise PlanError(f"{place} is set for each cell: leave it out, and give --out.")
    if not re.fullmatch(r"(\w+/)*\w+(\.\w+)*", name):
        raise PlanError(f"{place}: expected the name of a macro or Name.argument, found {name!r}.")


def _check_known(name: str, known: Collection[str], what: str, lists: bool = True) -> None:
    """Raises PlanError that says `what`, and which names are near, if `name` is not among `known`."""
    if name in known:
        return
    near = difflib.get_close_matches(name, list(known), n=3, cutoff=0.5)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    if not near and lists:
        hint = f" There is {', '.join(sorted(known))}." if known else " There is none."
    raise PlanError(f"{what}.{hint}")


_EXPECTED: dict[str, Callable[[Any], bool]] = {
    "text": lambda x: isinstance(x, str) and bool(x),
    "a list of texts": lambda x: (
        isinstance(x, list) and all(isinstance(part, str) and part for part in x)
    ),
    "true or false": lambda x: isinstance(x, bool),
    "a finite number": lambda x: (
        isinstance(x, int | float) and not isinstance(x, bool) and math.isfinite(x)
    ),
    "a table": lambda x: isinstance(x, Mapping),
}


class _Section:
    """A table of the plan file that is taken key by key; what nobody took is unknown."""

    def __init__(self, content: Any, file: pathlib.Path, path: tuple[str, ...] = ()):
        self._content, self._file, self._path = content, file, path
        self._taken: set[str] = set()
        if not isinstance(content, Mapping):
            raise PlanError(f"{self.place} expected a table, found {content!r}.")

    @property
    def place(self) -> str:
        return f"{self._file}: [{'.'.join(self._path)}]" if self._path else f"{self._file}:"

    def value(self, key: str, expected: str, default: Any = _NEEDED) -> Any:
        self._taken.add(key)
        if key not in self._content:
            if default is _NEEDED:
                near = difflib.get_close_matches(key, list(self._content), n=1)
                hint = f" Is it {near[0]}?" if near else ""
                raise PlanError(f"{self.place} {key} is missing: expected {expected}.{hint}")
            return default
        if not _EXPECTED[expected](value := self._content[key]):
            raise PlanError(f"{self.place} {key} must be {expected}, found {value!r}.")
        return value

    def section(self, key: str, optional: bool = False) -> "_Section | None":
        if optional and key not in self._content:
            self._taken.add(key)
            return None
        return self._below(key, self.value(key, "a table"))

    def sections(self, key: str | None = None) -> "dict[str, _Section]":
        """The tables in this one, or in that which stands at `key`, of which there must be one."""
        if key is not None:
            return self.section(key).sections()
        if not self._content:
            raise PlanError(f"{self.place} is empty: expected at least one table in it.")
        self._taken.update(self._content)
        return {name: self._below(name, part) for name, part in self._content.items()}

    def _below(self, name: str, content: Any) -> "_Section":
        return _Section(content, self._file, (*self._path, name))

    def check_unknown(self) -> None:
        for key in self._content:
            _check_known(key, self._taken, f"{self.place} there is no key {key!r}")
