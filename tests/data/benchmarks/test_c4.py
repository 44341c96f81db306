"""C4 by T5's names: from shards of its Hugging Face repository, and from TensorFlow Datasets."""

import gzip
import json

import numpy as np
import pytest

from prompt_tuning.data import tasks
from prompt_tuning.data.benchmarks import c4
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.find_task import find_task
from prompt_tuning.data.text import join_documents
from prompt_tuning.data.vocabulary import ByteVocabulary

VOCABULARY = ByteVocabulary(extra_ids=100)
DOCUMENTS = {
    split: [f"{split} {i:02}: a text of some words" for i in range(count)]
    for split, count in (("train", 60), ("validation", 12))
}
SPAN, PREFIX = c4.OBJECTIVES


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hugging_face")
    (folder / "en").mkdir()
    for split, texts in DOCUMENTS.items():
        lines = "\n".join(json.dumps({"text": text}) for text in texts)
        shard = folder / "en" / f"c4-{split}.00000-of-00001.json.gz"
        shard.write_bytes(gzip.compress(lines.encode()))
    return folder


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    pytest.importorskip("tensorflow_datasets", reason="needs the [seqio] extra")
    from tests.data.tfds_fixtures import make_c4

    folder = tmp_path_factory.mktemp("tfds")
    make_c4(folder, DOCUMENTS)
    return folder


def same(row, other):
    return row.id == other.id and all(map(np.array_equal, row[:2], other[:2]))


@pytest.mark.parametrize("name", c4.OBJECTIVES)
def test_shards_make_rows_of_the_named_objective(name, shards):
    task = find_task(name, data_dir=shards)
    assert isinstance(task, tasks.Task) and task.metric == "-loss_per_token"
    rows = task.rows("train", VOCABULARY, 40, 20)
    assert isinstance(rows.objective, c4.OBJECTIVES[name])
    assert VOCABULARY.decode(rows.tokens).startswith("train 00:")


def test_a_folder_without_shards_is_named(tmp_path):
    with pytest.raises(DataError, match=f"{SPAN}: DATA_DIR {tmp_path} has no files en/c4-train"):
        find_task(SPAN, data_dir=tmp_path)


def test_without_seqio_the_other_source_is_named(without_seqio):
    task = find_task(PREFIX)
    with pytest.raises(DataError, match=r"needs `pip install 'prompt_tuning\[seqio\]'`.*DATA_DIR"):
        task.rows("train", VOCABULARY, 40, 20)


@pytest.mark.parametrize("name", c4.OBJECTIVES)
def test_tfds_makes_rows_of_every_document(name, tfds_folder, monkeypatch):
    monkeypatch.setattr(c4, "BLOCK", 10)
    task = find_task(name, tfds_data_dir=tfds_folder)
    assert isinstance(task, tasks.Task) and task.metric == "-loss_per_token"
    assert list(task.splits) == ["train", "validation"]
    rows = task.rows("train", VOCABULARY, 40, 20, shuffle=False)
    seen = [rows.row(i) for i in range(len(rows))]
    assert len({row.id for row in seen}) == len(seen)
    assert {row.id.partition("@")[0] for row in seen} == {f"{name}[{block}]" for block in range(6)}
    tokens = join_documents(DOCUMENTS["train"], VOCABULARY, "")
    corrupted = np.concatenate([side[:-1] for row in seen for side in row[:2]])
    kept = sum(corrupted < VOCABULARY.vocab_size - 100)
    assert 0.8 * len(tokens) < kept <= len(tokens)


def test_tfds_is_read_by_blocks(tfds_folder, monkeypatch):
    from prompt_tuning.data.seqio_tasks import tfds_rows

    parts, read = [], tfds_rows.read

    def recorded(name, split, data_dir):
        parts.append(split)
        rows = list(read(name, split, data_dir))
        assert len(rows) in (8, 9)
        return rows

    monkeypatch.setattr(tfds_rows, "read", recorded)
    monkeypatch.setattr(c4, "BLOCK", 9)
    rows = find_task(SPAN, tfds_data_dir=tfds_folder).rows("train", VOCABULARY, 40, 20)
    for i in range(len(rows)):
        rows.row(i)
    bounds = [0, 8, 17, 25, 34, 42, 51, 60]
    every = [f"train[{start}:{stop}]" for start, stop in zip(bounds, bounds[1:])]
    assert parts[0] == every[0] and sorted(parts[1:]) == sorted(every) != parts[1:]


def test_a_run_goes_on_with_the_rows_it_would_have_had(tfds_folder, monkeypatch):
    monkeypatch.setattr(c4, "BLOCK", 20)
    task = find_task(SPAN, tfds_data_dir=tfds_folder)
    whole, resumed = (task.rows("train", VOCABULARY, 40, 20, seed=3) for _ in range(2))
    rows = [whole.row(i) for i in range(len(whole) + 10)]
    assert all(same(resumed.row(len(whole) + i), rows[len(whole) + i]) for i in range(10))
    other = task.rows("train", VOCABULARY, 40, 20, seed=4)
    assert not all(same(other.row(i), row) for i, row in enumerate(rows[:10]))


def test_what_tfds_lacks_is_named(tfds_folder, tmp_path):
    task = find_task(SPAN, tfds_data_dir=tfds_folder)
    with pytest.raises(DataError, match=f"{SPAN} has no split 'test', only train, validation"):
        task.rows("test", VOCABULARY, 40, 20)
