"""A thousand damaged rows, each in a file of good ones, in every table format that is read.

A row is refused, by file and row, or it is kept (mutants.py says which). Nothing but DataError may be
raised, and what is kept and what is skipped make up the file.
"""

from collections.abc import Iterator
import contextlib
import pathlib
import re

from hypothesis import given
from hypothesis import strategies as st
import pytest

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.tasks import load_examples
from prompt_tuning.data.text import load_tokens
from prompt_tuning.data.unlabelled import read_inputs, unlabelled_examples
from prompt_tuning.data.vocabulary import SentencePieceVocabulary
from tests.data.helpers import POCKET
from tests.faults import mutants
from tests.faults.mutants import Mutant

CASES = 334  # of each format
FEWER = 120  # where the format's reader has met them all
LENGTHS = (64, 8)  # tokens of inputs and targets
VOCABULARY = SentencePieceVocabulary(POCKET)
each_format = pytest.mark.parametrize("suffix", mutants.HEADERS)


def write(path: pathlib.Path, lines: list[bytes]) -> pathlib.Path:
    path.write_bytes(mutants.HEADERS[path.suffix] + b"\n".join([*lines, b""]))
    return path


def good_rows(suffix: str, name: str) -> list[bytes]:
    return [mutants.Row(suffix, f"{name}{i}", f"{name} {i}", "no").line() for i in (1, 2)]


def files(folder: pathlib.Path, suffix: str, count: int) -> Iterator[tuple[Mutant, pathlib.Path]]:
    """Each mutant third of five rows; what goes wrong is told with the mutant that it happened to."""
    before, after = good_rows(suffix, "before"), good_rows(suffix, "after")
    for mutant in mutants.mutants(suffix, count):
        yield mutant, write(folder / f"data{suffix}", [*before, mutant.line, *after])


@contextlib.contextmanager
def telling(mutant: Mutant) -> Iterator[None]:
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{mutant!r:.500}\n{error!r:.500}") from error


def load(path: pathlib.Path, on_bad_row: str):
    definition = {"train": str(path)}, "text", "label", mutants.LABELS, "id"
    task = FilesTask("t", *definition, on_bad_row=on_bad_row)
    return load_examples(task, "train", VOCABULARY, *LENGTHS)


def assert_refused(message: str, path: pathlib.Path, why: str | None):
    assert message.startswith(f"{path}, row {mutants.THIRD_ROW[path.suffix]}: ")
    assert why and re.search(why, message) and len(message) < 1000


def tokens_of(text: str) -> int:
    return len(VOCABULARY.encode(text)) + 1


@each_format
def test_a_task_stops_at_a_bad_row_or_keeps_it(tmp_path, suffix):
    for mutant, path in files(tmp_path, suffix, CASES):
        with telling(mutant):
            try:
                found = load(path, "fail")
            except DataError as error:
                assert_refused(str(error), path, mutant.refused)
                continue
            text = mutant.text.strip()
            assert not mutant.refused
            assert len(found) == 5 and found.fields[2]["inputs"] == text
            assert len(found.inputs[2]) == min(tokens_of(text), LENGTHS[0])


@each_format
def test_a_task_skips_bad_rows_and_counts_them(tmp_path, suffix, caplog):
    for mutant, path in files(tmp_path, suffix, CASES):
        caplog.clear()
        with telling(mutant), caplog.at_level("INFO"):
            found = load(path, "skip")
            lost = (3 if mutant.swallows else 1) if mutant.refused else 0
            kept = not mutant.refused
            behind = [] if mutant.swallows else ["after1", "after2"]
            assert found.ids[:2] + found.ids[2 + kept :] == ["before1", "before2", *behind]
            cut = kept and tokens_of(mutant.text.strip()) > LENGTHS[0]
            assert (
                f"{5 - lost} of 5 rows kept, {lost} skipped; truncated: {int(cut)} inputs, 0 "
                "targets; rows with control characters replaced: "
                f"{int(kept and mutant.cleaned)}"
            ) in caplog.text
            skipped = found.report.first_skipped
            assert len(skipped) == lost == found.report.rows_skipped
            if skipped:
                assert_refused(skipped[0], path, mutant.refused)
                assert skipped[0] in caplog.text


