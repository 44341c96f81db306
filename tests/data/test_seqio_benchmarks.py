import pytest

seqio = pytest.importorskip("seqio", reason="needs the [seqio] extra")
tfds = pytest.importorskip("tensorflow_datasets", reason="needs the [seqio] extra")

import runpy
from fnmatch import fnmatch
from pathlib import Path

import numpy as np
import setuptools
import tensorflow as tf

from prompt_tuning.data.benchmarks import glue, question_answering, super_glue
from prompt_tuning.data.benchmarks.names import find_benchmark
from prompt_tuning.data.benchmarks.rows import Folder, Tfds
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.seqio_tasks import benchmarks, find_task, tfds_rows, vocabularies
from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.benchmarks.helpers import OFFICIAL
from tests.data.helpers import POCKET
from tests.data.tfds_fixtures import mocked_tfds

BYTES = ByteVocabulary(extra_ids=10)
LENGTHS = {"inputs": 48, "targets": 6}
CONFIGS = {task.tfds: task for task in super_glue.BENCHMARKS}  # wsc.fixed once
GLUE = {task.tfds.split("/")[1].split(":")[0]: task for task in reversed(glue.BENCHMARKS)}
MRQA = {task.tfds.split("/")[1].split(":")[0]: task for task in question_answering.BENCHMARKS[1:]}
GLUE_OFFICIAL = OFFICIAL.parents[1] / "glue/official"


@pytest.fixture(scope="module")
def pieces() -> SentencePieceVocabulary:
    return SentencePieceVocabulary(POCKET, 20)


@pytest.fixture(autouse=True)
def empty_registry():
    """Whatever a test registers goes again."""
    before = [*seqio.TaskRegistry.names()], [*seqio.MixtureRegistry.names()]
    yield
    for registry, names in zip((seqio.TaskRegistry, seqio.MixtureRegistry), before):
        for name in set(registry.names()) - set(names):
            registry.remove(name)


@pytest.mark.parametrize("name", CONFIGS)
def test_every_config_of_tfds_becomes_examples(name, pieces):
    benchmark = CONFIGS[name]
    task = find_benchmark(f"task_index_{benchmark.name}", Tfds())
    with mocked_tfds(num_examples=5):
        for split in benchmark.splits:
            examples = task.load(split, pieces, 512, 64)
            skipped = 2 if ("wsc" in name and split == "train") else 0  # labelled 0
            assert len(examples) >= 5 - skipped
            assert all(fields["targets"] for fields in examples.fields)
            if benchmark.labels:
                assert {row["targets"] for row in examples.fields} <= set(benchmark.labels)
    # The last split's; AX-g's other metric needs pairs, which made-up numbers do not have.
    right = [row["targets"] for row in examples.fields]
    deciding = benchmark.metrics[0]
    assert deciding in task.score_fields(examples.fields, right, pieces, [deciding])


@pytest.mark.parametrize("name", CONFIGS)
def test_rows_of_official_files_are_those_that_tfds_makes_of_them(name, tmp_path):
    benchmark = CONFIGS[name]
    builder = tfds.builder(name, data_dir=tmp_path)
    for split, file in benchmark.official.paths.items():
        path = str(OFFICIAL / file)
        of_split = {} if "pronoun" in name else {"split": tfds.Split(split)}
        made = builder._generate_examples(path, **of_split)
        labels = dict(builder.info.features.items()).get("label")
        expected = [
            row | ({"label": _encoded(labels, row["label"])} if labels else {}) for _, row in made
        ]
        found = [row for _, row in Folder(OFFICIAL).rows(benchmark, split)]
        columns = expected[0].keys() & found[0].keys()
        assert columns >= {*builder.info.features} - {"start1", "start2", "end1", "end2"}
        assert [{name: row[name] for name in columns} for row in found] == [
            {name: row[name] for name in columns} for row in expected
        ]


def _encoded(labels, label):
    return -1 if label == -1 else labels.encode_example(label)


