import pytest

from prompt_tuning.data.cache import cached_examples
from prompt_tuning.data.cached import CachedTask
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.find_task import find_task
from prompt_tuning.data.shipped import SHIPPED, shipped_task
from tests.data.helpers import numbered_examples


@pytest.fixture
def seqio_cache(tmp_path, letters):
    """What a machine with seqio left behind."""
    for split, count in (("train", 5), ("validation", 3)):
        identity = {
            "task": "mt5_some-task",
            "split": split,
            "vocabulary": letters.fingerprint,
            "inputs_length": 8,
            "targets_length": 4,
            "definition": ["tokenize"],
            "sources": ["some/set:1.0.0"],
        }
        cached_examples(tmp_path, identity, lambda: numbered_examples(count))
    return str(tmp_path)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_tasks_load_with_all_labels_and_splits_that_share_nothing(name, pocket):
    task = shipped_task(name)
    ids, inputs = set(), set()
    for split in task.splits:
        examples = task.load(split, pocket, inputs_length=64, targets_length=8)
        assert {row["targets"] for row in examples.fields} == set(SHIPPED[name])
        assert examples.report.targets_truncated == examples.report.rows_skipped == 0
        texts = {row["inputs"] for row in examples.fields}
        assert ids.isdisjoint(examples.ids) and inputs.isdisjoint(texts)
        ids.update(examples.ids), inputs.update(texts)


def test_an_unknown_name_says_which_is_near(without_seqio):
    with pytest.raises(
        DataError, match="no shipped task 'glos_category'.*nearest: 'gloss_category'"
    ):
        shipped_task("glos_category")
    with pytest.raises(
        DataError,
        match="'span' is no shipped task .*nearest: 'spam'.*need .pip install 'prompt_tuning.seqio.'",
    ):
        find_task("span")


def test_without_seqio_a_task_is_found_in_a_cache_that_seqio_made(
    without_seqio, seqio_cache, letters
):
    task = find_task("mt5_some-task", cache_dir=seqio_cache)
    assert isinstance(task, CachedTask) and list(task.splits) == ["train", "validation"]
    examples = task.load("train", letters, 8, 4)
    assert examples.ids == ["0", "1", "2", "3", "4"]
    assert task.score(examples, [row["targets"] for row in examples.fields], letters) == {
        "accuracy": 100
    }
    with pytest.raises(DataError, match="is no shipped task"):
        find_task("other", cache_dir=seqio_cache)


def test_a_cache_for_other_lengths_says_what_is_missing(seqio_cache, letters):
    with pytest.raises(
        DataError,
        match=r"split 'train': .* has nothing for bytes\+0 and lengths 16, 4, only splits \['train', 'validation'\]",
    ):
        CachedTask("mt5_some-task", seqio_cache).load("train", letters, 16, 4)
