"""A plan's TOML file, read and checked.

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
    "0" = { bindings = { SEED = 0 } }       # trains = false: there is nothing to train, only to evaluate;
                                            # only = { task = ["spam"] }: no cells with other tasks;
                                            # learned_from = { task = "spam" }: trained on spam alone, and
                                            # evaluated with every task
    [evaluations.test]                      # what is evaluated of each cell once it is trained
    bindings = { EVAL_SPLIT = "test" }
    [ensemble]                              # optional: also evaluates all along this axis together
    axis = "seed"
    [figure]                                # only `plot` needs it
    kind = "curve"                          # or "table"
    x = "length"; series = "task"; over = "seed"            # each on a line of its own; panel, log_x, x_label, levels

Texts that begin with @ or % are gin's references; {size} in one stands for the cell's value of the axis
size. What comes later wins: the plan's, the axes' in their order, the evaluation's; bindings win over
files. What a plan is stands in plan.py.
"""

from collections.abc import Callable, Collection, Mapping
import difflib
import math
import os
import pathlib
import re
from typing import Any

from prompt_tuning.experiments import plan as plans
from prompt_tuning.gin_folder import GIN_FOLDER

try:
    import tomllib
except ImportError:  # Python 3.10
    import tomli as tomllib

SHIPPED = pathlib.Path(__file__).parent / "plans"
_NEEDED = object()