@pytest.mark.parametrize("name", [name for name in GLUE if name != "mrpc"])
def test_rows_of_glue_s_files_are_those_that_tfds_makes_of_them(name, tmp_path):
    benchmark = GLUE[name]
    builder = tfds.builder(benchmark.tfds, data_dir=tmp_path)
    for split, file in benchmark.official.paths.items():
        of_reader = "test" if "test" in split else "train"
        made = builder._generate_examples(str(GLUE_OFFICIAL / file), of_reader)
        expected = [_as_read(builder, row) for _, row in made]
        found = [row for _, row in Folder(GLUE_OFFICIAL).rows(benchmark, split)]
        assert [row | {"label": np.float32(row["label"])} for row in found] == expected


def _as_read(builder, row):
    """As TFDS gives the row back: a label as its number, a score (STS-B's) as float32."""
    label = builder.info.features["label"]
    scored = builder.builder_config.name == "stsb"
    return row | {"label": row["label"] if scored else _encoded(label, row["label"])}


def test_rows_of_mrpc_are_those_that_tfds_makes_of_the_corpus(tmp_path):
    """Whose train file has the rows of both our train and validation files, by number."""
    files = {name: GLUE_OFFICIAL / f"MRPC/{name}.tsv" for name in ("train", "dev", "test")}
    header, *train = files["train"].read_text("utf-8").splitlines()
    _, *dev = files["dev"].read_text("utf-8").splitlines()
    corpus, ids = tmp_path / "msr_paraphrase_train.txt", tmp_path / "mrpc_dev_ids.tsv"
    corpus.write_text("\n".join([header, train[0], *dev, *train[1:]]) + "\n", "utf-8")
    ids.write_text("".join("\t".join(line.split("\t")[1:3]) + "\n" for line in dev))

    builder = tfds.builder(GLUE["mrpc"].tfds, data_dir=tmp_path)
    sources = {"dev_ids": ids, "train": corpus, "test": files["test"]}
    for split, of_reader in (("train", "train"), ("validation", "dev"), ("test", "test")):
        made = builder._generate_examples("", of_reader, sources)
        expected = [_as_read(builder, row) for _, row in made]
        found = [row for _, row in Folder(GLUE_OFFICIAL).rows(GLUE["mrpc"], split)]
        if split != "test":  # where ids are line numbers, of other files
            assert [row["idx"] for row in found] == list(range(len(found)))
            found = [row | {"idx": other["idx"]} for row, other in zip(found, expected)]
        assert found == expected and len(found) == {"train": 2}.get(split, 1)


@pytest.mark.parametrize("name", MRQA)
def test_mrqa_s_splits_and_files_are_those_that_tfds_fetches(name, tmp_path):
    urls = tfds.builder(f"mrqa/{name}:1.0.0", data_dir=tmp_path).builder_config.data_urls
    assert set(urls) == set(MRQA[name].splits.values())
    for split, theirs in MRQA[name].splits.items():
        if name != "bio_asq":  # whose address does not name the file
            assert fnmatch(urls[theirs], f"*/{MRQA[name].official.paths[split]}.gz")


@pytest.mark.parametrize("name", GLUE)
def test_every_config_of_glue_becomes_examples(name, pieces):
    task = find_benchmark(GLUE[name].name, Tfds())
    with mocked_tfds(num_examples=3):
        for split in task.splits:
            examples = task.load(split, pieces, 128, 16)
            assert len(examples) == 3 and all(fields["targets"] for fields in examples.fields)


# One of each way to make tokens; what the texts are is the same code on both sides.
NAMES = [
    "super_glue_boolq_v102",
    "taskless_super_glue_record_v102_examples",
    "super_glue_wsc_and_dev_v102_simple",
    "task_index_super_glue_wic_v102",
    "byt5_task_index_dpr_v001_simple",
]


