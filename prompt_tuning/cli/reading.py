"""Gin files and flags into gin, keeping where each value was set.

What the values must be is checking.py's part.
"""

from collections.abc import Iterator, Sequence
import contextlib
import dataclasses
import difflib
import functools
import importlib
import io
import os
import pathlib
import pprint
import re
import tokenize
import types
from typing import Any

import gin
from gin import config_parser

from prompt_tuning import gin_registration
from prompt_tuning.gin_folder import GIN_FOLDER

DEFAULTS = "defaults.gin"
MACRO = "gin.macro"
Key = tuple[str, str, str]  # scope, name, argument; a macro's are (name, MACRO, "value")


class ConfigError(ValueError):
    """A configuration that cannot be run; the message names what to change, and where."""


@dataclasses.dataclass
class Sources:
    """Where everything was said.

    Attributes:
      places: of each binding that counts: a file and line, or a flag.
      mentions: of each macro that any value refers to: where it does so first.
    """

    places: dict[Key, str] = dataclasses.field(default_factory=dict)
    mentions: dict[str, str] = dataclasses.field(default_factory=dict)

    def place(self, key: Key) -> str:
        return self.places.get(key, "the defaults")


def read(
    files: Sequence[str], search_paths: Sequence[str], bindings: Sequence[tuple[str, str]]
) -> Sources:
    """Replaces gin's configuration: the defaults, then the files, then `--gin.NAME=VALUE`.

    Raises ConfigError for files that are not there or are no gin, and for unknown names.
    """
    gin.clear_config()
    reader = _Reader([pathlib.Path(), *map(pathlib.Path, search_paths)])
    for file in [DEFAULTS, *files]:
        reader.file(file, "--gin_file")
    for name, value in bindings:
        reader.flag(name, value)
    return reader.sources


def configuration() -> str:
    """All that gin used to make the arguments, defaults included, as gin that makes them again."""
    with _mappings_in_order():
        text = gin.operative_config_str()
    # What is made inside a macro is recorded in a scope of its name, where no flag would reach it.
    for macro in re.findall(r"^(\w+) = ", text, re.MULTILINE):
        text = re.sub(rf"^(# Parameters for )?{macro}/", r"\1", text, flags=re.MULTILINE)
    return text


@contextlib.contextmanager
def _mappings_in_order() -> Iterator[None]:
    """Gin writes values by pprint, which sorts a mapping's keys; their order means something here."""
    original = gin.config.pprint
    in_order = functools.partial(pprint.pformat, sort_dicts=False)
    # Its name for the module, so that nobody else's pprint changes.
    gin.config.pprint = types.SimpleNamespace(pformat=in_order)
    try:
        yield
    finally:
        gin.config.pprint = original


def macro_name(reference: Any) -> str | None:
    """The name behind `%NAME`; None for anything else."""
    if isinstance(reference, gin.config.ConfigurableReference) and reference.selector == MACRO:
        return "/".join(reference.scopes)
    return None


def references(value: Any) -> Iterator[Any]:
    """All references in a value, however deep."""
    if isinstance(value, gin.config.ConfigurableReference | _UnknownReference):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from references(part)
    elif isinstance(value, list | tuple):
        for part in value:
            yield from references(part)


def did_you_mean(name: str, names: Sequence[str]) -> str:
    """Words that say which of `names` are near, whatever their case; nothing if none is."""
    known = {other.lower(): other for other in names}
    near = difflib.get_close_matches(name.lower(), known, n=3, cutoff=0.5)
    return f" Did you mean {' or '.join(known[x] for x in near)}?" if near else ""


@dataclasses.dataclass(frozen=True)
class _UnknownReference:
    """`@name` where nothing is called so."""

    name: str


class _Delegate(gin.config.ParserDelegate):
    """Gin's own, but unknown references are left to whoever knows their place."""

    def configurable_reference(self, scoped_selector, evaluate):
        name = scoped_selector.split("/")[-1]
        if not _is_known(name):
            return _UnknownReference(name)
        return super().configurable_reference(scoped_selector, evaluate)


