"""C4 in seqio's registry: the text of our own C4 tasks, under the same objectives, as T5X reads it."""

import gzip
import json

import pytest

seqio = pytest.importorskip("seqio", reason="needs the [seqio] extra")
tf = pytest.importorskip("tensorflow", reason="needs the [seqio] extra")

import numpy as np

from prompt_tuning.data.benchmarks import c4
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.seqio_tasks import benchmarks, tfds_rows
from prompt_tuning.data.text import join_documents
from prompt_tuning.data.vocabulary import EOS_ID, ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET
from tests.data.tfds_fixtures import make_c4

SPAN, PREFIX = c4.OBJECTIVES
LENGTHS = {"inputs": 24, "targets": 12}
DOCUMENTS = {
    "train": [f" The man said {i} times that it is so. " * (i % 4) for i in range(40)],
    "validation": ["Held out, all of it, to the very last word of its last line."] * 9,
}


@pytest.fixture(scope="module")
def pieces():
    return SentencePieceVocabulary(POCKET, 32)


@pytest.fixture(scope="module")
def shards(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hugging_face")
    (folder / "en").mkdir()
    for split, texts in DOCUMENTS.items():
        lines = "\n".join(json.dumps({"text": text, "url": "http://a"}) for text in texts)
        shard = folder / "en" / f"c4-{split}.00000-of-00001.json.gz"
        shard.write_bytes(gzip.compress(lines.encode()))
    return folder


@pytest.fixture(scope="module")
def tfds_folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tfds")
    make_c4(folder, DOCUMENTS)
    return folder


@pytest.fixture(autouse=True)
def empty_registry():
    yield
    for name in c4.OBJECTIVES:
        seqio.TaskRegistry.remove(name)


def rows_of(task, split="train", lengths=LENGTHS, **options):
    options = {"shuffle": False, "seed": 0} | options
    return list(task.get_dataset(lengths, split=split, **options).as_numpy_iterator())


def uncorrupted(row, vocabulary):
    """The chunk that a row was made of: spans of the targets put where their sentinels stand."""
    first = vocabulary.sentinel_id(99 if isinstance(vocabulary, ByteVocabulary) else 31)
    inputs, targets = (row[side].tolist() for side in ("inputs", "targets"))
    assert inputs.pop() == targets.pop() == EOS_ID
    if not any(token >= first for token in targets):
        return inputs + targets
    starts = [i for i, token in enumerate(targets) if token >= first]
    spans = {targets[i]: targets[i + 1 : end] for i, end in zip(starts, [*starts[1:], None])}
    assert list(spans) == [token for token in inputs if token >= first]
    return [plain for token in inputs for plain in spans.get(token, [token])]


@pytest.mark.parametrize("name", c4.OBJECTIVES)
@pytest.mark.parametrize("split", c4.SPLITS)
def test_tfds_rows_are_chunks_of_the_documents_in_order(name, split, pieces, tfds_folder):
    task = benchmarks.register(name, pieces, tfds_data_dir=tfds_folder)
    assert tuple(task.splits) == c4.SPLITS
    texts = (row["text"] for row in tfds_rows.read(c4.TFDS, split, tfds_folder))
    tokens = join_documents(texts, pieces, "here").tolist()
    chunk = c4.OBJECTIVES[name](pieces, *LENGTHS.values()).chunk_length
    rows = rows_of(task, split)
    assert len(rows) == len(tokens) // chunk > 3
    for i, row in enumerate(rows):
        assert uncorrupted(row, pieces) == tokens[chunk * i : chunk * (i + 1)]
        assert all(len(row[side]) <= length for side, length in LENGTHS.items())


@pytest.mark.parametrize("name", c4.OBJECTIVES)
def test_shards_give_the_rows_of_our_own_task(name, pieces, shards):
    task = benchmarks.register(name, pieces, shards)
    ours = c4.c4_task(name, shards).rows("train", pieces, *LENGTHS.values(), shuffle=False)
    rows = rows_of(task)
    assert len(rows) == len(ours)
    for i, row in enumerate(rows):
        own = {"inputs": ours.row(i).inputs, "targets": ours.row(i).targets}
        assert uncorrupted(row, pieces) == uncorrupted(own, pieces)


def test_bytes_may_be_corrupted_too(tfds_folder):
    letters = ByteVocabulary(extra_ids=100)
    row = rows_of(benchmarks.register(SPAN, letters, tfds_data_dir=tfds_folder))[0]
    assert letters.decode(uncorrupted(row, letters)).startswith("The man said")


def test_seeds_decide_the_corruption(pieces, tfds_folder):
    task = benchmarks.register(SPAN, pieces, tfds_data_dir=tfds_folder)
    lengths = {"inputs": 96, "targets": 32}
    first, again, other = (rows_of(task, lengths=lengths, seed=seed) for seed in (0, 0, 1))
    assert all(np.array_equal(a["targets"], b["targets"]) for a, b in zip(first, again))
    assert any(not np.array_equal(a["targets"], b["targets"]) for a, b in zip(first, other))
    places = {tuple(np.flatnonzero(row["inputs"] >= pieces.sentinel_id(31))) for row in first}
    assert len(places) > 1  # nor is it the same in every row


def test_t5x_gets_batches_of_its_four_arrays(pieces, tfds_folder):
    benchmarks.register(SPAN, pieces, tfds_data_dir=tfds_folder)
    dataset = seqio.get_dataset(
        SPAN,
        LENGTHS,
        dataset_split="train",
        feature_converter=seqio.EncDecFeatureConverter(pack=False),
        num_epochs=None,
        seed=0,
    )
    batch = next(dataset.batch(8).as_numpy_iterator())
    assert {name: array.shape for name, array in batch.items()} == {
        "encoder_input_tokens": (8, 24),
        "decoder_target_tokens": (8, 12),
        "decoder_input_tokens": (8, 12),
        "decoder_loss_weights": (8, 12),
    }


def test_what_is_registered_stays_and_missing_shards_are_named(pieces, tfds_folder, tmp_path):
    task = benchmarks.register(SPAN, pieces, tfds_data_dir=tfds_folder)
    assert benchmarks.register(SPAN) is task
    with pytest.raises(DataError, match=f"{PREFIX}: DATA_DIR {tmp_path} has no files"):
        benchmarks.register(PREFIX, pieces, tmp_path)