@pytest.mark.parametrize("name", NAMES)
def test_seqio_s_task_has_the_tokens_of_ours(name, pieces):
    vocabulary = BYTES if name.startswith("byt5_") else pieces
    ours = find_benchmark(name, Folder(OFFICIAL))
    theirs = benchmarks.register(name, vocabulary, OFFICIAL)
    assert list(theirs.splits) == list(ours.splits)
    for split in {"train", list(ours.splits)[1]}:
        examples = ours.load(split, vocabulary, LENGTHS["inputs"], LENGTHS["targets"])
        rows = list(theirs.get_dataset(LENGTHS, split=split, shuffle=False).as_numpy_iterator())
        assert len(rows) == len(examples)
        for index, row in enumerate(rows):
            assert row["inputs"].tolist() == examples.inputs[index].tolist()
            assert row["targets"].tolist() == examples.targets[index].tolist()


@pytest.mark.parametrize(
    "name, split, wrong",
    [
        ("super_glue_cb_v102", "train", "neutral"),
        ("super_glue_multirc_v102", "train", "False"),
        ("super_glue_record_v102", "validation", "Tolm"),
        ("super_glue_wsc_v102_simple_eval", "validation", "the man"),
        ("super_glue_axb_v102", "test", "entailment"),
        ("super_glue_axg_v102", "test", "entailment"),
    ],
)
def test_seqio_s_scores_are_ours(name, split, wrong, pieces):
    ours = find_benchmark(name, Folder(OFFICIAL))
    examples = ours.load(split, pieces, 64, 8)
    benchmarks.register(name, pieces, OFFICIAL)
    theirs = find_task(name)
    seen = theirs.load(split, pieces, 64, 8)
    predictions = [row["targets"] for row in examples.fields]
    for texts in (predictions, [wrong, *predictions[1:]]):
        scores = ours.score(examples, texts, pieces)
        scores.pop("illegal_rate", None)
        assert theirs.score(seen, texts, pieces) == pytest.approx(scores)
    assert theirs.metric == ours.metric


def test_a_mixture_is_registered_with_its_members_and_rates(pieces):
    name = "task_index_super_glue_with_dpr_v102_examples_proportional"
    mixture = benchmarks.register(name, pieces, OFFICIAL)
    ours = find_benchmark(name, Folder(OFFICIAL))
    assert {task.name: mixture.get_rate(task) for task in mixture.tasks} == dict(ours.rates)
    rows = mixture.get_dataset(LENGTHS, split="train", num_epochs=1, shuffle=False)
    sentinels = {row["inputs"][0] for row in rows.take(50).as_numpy_iterator()}
    assert pieces.sentinel_id(4) in sentinels  # ReCoRD, of which there is most
    assert sentinels <= {pieces.sentinel_id(index) for index in range(8)}
    assert benchmarks.register(name, pieces, OFFICIAL) is mixture


def test_the_wrong_vocabulary_is_refused_at_registration(pieces):
    with pytest.raises(DataError, match="byt5_super_glue_cb_v102 is made of bytes"):
        benchmarks.register("byt5_super_glue_cb_v102", pieces, OFFICIAL)
    assert benchmarks.register("byt5_super_glue_cb_v102", None, OFFICIAL)


def test_rows_are_plain_python():
    with tfds.testing.mock_data(num_examples=2):
        first, _ = tfds_rows.read("super_glue/record:1.0.2", "train")
    assert isinstance(first["passage"], str) and type(first["idx"]["query"]) is int
    assert isinstance(first["entities"], list) and isinstance(first["entities"][0], str)


def test_what_tfds_cannot_give_is_named_with_the_flags(tmp_path, monkeypatch):
    def load(name, split, data_dir, shuffle_files):
        assert data_dir == str(tmp_path) and not shuffle_files
        raise ConnectionError("no way out")

    monkeypatch.setattr(tfds, "load", load)
    task = find_benchmark("super_glue_cb_v102", Tfds(tmp_path))
    with pytest.raises(
        DataError, match="cannot give super_glue/cb:1.0.2, .*no way out. Change TFDS_DATA_DIR"
    ):
        task.load("train", BYTES if task.form.bytes else SentencePieceVocabulary(POCKET), 8, 8)


