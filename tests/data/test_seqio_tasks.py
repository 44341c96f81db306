import functools
import json

import pytest

seqio = pytest.importorskip("seqio", reason="needs the [seqio] extra")
tf = pytest.importorskip("tensorflow", reason="needs the [seqio] extra")

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.data.cached import CachedTask
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.sentinel import SentinelTask
from prompt_tuning.data.seqio_tasks import find_task, provider
from prompt_tuning.data.shipped import SHIPPED, shipped_task
from prompt_tuning.data.tasks import MixtureTask
from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET

MODULE = "prompt_tuning.data.seqio_tasks.shipped"
EXTRA_IDS = json.loads(POCKET.with_name("config.json").read_text())["vocabulary"]["extra_ids"]
SEQIO_POCKET = seqio.SentencePieceVocabulary(str(POCKET), EXTRA_IDS)
BYTES = ByteVocabulary(extra_ids=10)


@pytest.fixture(scope="module")
def pocket() -> SentencePieceVocabulary:
    """The vocabulary of the shipped model, with as many sentinels as it has."""
    return SentencePieceVocabulary(POCKET, EXTRA_IDS)


def register(name, rows=(), *, metric_fns=(), postprocess_fn=None, source=None, first=()) -> None:
    """A task of `rows` (dicts of text), or of a `source` that the steps `first` make into such, in
    the byte vocabulary, registered anew.
    """

    def dataset(split, shuffle_files, seed=None):
        return tf.data.Dataset.from_tensor_slices(
            {key: [row[key] for row in rows] for key in rows[0]}
        )

    seqio.TaskRegistry.remove(name)
    seqio.TaskRegistry.add(
        name,
        source=source or seqio.FunctionDataSource(dataset, splits=["train"]),
        preprocessors=[*first, seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
        output_features={
            side: seqio.Feature(seqio.ByteVocabulary(extra_ids=10))
            for side in ("inputs", "targets")
        },
        postprocess_fn=postprocess_fn,
        metric_fns=list(metric_fns),
    )


@pytest.mark.parametrize("name", SHIPPED)
def test_both_providers_give_the_same_shipped_tasks(name, pocket):
    ours = shipped_task(name).load("validation", pocket, 64, 8)
    theirs = find_task(name, MODULE).load("validation", pocket, 64, 8)
    assert theirs.ids == ours.ids
    assert [(row["inputs"], row["targets"]) for row in theirs.fields] == [
        (row["inputs"], row["targets"]) for row in ours.fields
    ]
    for side in ("inputs", "targets"):
        assert np.array_equal(getattr(theirs, side).values, getattr(ours, side).values)
        assert np.array_equal(getattr(theirs, side).offsets, getattr(ours, side).offsets)
    assert theirs.report == ours.report


def test_rows_are_those_that_seqio_gives_where_eos_follows_the_trim(pocket):
    task = find_task("spam", MODULE)  # makes it known to seqio, too
    lengths = {"inputs": 20, "targets": 4}
    expected = seqio.get_mixture_or_task("spam").get_dataset(
        lengths, split="validation", shuffle=False
    )
    examples = task.load("validation", pocket, 20, 4)
    assert examples.report.inputs_truncated > 0
    for i, row in enumerate(expected.as_numpy_iterator()):
        assert row["inputs"].tolist() == examples.inputs[i].tolist()
        assert row["targets"].tolist() == examples.targets[i].tolist()


def test_a_row_cut_by_seqio_keeps_its_eos_here():
    register("long", [{"inputs": "abcdef", "targets": "x"}, {"inputs": "abcd", "targets": "x"}])
    examples = find_task("long").load("train", BYTES, 5, 4)
    assert [examples.inputs[i].tolist() for i in range(2)] == [[*BYTES.encode("abcd"), 1]] * 2
    assert examples.report.inputs_truncated == 1 and examples.ids == ["train:0", "train:1"]


def test_scores_are_seqio_s_after_its_postprocessing():
    def number(text, example=None, is_target=False):
        assert example["inputs_pretokenized"] in ("q", "r") and example["extra"] in ("1", "2")
        return int(text) if text.isdigit() else -1

    def offset(targets, predictions):
        return {"offset": np.float32(np.mean(np.subtract(targets, predictions)))}

    rows = [
        {"inputs": "q", "targets": "5", "extra": "1"},
        {"inputs": "r", "targets": "7", "extra": "2"},
    ]
    register("counted", rows, metric_fns=[offset], postprocess_fn=number)
    task = find_task("counted")
    assert task.metric == "offset"
    examples = task.load("train", BYTES, 8, 8)
    assert examples.fields[1] == {"inputs": "r", "targets": "7", "extra": "2"}
    assert task.score(examples, ["4", "no"], BYTES) == {"offset": 4.5}


def test_shipped_tasks_score_through_the_vocabulary(pocket):
    task = find_task("spam", MODULE)
    examples = task.load("validation", pocket, 16, 4)
    targets = [row["targets"] for row in examples.fields]
    assert task.score(examples, [text.upper() for text in targets], pocket) == {"accuracy": 100}
    assert task.score(examples, ["ham"] * len(targets), pocket) == {
        "accuracy": 100 * targets.count("ham") / len(targets)
    }


def test_a_mixture_has_seqio_s_rates_and_makes_rows(pocket):
    for name in ("one", "two"):
        register(name, [{"inputs": name, "targets": "x"}])
    seqio.MixtureRegistry.remove("one_and_two")
    seqio.MixtureRegistry.add("one_and_two", [("one", 3.0), ("two", 1.0)])
    mixture = find_task("one_and_two")
    assert isinstance(mixture, MixtureTask) and mixture.rates == {"one": 3.0, "two": 1.0}
    rows = mixture.rows("train", BYTES, 8, 4)
    drawn = [rows.row(i).id for i in range(2000)]
    assert 0.7 < drawn.count("one/train:0") / 2000 < 0.8
    assert set(find_task("shipped_tasks", MODULE).tasks) == set(SHIPPED)


def test_a_cache_made_by_seqio_loads_as_it_was(tmp_path, pocket, monkeypatch):
    made = find_task("spam", MODULE).load("validation", pocket, 32, 4, cache_dir=tmp_path)
    cached = CachedTask("spam", str(tmp_path)).load("validation", pocket, 32, 4)
    assert cached.ids == made.ids and cached.fields == made.fields
    assert np.array_equal(cached.inputs.values, made.inputs.values)
    monkeypatch.setattr(provider.SeqioTask, "read", lambda *_: pytest.fail("read again"))
    find_task("spam", MODULE).load("validation", pocket, 32, 4, cache_dir=tmp_path)


def test_a_source_that_is_a_function_is_not_cached(tmp_path, caplog):
    for text in ("a", "b"):
        register("changing", [{"inputs": text, "targets": "x"}])
        read = find_task("changing").load("train", BYTES, 8, 4, cache_dir=tmp_path)
        assert read.fields[0]["inputs"] == text
        sentinel = SentinelTask(find_task("changing"))
        read = sentinel.load("train", BYTES, 8, 4, cache_dir=tmp_path)
        assert read.fields[0]["inputs"] == text
    assert "changing is not kept in CACHE_DIR: nothing tells when its source, a Func" in caplog.text
    assert not list(tmp_path.iterdir())


def suffixed(dataset, suffix, times=1):
    return dataset.map(lambda line: {"inputs": line + times * suffix, "targets": line})


@pytest.mark.parametrize("other, expected", [({"suffix": "b"}, "xb"), ({"times": 2}, "xaa")])
def test_a_preprocessor_with_other_arguments_is_another(tmp_path, other, expected):
    (tmp_path / "lines.txt").write_text("x\n")
    source = seqio.TextLineDataSource({"train": str(tmp_path / "lines.txt")})
    for arguments, text in (({}, "xa"), (other, expected)):
        step = functools.partial(suffixed, **{"suffix": "a"} | arguments)
        register("changing", source=source, first=[step])
        read = find_task("changing").load("train", BYTES, 8, 4, cache_dir=tmp_path / "cache")
        assert read.fields[0]["inputs"] == text


def test_a_definition_is_the_same_in_every_process():
    inner = functools.partial(suffixed, SEQIO_POCKET, {"of": [len, object()]}, suffix=None)
    found = provider._definition(functools.partial(inner, times=2.5))
    bound = [["'suffix'", "None"], ["'times'", "2.5"]]
    arguments = ["SentencePieceVocabulary", [["'of'", ["len", "object"]]]]
    assert found == ["suffixed", arguments, bound] == json.loads(json.dumps(found))


def test_another_vocabulary_is_refused(pocket, letters):
    with pytest.raises(
        DataError, match=r"task spam makes its inputs with .*, the model reads bytes\+0"
    ):
        find_task("spam", MODULE).load("train", letters, 8, 8)
    other = SentencePieceVocabulary(POCKET, extra_ids=7)
    with pytest.raises(DataError, match=r"the model reads vocabulary.model\+7"):
        find_task("spam", MODULE).load("train", other, 8, 8)


def test_unknown_names_splits_and_modules_are_named(pocket):
    with pytest.raises(DataError, match="no task or mixture 'spamm'; nearest: 'spam'"):
        find_task("spamm", MODULE)
    with pytest.raises(
        DataError, match="no split 'tset', only train, validation, test; nearest: 'test'"
    ):
        find_task("spam", MODULE).load("tset", pocket, 8, 8)
    with pytest.raises(
        DataError, match="MIXTURE_OR_TASK_MODULE 'no.such.module' cannot be imported"
    ):
        find_task("spam", "no.such.module")


words = st.lists(
    st.sampled_from(["The", "man", "saw", "<extra_id_0>", "<extra_id_3>", "x,", "ÄÖ"]), max_size=8
)


@settings(max_examples=200)
@given(words)
def test_our_vocabulary_encodes_and_decodes_as_seqio_s(pocket, parts):
    text = " ".join(parts)
    ids = SEQIO_POCKET.encode(text)
    assert pocket.encode(text) == ids
    assert pocket.decode(ids) == SEQIO_POCKET.decode(ids)


@given(st.lists(st.integers(2, 4200), max_size=12))
def test_any_ids_decode_as_in_seqio(pocket, ids):
    assert pocket.decode(ids) == SEQIO_POCKET.decode(ids)
