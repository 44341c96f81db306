"""Text from columns: one, or a template such as `"{premise} entails {hypothesis}"`.

As in Python's format strings, {{ and }} are braces.
"""

import functools
import json
import math
import re

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.tables import Columns, RowError, check_unicode

_BRACES = re.compile(r"\{\{|\}\}|\{([^{}]+)\}")  # what is one brace, or the name of a column
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)  # all but tab, newline and carriage return


def column_names(template: str) -> list[str]:
    """The columns a template needs; text without any is itself the name of one.

    Raises DataError for a template with a single brace.
    """
    return list(_columns(template))


@functools.cache  # rows are filled by the thousand
def _columns(template: str) -> tuple[str, ...]:
    names = tuple(name for name in _BRACES.findall(template) if name)
    if names and re.search("[{}]", _BRACES.sub("", template)):
        raise DataError(
            f"template {template!r}: expected columns in braces, found a single brace: write {{{{ or "
            "}} for one that is text"
        )
    return names or (template,)


def fill(template: str, columns: Columns) -> str:
    """The text of a column, or of a template with columns put in. Raises RowError if a value is no
    text.
    """
    if _columns(template) == (template,):
        return _text(template, columns)
    return _BRACES.sub(
        lambda match: _text(match[1], columns) if match[1] else match[0][0], template
    )


def without_control_characters(text: str) -> str:
    """Spaces in their place; tabs and line ends stay."""
    return _CONTROL.sub(" ", text)


def _text(name: str, columns: Columns) -> str:
    """A column's value as text; JSON's numbers and truth values as JSON writes them."""
    value = columns[name]
    if isinstance(value, str):
        check_unicode(value)
        return value
    if isinstance(value, bool | int) or (isinstance(value, float) and math.isfinite(value)):
        return json.dumps(value)
    raise RowError(f"column {name!r} holds {value!r:.40}, not text, a number or a truth value")