def test_a_cache_of_tfds_rows_serves_again(tmp_path, pieces, monkeypatch):
    task = find_benchmark("super_glue_cb_v102", Tfds())
    with tfds.testing.mock_data(num_examples=3):
        made = task.load("train", pieces, 32, 4, cache_dir=tmp_path)
    monkeypatch.setattr(tfds_rows, "read", lambda *_: pytest.fail("read again"))
    again = task.load("train", pieces, 32, 4, cache_dir=tmp_path)
    assert again.ids == made.ids and np.array_equal(again.inputs.values, made.inputs.values)


@pytest.fixture
def offline(monkeypatch):
    """Whatever is fetched fails the test."""
    for name in ("copy", "GFile"):
        monkeypatch.setattr(tf.io.gfile, name, lambda *_, **__: pytest.fail("fetched"))


@pytest.mark.parametrize(
    "name, file",
    [
        ("super_glue_boolq_v102", "cc_all.32000.100extra"),
        ("task_index_super_glue_wsc_v102_simple_eval_examples", "cc_all.32000.100extra"),
        ("mt5_super_glue_boolq_v102", "mc4.250000.100extra"),
        ("c4_v220_span_corruption", "cc_all.32000.100extra"),
        ("super_glue_v102_proportional", "cc_all.32000.100extra"),
    ],
)
def test_without_a_vocabulary_features_are_those_of_t5x_s_models(name, file, offline):
    features = benchmarks.register(name).output_features
    # Made as T5X's gin files make their model's, with which T5X compares a task's.
    model = seqio.SentencePieceVocabulary(f"gs://t5-data/vocabs/{file}/sentencepiece.model")
    assert list(features) == ["inputs", "targets"]
    for feature in features.values():
        assert feature.vocabulary == model and feature.vocabulary.extra_ids == 0
        assert feature.add_eos and feature.dtype == tf.int32


def test_without_a_vocabulary_byt5_s_tasks_read_bytes(offline):
    features = benchmarks.register("byt5_super_glue_boolq_v102").output_features
    assert all(feature.vocabulary == seqio.ByteVocabulary() for feature in features.values())
    assert features["inputs"].vocabulary.vocab_size == 259


def test_a_public_vocabulary_is_fetched_by_the_first_use(monkeypatch):
    """The shipped one in its place, which holds no sentinels: its last pieces stand for them."""
    name, fetched = "task_index_super_glue_rte_v102", []
    copy = tf.io.gfile.copy
    monkeypatch.setitem(vocabularies.PUBLIC, "", str(POCKET))
    monkeypatch.setattr(tf.io.gfile, "copy", lambda *paths: fetched.append(copy(*paths)))
    task = benchmarks.register(name, folder=OFFICIAL)
    shipped = SentencePieceVocabulary(POCKET, extra_ids=0)
    ours = find_benchmark(name, Folder(OFFICIAL)).load("validation", shipped, *LENGTHS.values())
    rows = list(task.get_dataset(LENGTHS, split="validation", shuffle=False).as_numpy_iterator())
    assert [row["inputs"].tolist() for row in rows] == [
        ours.inputs[i].tolist() for i in range(len(ours))
    ]
    assert rows[0]["inputs"][0] == shipped.sentinel_id(5) and not fetched
    right = [fields["targets"] for fields in ours.fields]
    for metric in 2 * task.metric_fns:
        assert metric(ours.fields, right) == {"accuracy": 100}
    assert len(fetched) == 1


def test_the_extra_brings_what_tfds_imports_without_requiring_it(monkeypatch):
    """Without the package nothing but TFDS's mock data can be had."""
    called = {}
    monkeypatch.setattr(setuptools, "setup", called.update)
    runpy.run_path(str(Path(__file__).parents[2] / "setup.py"))
    assert any(part.startswith("importlib_resources") for part in called["extras_require"]["seqio"])
