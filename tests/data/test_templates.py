"""Templates: columns in braces, braces that are text."""

import string

from hypothesis import given, strategies as st
import pytest

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.templates import column_names, fill


@pytest.mark.parametrize(
    "template, names, expected",
    [
        ("text", ["text"], "T"),
        ("{text}", ["text"], "T"),
        ("{a b} then {text}", ["a b", "text"], "{B} then T"),
        ("json {{x}}: {text}", ["text"], "json {x}: T"),
        ("{{{text}}}", ["text"], "{T}"),
        ("}}{{{{ {text}", ["text"], "}{{ T"),
        ('{{"q": {{"t": "{text}"}}}}', ["text"], '{"q": {"t": "T"}}'),
    ],
)
def test_columns_are_put_in_and_doubled_braces_are_one(template, names, expected):
    assert column_names(template) == names
    assert fill(template, {"text": "T", "a b": "{B}"}) == expected


@given(st.lists(st.sampled_from(["{text}", "{{", "}}", *string.ascii_letters, " :"])))
def test_as_python_s_format_strings(parts):
    template = "".join(["{text}", *parts])
    assert fill(template, {"text": "T"}) == template.format(text="T")


@pytest.mark.parametrize("template", ["{ {text}", "{text} }", '{"q": {"t": {text}}}', "{}{text}"])
def test_a_single_brace_beside_columns_is_refused(template):
    with pytest.raises(
        DataError, match="found a single brace: write {{ or }} for one that is text"
    ):
        column_names(template)


@pytest.mark.parametrize("template", ["no columns", "{{text}}", "{"])
def test_text_without_columns_is_the_name_of_one(template):
    assert column_names(template) == [template]