@each_format
def test_all_in_one_file(tmp_path, suffix):
    bad = [mutant for mutant in mutants.mutants(suffix, CASES) if not mutant.swallows]
    rows = good_rows(suffix, "before") + [mutant.line for mutant in bad]
    path = write(tmp_path / f"data{suffix}", [*rows, *good_rows(suffix, "after")])
    found = load(path, "skip")
    kept = [mutant for mutant in bad if not mutant.refused]
    assert found.report.rows_read == len(bad) + 4
    assert found.report.rows_skipped == len(bad) - len(kept)
    assert found.report.control_characters_replaced == sum(mutant.cleaned for mutant in kept)
    assert [row["inputs"] for row in found.fields[2:-2]] == [x.text.strip() for x in kept]
    with pytest.raises(DataError, match=r"data.\w+, row \d+: "):
        load(path, "fail")


@each_format
def test_inputs_alone_need_no_labels(tmp_path, suffix, caplog):
    for mutant, path in files(tmp_path, suffix, FEWER):
        caplog.clear()
        with telling(mutant), caplog.at_level("INFO"):
            try:
                texts = read_inputs(str(path), "text", "id")
            except DataError as error:
                assert_refused(str(error), path, mutant.refused_alone)
                continue
            text = mutants.without_control_characters(mutant.text).strip()
            assert not mutant.refused_alone and len(texts) == 5 and texts[2].text == text
            unlabelled_examples(texts, VOCABULARY, *LENGTHS)
            cut = int(tokens_of(text) > LENGTHS[0])
            assert f"5 of 5 rows kept, 0 skipped; truncated: {cut} inputs" in caplog.text
            assert f"control characters replaced: {int(mutant.cleaned)}" in caplog.text


def test_text_for_pre_training(tmp_path, caplog):
    """Lines of JSON with a text: a blank line is a document without text, and those are counted."""
    for mutant, path in files(tmp_path, mutants.JSON, FEWER):
        is_text = mutant.kind in ("blank", "repeated_id")  # no ids are read
        refused = None if is_text else mutant.refused_alone
        caplog.clear()
        with telling(mutant), caplog.at_level("INFO"):
            try:
                load_tokens(path, VOCABULARY)
            except DataError as error:
                assert_refused(str(error), path, refused)
                continue
            empty = int(not mutant.text.strip())
            assert not refused
            assert f"{5 - empty} documents kept, {empty} without text left out" in caplog.text


@each_format
@given(content=st.binary(max_size=200) | st.text(max_size=100).map(str.encode))
def test_any_bytes_at_all(tmp_path_factory, suffix, content):
    path = tmp_path_factory.mktemp("bytes") / f"data{suffix}"
    for lines in (content, mutants.HEADERS[suffix] + content):
        path.write_bytes(lines)
        for read in (
            lambda: load(path, "skip"),
            lambda: unlabelled_examples(read_inputs(str(path), "text"), VOCABULARY, *LENGTHS),
            lambda: read_inputs(str(path.rename(path.with_suffix(".txt")))),
            lambda: load_tokens(path.with_suffix(".txt"), VOCABULARY),
        ):
            with contextlib.suppress(DataError):
                read()


def test_what_a_header_lacks_is_named(tmp_path):
    for name, header in ((".tsv", b"id\ttext\tlab\xe9l"), (".csv", b"id,text,label,\xff")):
        path = tmp_path / f"data{name}"
        path.write_bytes(header + b"\na\tb\tno\n")
        with pytest.raises(DataError, match=rf"data{name}, row 1 .*: not UTF-8 near"):
            load(path, "skip")