def read(name: str) -> plans.Plan:
    """The plan in a TOML file, or the shipped one of this name; raises PlanError."""
    file = pathlib.Path(name)
    if not file.is_file():
        shipped = [path.stem for path in SHIPPED.glob("*.toml")]
        plans.check_known(
            name, shipped, f"There is no plan file {name}, nor a shipped plan of that name"
        )
        file = SHIPPED / f"{name}.toml"
    try:
        content = tomllib.loads(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise plans.PlanError(f"{file} cannot be read ({error.strerror}).") from error
    except ValueError as error:  # TOML's or UTF-8's
        raise plans.PlanError(f"{file} is no TOML file: {error}.") from error
    return _plan(content, file)


def _plan(content: Mapping[str, Any], file: pathlib.Path) -> plans.Plan:
    top = _Section(content, file)
    metric = top.value("metric", "text")
    axes = {
        _axis_name(name, metric, axis): _axis(axis) for name, axis in top.sections("axes").items()
    }
    _check_only(file, axes)
    figure = top.section("figure", optional=True)
    ensemble = top.section("ensemble", optional=True)
    plan = plans.Plan(
        file,
        top.value("name", "text"),
        metric,
        _settings(top),
        axes,
        {
            _evaluation_name(name, part): _only_settings(part)
            for name, part in top.sections("evaluations").items()
        },
        figure and _figure(figure, axes, metric),
        ensemble and _played_by(ensemble, "axis", axes, needed=True),
    )
    top.check_unknown()
    if ensemble:
        ensemble.check_unknown()
    _check_places(plan)
    _check_sources(plan)
    return plan


def _axis_name(name: str, metric: str, axis: "_Section") -> str:
    if name in (*plans.COLUMNS, metric) or not re.fullmatch(r"[A-Za-z]\w*", name):
        raise plans.PlanError(
            f"{axis.place} an axis needs a name of letters, digits and _ that is none of the "
            f"columns {', '.join((*plans.COLUMNS, metric))}, found {name!r}."
        )
    return name


def _axis(axis: "_Section") -> dict[str, plans.Choice]:
    choices, slugs = {}, {}
    for value, part in axis.sections().items():
        if not plans.slug(value):
            raise plans.PlanError(
                f"{part.place} a value needs a letter or a digit, found {value!r}."
            )
        if (other := slugs.setdefault(plans.slug(value), value)) != value:
            raise plans.PlanError(
                f"{part.place} {value!r} and {other!r} would share the folder name "
                f"{plans.slug(value)!r}: rename one."
            )
        trains = part.value("trains", "true or false", True)
        x = part.value("x", "a finite number", None)
        only, source = _only(part), _learned_from(part)
        choices[value] = plans.Choice(
            _only_settings(part), trains, None if x is None else float(x), only, source
        )
    without = [value for value, choice in choices.items() if choice.x is None]
    if 0 < len(without) < len(choices):
        raise plans.PlanError(
            f"{axis.place} x must be given for every value or for none, and {', '.join(without)} "
            "lacks it."
        )
    return choices


def _only(choice: "_Section") -> dict[str, list[str]]:
    part = choice.section("only", optional=True)
    if part is None:
        return {}
    return {axis: part.value(axis, "a list of texts") for axis in part.keys()}


def _learned_from(choice: "_Section") -> dict[str, str]:
    part = choice.section("learned_from", optional=True)
    return {} if part is None else {axis: part.value(axis, "text") for axis in part.keys()}


def _check_only(file: pathlib.Path, axes: Mapping[str, Mapping[str, plans.Choice]]) -> None:
    """Raises PlanError where a value goes with, or is learned from, what there is not."""
    for axis, choices in axes.items():
        for value, choice in choices.items():
            sources = {other: [name] for other, name in choice.learned_from.items()}
            for key, named in (("only", choice.only), ("learned_from", sources)):
                place = f"{file}: [axes.{axis}.{value}] {key}:"
                for other, names in named.items():
                    plans.check_known(other, axes, f"{place} there is no axis {other!r}")
                    for name in names:
                        what = f"{place} {other} has no value {name!r}"
                        plans.check_known(name, axes[other], what)


def _check_sources(plan: plans.Plan) -> None:
    """Raises PlanError unless cells are trained before others are evaluated by them."""
    before = set()
    for cell in plan.cells():
        before.add(cell.id)
        if cell.source is not None and not (cell.source.trains and cell.source.id in before):
            raise plans.PlanError(
                f"{plan.file}: learned_from: {cell.id} is learned from {cell.source.id}, which must be "
                "a cell that trains, before it: put its value first of its axis."
            )


def _check_places(plan: plans.Plan) -> None:
    """Raises PlanError where {name} in a binding is nearly an axis; others are the program's own."""
    choices = [choice.settings for axis in plan.axes.values() for choice in axis.values()]
    for settings in (plan.settings, *choices, *plan.evaluations.values()):
        for bound, text in settings.bindings.items():
            for name in re.findall(r"{(\w+)}", text):
                if name not in plan.axes and (
                    near := difflib.get_close_matches(name, plan.axes, n=1)
                ):
                    raise plans.PlanError(
                        f"{plan.file}: {bound} has {{{name}}}, and there is no axis {name!r}. Did you "
                        f"mean {{{near[0]}}}?"
                    )


def _evaluation_name(name: str, part: "_Section") -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise plans.PlanError(
            f"{part.place} an evaluation's name is a folder's: letters, digits, . _ and -, found "
            f"{name!r}."
        )
    return name


def _figure(
    part: "_Section", axes: Mapping[str, Mapping[str, plans.Choice]], metric: str
) -> plans.Figure:
    kind = part.value("kind", "text")
    plans.check_known(kind, plans.KINDS, f"{part.place} there is no kind {kind!r}")
    played = {
        role: _played_by(part, role, [*axes, plans.EVALUATION], kind == "curve" and role == "x")
        for role in ("x", "series", "panel", "over")
    }
    if kind == "table":  # which has no x axis to speak of, and no levels
        part.check_unknown(" of a table")
        return plans.Figure(kind, **played)
    log_x = part.value("log_x", "true or false", False)
    if log_x:
        for value, choice in axes.get(played["x"], {"": plans.Choice(plans.Settings())}).items():
            if choice.x is None or choice.x <= 0:
                raise plans.PlanError(
                    f"{part.place} log_x needs an axis whose values have an x above 0, found "
                    f"{played['x']} {value} with x = {choice.x}."
                )
    label, levels = part.value("x_label", "text", None), part.value("levels", "a list of texts", [])
    part.check_unknown()
    if plans.MAJORITY in levels and metric != "accuracy":
        raise plans.PlanError(
            f"{part.place} levels: {plans.MAJORITY!r} is an accuracy, and metric is {metric!r}: leave "
            "it out."
        )
    return plans.Figure(kind, **played, log_x=log_x, x_label=label, levels=tuple(levels))


def _played_by(part: "_Section", role: str, axes: Collection[str], needed: bool) -> str | None:
    axis = part.value(role, "text", _NEEDED if needed else None)
    if axis is not None:
        plans.check_known(axis, axes, f"{part.place} {role}: there is no axis {axis!r}")
    return axis


def _only_settings(part: "_Section") -> plans.Settings:
    settings = _settings(part)
    part.check_unknown()
    return settings


def _settings(part: "_Section") -> plans.Settings:
    files = part.value("gin_files", "a list of texts", [])
    for file in files:
        if not any(os.path.isfile(folder / file) for folder in (pathlib.Path(), GIN_FOLDER)):
            known = [str(path.relative_to(GIN_FOLDER)) for path in GIN_FOLDER.rglob("*.gin")]
            plans.check_known(
                file, known, f"{part.place} gin_files: there is no gin file {file!r}", False
            )
    bindings = {}
    for name, value in part.value("bindings", "a table", {}).items():
        place = f"{part.place} bindings: {name}"
        if isinstance(value, Mapping) and not name.isupper() and "." not in name:
            first = next(iter(value), "NAME")
            raise plans.PlanError(
                f"{place} is a table: a dotted name needs quotes, as in "
                f'"{name}.{first}" = ..., for TOML divides it otherwise.'
            )
        plans.check_binding(name, place)
        try:
            bindings[name] = plans.gin_text(value)
        except TypeError as error:
            raise plans.PlanError(f"{place}: {error}, found {value}.") from error
    return plans.Settings(tuple(files), bindings)


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
            raise plans.PlanError(f"{self.place} expected a table, found {content!r}.")

    @property
    def place(self) -> str:
        return f"{self._file}: [{'.'.join(self._path)}]" if self._path else f"{self._file}:"

    def value(self, key: str, expected: str, default: Any = _NEEDED) -> Any:
        self._taken.add(key)
        if key not in self._content:
            if default is _NEEDED:
                near = difflib.get_close_matches(key, list(self._content), n=1)
                hint = f" Is it {near[0]}?" if near else ""
                raise plans.PlanError(f"{self.place} {key} is missing: expected {expected}.{hint}")
            return default
        if not _EXPECTED[expected](value := self._content[key]):
            raise plans.PlanError(f"{self.place} {key} must be {expected}, found {value!r}.")
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
            raise plans.PlanError(f"{self.place} is empty: expected at least one table in it.")
        self._taken.update(self._content)
        return {name: self._below(name, part) for name, part in self._content.items()}

    def keys(self) -> list[str]:
        return list(self._content)

    def _below(self, name: str, content: Any) -> "_Section":
        return _Section(content, self._file, (*self._path, name))

    def check_unknown(self, of: str = "") -> None:
        for key in self._content:
            plans.check_known(key, self._taken, f"{self.place} there is no key {key!r}{of}")