class _Reader:
    """Applies statements one by one, in the order in which later ones win."""

    def __init__(self, folders: Sequence[pathlib.Path]):
        self.sources = Sources()
        self._folders = [*folders, GIN_FOLDER]
        self._open: list[pathlib.Path] = []  # files that include the one being read

    def file(self, name: str, asked_by: str) -> None:
        path = self._find(name, asked_by)
        if path in self._open:
            raise ConfigError(f"{asked_by}: {path} includes itself")
        self._open.append(path)
        try:
            text = path.read_text(encoding="utf-8")
        except UnicodeDecodeError as error:
            raise ConfigError(f"{asked_by}: {path} is no gin file: not UTF-8") from error
        except OSError as error:
            raise ConfigError(f"{asked_by}: {path} cannot be read ({error.strerror})") from error
        for line, statement in _statements(text, str(path)):
            self._apply(statement, f"{path}, line {line}")
        self._open.pop()

    def flag(self, name: str, value: str) -> None:
        where = f"--gin.{name}"
        try:
            statements = list(_statements(f"{name} = {value}", where))
        except _NoGinError:  # text without quotes
            statements = list(_statements(f"{name} = {value!r}", where))
        for _, statement in statements:
            self._apply(statement, where)

    def _find(self, name: str, asked_by: str) -> pathlib.Path:
        for folder in self._folders:
            if os.path.isfile(folder / name):  # False also for what can be no name
                return folder / name
        known = sorted(str(path.relative_to(GIN_FOLDER)) for path in GIN_FOLDER.rglob("*.gin"))
        looked = ", ".join(str(folder) for folder in self._folders)
        raise ConfigError(
            f"{asked_by}: there is no gin file {name}.{did_you_mean(name, known)} "
            f"Looked in: {looked}."
        )

    def _apply(self, statement: Any, where: str) -> None:
        try:
            if isinstance(statement, config_parser.BindingStatement):
                self._bind(statement, where)
            elif isinstance(statement, config_parser.IncludeStatement):
                self.file(statement.filename, f"{where}: include")
            elif isinstance(statement, config_parser.ImportStatement):
                importlib.import_module(statement.module)
            else:  # the head of a block, whose bindings follow
                _check_known(statement.selector)
        except (_UnknownError, ImportError) as error:
            raise ConfigError(f"{where}: {error}") from error

    def _bind(self, statement: config_parser.BindingStatement, where: str) -> None:
        scope, name, argument = statement.scope, statement.selector, statement.arg_name
        for reference in references(statement.value):
            if isinstance(reference, _UnknownReference):
                _check_known(reference.name)
            if (macro := macro_name(reference)) is not None:
                self.sources.mentions.setdefault(macro, where)
        if argument:
            _check_known(name, argument)
            key = scope, name.split(".")[-1], argument
            gin.bind_parameter((scope, name, argument), _expanded(statement.value))
        else:
            key = "/".join(filter(None, (scope, name))), MACRO, "value"
            gin.bind_parameter(key, _expanded(statement.value))
        self.sources.places[key] = where


def _expanded(value: Any) -> Any:
    """The value with paths below ~ made whole, which the shell leaves as they are behind "="."""
    if isinstance(value, dict):
        return {key: _expanded(x) for key, x in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_expanded(x) for x in value)
    if isinstance(value, str) and value.startswith("~/"):
        return os.path.expanduser(value)
    return value


class _UnknownError(ValueError):
    """A name that stands for nothing."""


class _NoGinError(ConfigError):
    """Text that is not in gin's language."""


def _is_known(name: str) -> bool:
    try:
        return bool(gin.get_configurable(name))
    except ValueError:
        return False


def _check_known(name: str, argument: str | None = None) -> None:
    """Raises _UnknownError unless gin knows `name`, and `argument` is one of its."""
    if not _is_known(name):
        hint = did_you_mean(name, list(gin_registration.CONFIGURABLES))
        raise _UnknownError(f"nothing is called {name}.{hint}")
    if argument and argument not in (known := gin_registration.arguments_of(name)):
        hint = did_you_mean(argument, list(known))
        raise _UnknownError(f"{name} has no argument {argument}.{hint}")


def _statements(text: str, name: str) -> Iterator[tuple[int, Any]]:
    """(line, statement) of each; raises _NoGinError, by the line, where `text` is no gin."""
    line = 1
    try:
        for statement in config_parser.ConfigParser(io.StringIO(text), _Delegate()):
            line = statement.location.line_num
            yield line, statement
    except SyntaxError as error:
        raise _NoGinError(f"{name}, line {error.lineno}: {error.msg}") from error
    except tokenize.TokenError as error:
        raise _NoGinError(f"{name}, line {error.args[1][0]}: {error.args[0]}") from error
    except Exception as error:  # whatever Python makes of the text of a value
        raise _NoGinError(f"{name}, after line {line}: {error}") from error
