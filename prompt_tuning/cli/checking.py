"""Checks a configuration before anything is loaded: what is missing, unknown or of a wrong type.

Only what an entry point reaches is required; a macro that nobody sets leaves its argument's default.
"""

import collections.abc
import inspect
import os
import types
import typing
from typing import Any

from beartype import BeartypeConf
from beartype import door
import gin
import jax
from jaxtyping import AbstractArray

from prompt_tuning import gin_registration
from prompt_tuning.cli import reading

_CONF = BeartypeConf(is_pep484_tower=True)  # an int is a float where one is asked for
_REQUIRED = "%gin.REQUIRED"
_WORDS = {  # for what people write in gin
    int: "a whole number",
    float: "a number",
    str: "text",
    bool: "True or False",
    types.NoneType: "None",
    collections.abc.Callable: "a reference (@...)",
}
_NEVER_WRITTEN = (jax.Array, AbstractArray, os.PathLike)  # only calls from Python give them


def check(entry_point: str, sources: reading.Sources) -> list[str]:
    """Checks all that `entry_point` reaches, and binds unset macros to their arguments' defaults.

    Returns warnings. Raises ConfigError that lists everything that is wrong.
    """
    walk = _Walk(sources)
    walk.configurable("", entry_point)
    problems = [*walk.problems.values(), *_unknown_macros(sources)]
    if problems:
        raise reading.ConfigError("\n".join(problems))
    for macro, default in walk.defaults.items():
        gin.bind_parameter((macro, reading.MACRO, "value"), default)
    return _without_effect(sources, walk)


class _Walk:
    """Goes from an entry point through all references, and keeps what it meets."""

    def __init__(self, sources: reading.Sources):
        self.problems: dict[str, str] = {}  # the first one of each macro or argument
        self.defaults: dict[str, Any] = {}  # of macros that nobody sets
        self.visited: set[tuple[str, str]] = set()  # (scope, name)
        self._sources = sources
        self._open: list[str] = []  # macros whose value is being looked at

    def configurable(self, scope: str, name: str, called: bool = True) -> None:
        """Checks the arguments that are bound, and that all are which a call needs."""
        if (scope, name) in self.visited:
            return
        self.visited.add((scope, name))
        bound = _bindings(scope, name)
        for argument, described in gin_registration.arguments_of(name).items():
            what = f"{name}.{argument}"
            if argument in bound:
                place = self._place(scope, name, argument)
                self._value(bound[argument], described, what, place, scope)
            elif described.required and called:
                self._tell(
                    what, f"{what} is not set. Add --gin.{what}=... or a gin file that sets it."
                )

    def _tell(self, name: str, problem: str) -> None:
        self.problems.setdefault(name, problem)

    def _place(self, scope: str, name: str, argument: str) -> str:
        """Where the innermost scope that binds the argument does so."""
        parts = scope.split("/") if scope else []
        for length in range(len(parts), -1, -1):
            key = "/".join(parts[:length]), name, argument
            if key in self._sources.places:
                return self._sources.place(key)
        return self._sources.place(("", name, argument))

    def _value(
        self, value: Any, described: gin_registration.Argument, what: str, place: str, scope: str
    ) -> None:
        """Checks what is bound to `what` at `place`; references in it are met in `scope`."""
        macro = reading.macro_name(value)
        if macro is not None:
            self._macro(macro, described, what, place)
        elif isinstance(value, gin.config.ConfigurableReference):
            self._reference(value, described, what, place, scope)
        elif not (inner := list(reading.references(value))):
            if not _fits(value, described.hint):
                self._tell(
                    what.split()[0],
                    f"{place}: {what} must be {_spelled(described.hint)}, found {value!r}.",
                )
        else:
            anything = gin_registration.Argument(Any, inspect.Parameter.empty)
            for reference in inner:
                self._value(reference, anything, what, place, scope)

    def _macro(
        self, name: str, described: gin_registration.Argument, what: str, place: str
    ) -> None:
        self.visited.add((name, reading.MACRO))
        bound = _bindings(name, reading.MACRO)
        if name in self._open:
            self._tell(name, f"{place}: {name} refers to itself.")
        elif "value" in bound and repr(bound["value"]) != _REQUIRED:
            value_place = self._sources.place((name, reading.MACRO, "value"))
            self._open.append(name)
            # Gin makes a macro's value in a scope of the macro's name.
            self._value(bound["value"], described, f"{name} ({what})", value_place, name)
            self._open.pop()
        elif described.required:
            self._tell(
                name,
                f"{name} is not set, and {what} needs it ({place}). Add --gin.{name}=... or a gin "
                "file that sets it.",
            )
        else:
            self.defaults.setdefault(name, described.default)

    def _reference(
        self,
        reference: gin.config.ConfigurableReference,
        described: gin_registration.Argument,
        what: str,
        place: str,
        scope: str,
    ) -> None:
        name = reference.selector.split(".")[-1]
        target = gin_registration.CONFIGURABLES.get(name)
        parts = [hint for hint in _members(described.hint) if inspect.isclass(hint)]
        wanted = [hint for hint in parts if not _is_protocol(hint)]
        if inspect.isclass(target) and wanted and not any(issubclass(target, x) for x in wanted):
            self._tell(what, f"{place}: {what} must be {_spelled(described.hint)}, found @{name}.")
        elif not reference.evaluate and parts:
            self._tell(what, f"{place}: {what}: write @{name}() for @{name}.")
        self.configurable("/".join(reference.scopes) or scope, name, reference.evaluate)


