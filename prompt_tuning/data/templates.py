"""Text from columns: one, or a template such as `"{premise} entails {hypothesis}"`."""

import json
import math
import re

from prompt_tuning.data.tables import Columns, RowError, check_unicode

_PLACEHOLDER = re.compile(r"\{([^{}]+)\}")
_CONTROL = re.compile(
    r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f]"
)  # all but tab, newline and carriage return


def column_names(template: str) -> list[str]:
    """The columns a template needs; text without braces is itself the name of one."""
    return _PLACEHOLDER.findall(template) or [template]


def fill(template: str, columns: Columns) -> str:
    """The text of a column, or of a template with columns put in. Raises RowError if a value is no
    text.
    """
    if not _PLACEHOLDER.search(template):
        return _text(template, columns)
    return _PLACEHOLDER.sub(lambda match: _text(match[1], columns), template)


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
