"""The sentinel stands before every target, and before no score."""

import pytest

from prompt_tuning import models
from prompt_tuning.data import tasks
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.sentinel import SentinelTask
from prompt_tuning.data.shipped import shipped_task
from prompt_tuning.data.vocabulary import EOS_ID, ByteVocabulary

PIECES = models.read_vocabulary("pocket_t5")
BYTES = ByteVocabulary(extra_ids=20)


@pytest.mark.parametrize("vocabulary", [PIECES, BYTES, ByteVocabulary()], ids=lambda x: x.name)
def test_before_every_target(vocabulary):
    plain = shipped_task("spam")
    without = plain.load("validation", vocabulary, 64, 5)
    found = SentinelTask(plain).load("validation", vocabulary, 64, 6)
    assert found.ids == without.ids and found.fields == without.fields
    assert (found.inputs.values == without.inputs.values).all()
    for i in range(len(without)):
        assert found.targets[i].tolist() == [vocabulary.vocab_size - 1, *without.targets[i]]


@pytest.mark.parametrize("vocabulary", [PIECES, BYTES], ids=lambda x: x.name)
def test_it_is_no_part_of_the_answer(vocabulary):
    task = SentinelTask(shipped_task("spam"))
    examples = task.load("validation", vocabulary, 64, 6)
    written = [vocabulary.decode(row) for row in map(examples.targets.__getitem__, range(400))]
    scores = task.score(examples, written, vocabulary)
    assert (scores["accuracy"], scores["illegal_rate"]) == (100, 0)
    bare = [row["targets"] for row in examples.fields]
    assert task.score(examples, bare, vocabulary)["accuracy"] == 100
    wrong = [{"ham": "spam", "spam": "ham"}[answer] for answer in bare]
    assert task.score(examples, wrong, vocabulary)["accuracy"] == 0


def test_the_target_is_cut_not_the_sentinel(data_files):
    task = SentinelTask(FilesTask("colours", data_files, id_column="id"))
    examples = task.load("test", BYTES, 16, 3)
    assert {len(examples.targets[i]) for i in range(len(examples))} == {3}
    assert all(examples.targets[i][0] == BYTES.sentinel_id(0) for i in range(len(examples)))
    assert all(examples.targets[i][-1] == EOS_ID for i in range(len(examples)))
    assert examples.report.targets_truncated == len(examples)
    with pytest.raises(DataError, match="no room for targets in one token: raise TASK_FEATURE"):
        task.load("test", BYTES, 16, 1)


def test_it_is_another_task(data_files, tmp_path):
    plain = FilesTask("colours", data_files, id_column="id")
    task = SentinelTask(plain)
    assert isinstance(task, tasks.Task)
    assert (task.name, task.metric, list(task.splits)) == (
        "colours_sentinel",
        plain.metric,
        list(plain.splits),
    )
    plain.load("test", BYTES, 16, 8, tmp_path)
    for _ in range(2):  # made, then from the cache
        examples = task.load("test", BYTES, 16, 8, tmp_path)
        assert examples.targets[0][0] == BYTES.sentinel_id(0)
    with pytest.raises(DataError, match="has no split 'tset'"):
        task.load("tset", BYTES, 16, 8)


def test_only_tasks_with_targets(tmp_path):
    text = tasks.TextTask("corpus", {"train": str(tmp_path)})
    with pytest.raises(DataError, match="expected a task with text targets, found corpus"):
        SentinelTask(text)