def _bindings(scope: str, name: str) -> dict[str, Any]:
    selector = f"{scope}/{name}" if scope else name
    return gin.get_bindings(selector, resolve_references=False)


def _members(hint: Any) -> list[Any]:
    """Those of a union, or the one type, without None and without what may be anything."""
    union = typing.get_origin(hint) in (typing.Union, types.UnionType)
    members = typing.get_args(hint) if union else [hint]
    return [member for member in members if member not in (type(None), Any)]


def _is_protocol(hint: Any) -> bool:
    """Whether classes are one by what they have, without naming it as a base."""
    return getattr(hint, "_is_protocol", False)


def _fits(value: Any, hint: Any) -> bool:
    if isinstance(value, str):  # text is a sequence of texts too, but nobody means that
        return hint is Any or any(
            door.is_bearable(value, member, conf=_CONF)
            for member in _members(hint)
            if not _is_protocol(member)
            and typing.get_origin(member) is not collections.abc.Sequence
        )
    return door.is_bearable(value, hint, conf=_CONF)


def _spelled(hint: Any) -> str:
    """What has this type, in the words of who writes gin; what gin cannot write is left out."""
    parts = typing.get_args(hint)
    kind = typing.get_origin(hint) or hint
    if kind in (typing.Union, types.UnionType):
        written = [x for x in parts if not (inspect.isclass(x) and issubclass(x, _NEVER_WRITTEN))]
        return " or ".join(map(_spelled, written))
    if kind is collections.abc.Sequence:
        return f"[{_spelled(parts[0])}, ...]"
    if kind is collections.abc.Mapping:
        return f"{{{': '.join(map(_spelled, parts))}, ...}}"
    return _WORDS.get(kind) or kind.__name__


def _unknown_macros(sources: reading.Sources) -> list[str]:
    """Macros that are set, but that nothing refers to: mostly misspelt."""
    unknown = [
        (key[0], place)
        for key, place in sources.places.items()
        if key[1] == reading.MACRO and key[0] not in sources.mentions
    ]
    return [
        f"{place}: nothing uses a macro {name}.{reading.did_you_mean(name, list(sources.mentions))}"
        for name, place in unknown
    ]


def _without_effect(sources: reading.Sources, walk: _Walk) -> list[str]:
    """Flags that set what this run does not reach."""
    reached = {_what(scope, name) for scope, name in walk.visited}
    return [
        f"{place} has no effect: this run does not use {_what(scope, name)}."
        for (scope, name, _), place in sources.places.items()
        if place.startswith("--gin.") and _what(scope, name) not in reached
    ]


def _what(scope: str, name: str) -> str:
    """What users call it: a macro by its own name, which gin takes for a scope."""
    return scope if name == reading.MACRO else name
