"""Inputs without targets: lines in their places, tables by column, bad rows by number."""

import io
import sys
import types

import numpy as np
import pytest

from prompt_tuning.data import unlabelled
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.vocabulary import ByteVocabulary


@pytest.fixture
def write(tmp_path):
    def write_file(name, content):
        (tmp_path / name).write_bytes(content)
        return str(tmp_path / name)

    return write_file


def pairs(*arguments):
    return [(found.id, found.text) for found in unlabelled.read_inputs(*arguments)]


def test_lines_keep_their_numbers(write):
    path = write("inputs.txt", "grün\r\n\n  two words \n".encode())
    assert pairs(path) == [("1", "grün"), ("2", ""), ("3", "  two words ")]


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", types.SimpleNamespace(buffer=io.BytesIO(b"a\nb")))
    assert pairs("-") == [("1", "a"), ("2", "b")]


def test_a_column_or_a_template_of_a_table(write):
    path = write("inputs.tsv", b"key\tleft\tright\nx\tcat\tdog\ny\tred\tblue\n")
    assert pairs(path, "left") == [("2", "cat"), ("3", "red")]
    assert pairs(path, "{left} or {right}?", "key") == [
        ("x", "cat or dog?"),
        ("y", "red or blue?"),
    ]


def test_jsonl(write):
    path = write("inputs.jsonl", b'{"inputs": "a"}\n{"inputs": 3}\n')
    assert pairs(path) == [("1", "a"), ("2", "3")]


def test_an_id_that_comes_again_is_refused(write):
    path = write("inputs.csv", b"id,inputs\n1,a\n2,b\n1,c\n")
    with pytest.raises(DataError, match=r"inputs.csv, row 4: id '1' was there before"):
        unlabelled.read_inputs(path, id_column="id")


def test_rows_may_name_a_prompt(write):
    path = write("inputs.csv", b"inputs,task\na,spam\nb,rte\n")
    found = unlabelled.read_inputs(path, prompt_column="task")
    assert [(text.text, text.prompt) for text in found] == [("a", "spam"), ("b", "rte")]
    with pytest.raises(DataError, match="a.txt has no columns: several prompts need a .* 'task'"):
        unlabelled.read_inputs(write("a.txt", b"a"), prompt_column="task")


@pytest.mark.parametrize("name", ["inputs.txt", "inputs.json"])
def test_lines_have_nothing_for_a_template(write, name):
    path = write(name, b"red\n")
    with pytest.raises(
        DataError, match=f"INPUT_FILE .*{name} has no columns .* INPUTS '{{b}} {{a}}'"
    ):
        unlabelled.read_inputs(path, "{b} {a}")
    with pytest.raises(DataError, match="no columns to put into INPUTS 'premise: {a}'"):
        unlabelled.read_inputs("-", "premise: {a}")


@pytest.mark.parametrize("inputs", ["inputs", "{inputs}", "text"])
def test_lines_do_with_a_column_s_name_and_with_ids_of_their_own(write, inputs, caplog):
    assert pairs(write("inputs.txt", b"red\n"), inputs, "key") == [("1", "red")]
    assert "inputs.txt has no column ID_COLUMN 'key': an id is the line's number" in caplog.text


@pytest.mark.parametrize("name", ["a.TSV", "a.Csv", "a.JSONL"])
def test_the_case_of_a_suffix_is_nothing(write, name):
    content = b'{"inputs": "red"}\n' if name == "a.JSONL" else b"inputs\nred\n"
    assert [text for _, text in pairs(write(name, content))] == ["red"]


@pytest.mark.parametrize(
    "name, content, expected",
    [
        ("a.txt", b"good\n\xff\n", "a.txt, line 2: not UTF-8"),
        ("a.txt", b"", "a.txt: no inputs"),
        ("a.tsv", b"text\nx\n", "no column 'inputs'; found 'text': change INPUTS"),
        ("a.jsonl", b'{"text": "x"}\n', "no column 'inputs'; found 'text': change INPUTS"),
        ("a.tsv", b"inputs\tb\nx\ty\nz\n", "a.tsv, row 3: 1 columns where the header has 2"),
        (
            "a.jsonl",
            b'{"inputs": "a"}\n{"inputs": null}\n',
            "a.jsonl, row 2: column 'inputs' holds None",
        ),
    ],
)
def test_bad_inputs_are_named_by_place(write, name, content, expected):
    with pytest.raises(DataError, match=expected):
        unlabelled.read_inputs(write(name, content))


def test_a_missing_file():
    with pytest.raises(DataError, match="no input file nowhere.txt: check INPUT_FILE"):
        unlabelled.read_inputs("nowhere.txt")


def test_examples_have_no_targets():
    vocabulary = ByteVocabulary()
    found = unlabelled.unlabelled_examples(
        [unlabelled.Input("1", "ab"), unlabelled.Input("2", "abcdef")], vocabulary, 4, 3
    )
    assert found.ids == ["1", "2"]
    np.testing.assert_array_equal(found.inputs[0], [*vocabulary.encode("ab"), 1])
    assert len(found.inputs[1]) == 4 and found.report.inputs_truncated == 1
    assert [list(found.targets[i]) for i in range(2)] == [[1], [1]]


def test_a_missing_column_of_ids_or_prompts_names_what_to_change(write):
    path = write("a.tsv", b"inputs\nx\n")
    with pytest.raises(DataError, match="no column 'key'; found 'inputs': change ID_COLUMN"):
        unlabelled.read_inputs(path, id_column="key")
    with pytest.raises(DataError, match="no column 'task'.*: change infer.prompt_column"):
        unlabelled.read_inputs(path, prompt_column="task")
