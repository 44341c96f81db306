"""Tasks of all kinds answer alike: splits, rows, the score that tells the best."""

import itertools
import logging

import numpy as np
import pytest

from prompt_tuning.data import tasks
from prompt_tuning.data.batches import Batches, ExampleRows
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.objectives import PrefixLM, SpanCorruption
from prompt_tuning.data.text import TextRows
from prompt_tuning.data.vocabulary import ByteVocabulary

VOCABULARY = ByteVocabulary(extra_ids=20)


@pytest.fixture
def colours(data_files):
    return FilesTask("colours", data_files, id_column="id", metrics=("macro_f1", "accuracy"))


@pytest.fixture
def text(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("".join(f"a line of text, number {i}\n" for i in range(30)))
    return tasks.TextTask("text", {"train": str(path), "validation": str(path)}, PrefixLM)


def first_ids(rows, count):
    return [rows.row(i).id for i in range(count)]


def test_a_task_of_files(colours):
    assert colours.metric == "macro_f1"
    assert list(colours.splits) == ["train", "validation", "test"]
    assert isinstance(colours, tasks.Task)
    rows = colours.rows("train", VOCABULARY, 16, 8, seed=3)
    assert isinstance(rows, ExampleRows) and len(rows) == 40
    assert sorted(first_ids(rows, 40)) == sorted(f"train{i}" for i in range(40))
    assert first_ids(rows, 40) != first_ids(colours.rows("train", VOCABULARY, 16, 8, seed=4), 40)
    in_order = colours.rows("test", VOCABULARY, 16, 8, shuffle=False)
    assert first_ids(in_order, 10) == [f"test{i}" for i in range(10)]


def test_what_was_cut_is_in_the_log(colours, caplog):
    with caplog.at_level(logging.INFO):
        colours.rows("test", VOCABULARY, 16, 8)
        colours.rows("test", VOCABULARY, 6, 8)
    kept, cut = caplog.records
    assert (kept.levelno, cut.levelno) == (logging.INFO, logging.WARNING)
    assert kept.getMessage().startswith("colours, test: 10 of 10 rows kept")
    assert "truncated: 2 inputs, 0 targets" in cut.getMessage()


def test_a_task_of_text(text):
    assert text.metric == "-loss_per_token"
    assert isinstance(text, tasks.Task)
    rows = text.rows("train", VOCABULARY, 24, 24, seed=1)
    assert isinstance(rows, TextRows)
    assert rows.objective.chunk_length == 24
    fixed = [text.rows("train", VOCABULARY, 24, 24, shuffle=False) for _ in range(2)]
    for row, again in zip(*([rows.row(i) for i in range(5)] for rows in fixed), strict=True):
        np.testing.assert_array_equal(row.inputs, again.inputs)
    with pytest.raises(DataError, match="task text has no split 'test', only train, validation"):
        text.rows("test", VOCABULARY, 24, 24)


def test_the_objective_is_the_tasks(tmp_path):
    path = tmp_path / "text.txt"
    path.write_text("abcdefgh " * 40)
    task = tasks.TextTask("text", {"train": str(path)}, SpanCorruption)
    row = task.rows("train", VOCABULARY, 24, 12).row(0)
    assert VOCABULARY.sentinel_id(0) in row.inputs and VOCABULARY.sentinel_id(0) in row.targets


def test_a_mixture(colours, text):
    mixture = tasks.MixtureTask("both", {"text": text, "words": colours}, {"text": 1, "words": 3})
    assert mixture.metric == "-text/loss_per_token"
    assert mixture.splits == ["train", "validation", "test"]
    batches = Batches(mixture.rows("train", VOCABULARY, 24, 24, seed=0), 100, 24, 24)
    ids = itertools.chain.from_iterable(batches(step)[1] for step in range(20))
    share = np.mean([name.startswith("words/") for name in ids])
    assert abs(share - 0.75) < 0.03


def test_mixtures_of_mixtures(colours, text):
    inner = tasks.MixtureTask("inner", {"words": colours}, {"words": 1})
    outer = tasks.MixtureTask("outer", {"in": inner, "text": text}, {"in": 1, "text": 1})
    assert outer.metric == "in/words/macro_f1"
    assert {
        name.rsplit("/", 1)[0] for name in first_ids(outer.rows("train", VOCABULARY, 24, 24), 50)
    } == {
        "in/words",
        "text",
    }


def test_a_mixture_draws_from_the_tasks_that_have_the_split(colours, text, caplog):
    mixture = tasks.MixtureTask("both", {"text": text, "words": colours}, {"text": 3, "words": 1})
    rows = mixture.rows("test", VOCABULARY, 24, 24)
    assert {name.split("/")[0] for name in first_ids(rows, 50)} == {"words"}
    assert "mixture both: without ['text']: no split 'test'" in caplog.text
    with pytest.raises(DataError, match="mixture both: no member .* 'dev'; there are train, valid"):
        mixture.rows("dev", VOCABULARY, 24, 24)


def test_each_task_of_a_mixture_has_a_rate(colours):
    with pytest.raises(DataError, match="mixture both: .* one rate a task"):
        tasks.MixtureTask("both", {"words": colours}, {"word": 1})
