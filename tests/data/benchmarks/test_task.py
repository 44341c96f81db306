import numpy as np
import pytest

from prompt_tuning.data.benchmarks.rows import Folder
from prompt_tuning.data.benchmarks.super_glue import BENCHMARKS
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.metrics import check_metrics
from prompt_tuning.data.vocabulary import EOS_ID
from tests.data.benchmarks.helpers import OFFICIAL, task_of


def predictions(examples):
    return [row["targets"] for row in examples.fields]


@pytest.mark.parametrize("benchmark", BENCHMARKS, ids=lambda benchmark: benchmark.name)
def test_every_task_loads_and_scores_right_answers_as_right(benchmark, pocket):
    check_metrics(benchmark.metrics, benchmark.labels is not None)
    task = task_of(benchmark.name)
    for split in task.splits:
        examples = task.load(split, pocket, 512, 32)
        assert examples.report.inputs_truncated == 0 and len(set(examples.ids)) == len(examples)
        labelled = split != "test" or benchmark.train_examples in (0, 1_322)
        if not labelled or "wsc" in task.name:
            continue
        scores = task.score(examples, predictions(examples), pocket)
        assert scores.get("illegal_rate", 0) == 0
        if task.metric != "matthews":  # of which one class alone has none
            assert scores[task.metric] > 0


def test_wsc_is_scored_by_referents(pocket):
    task = task_of("super_glue_wsc_and_dev_v102_simple")
    examples = task.load("validation", pocket, 64, 8)
    assert [row["label"] for row in examples.fields] == [0, 1]
    assert task.score(examples, ["the man", "pipes"], pocket) == {"wsc": 100}
    assert task.score(examples, ["Jo's dog", "the hall"], pocket) == {"wsc": 0}
    assert task.score(examples, ["", "the"], pocket) == {"wsc": 0}


def test_record_counts_any_answer_and_multirc_whole_questions(pocket):
    record = task_of("super_glue_record_v102").load("validation", pocket, 128, 8)
    assert task_of("super_glue_record_v102").score(record, ["the Brandt"], pocket)["record"] == 100
    task = task_of("super_glue_multirc_v102")
    examples = task.load("train", pocket, 128, 8)
    scores = task.score(examples, ["True", "True", "True", "True"], pocket)
    assert scores["multirc_em"] == 50 and scores["multirc_f1a"] == pytest.approx(600 / 7)


def test_unknown_answers_give_no_score(pocket):
    for name in ("super_glue_cb_v102", "super_glue_wsc_v102_simple_eval", "super_glue_record_v102"):
        task = task_of(name)
        examples = task.load("test", pocket, 64, 8)
        texts = ["x"] * len(examples)
        assert task.score(examples, texts, pocket) == {}
        with pytest.raises(DataError, match=f"{name}: these examples have no answers"):
            task.score_fields(examples.fields, texts, pocket, task.metrics)


def test_forms_change_the_beginning_of_the_inputs(pocket, letters):
    plain = task_of("super_glue_wic_v102").load("train", pocket, 64, 8)
    taskless = task_of("taskless_super_glue_wic_v102").load("train", pocket, 64, 8)
    indexed = task_of("task_index_super_glue_wic_v102").load("train", pocket, 64, 8)
    for index, row in enumerate(plain.fields):
        rest = row["inputs"].removeprefix("wic ")
        assert rest != row["inputs"] and taskless.fields[index]["inputs"] == rest
        tokens = [*pocket.encode(rest), EOS_ID]
        assert taskless.inputs[index].tolist() == tokens
        assert indexed.inputs[index].tolist() == [pocket.sentinel_id(6), *tokens]
    assert np.array_equal(plain.targets.values, indexed.targets.values)
    task = task_of("byt5_task_index_dpr_v001_simple")
    examples = task.load("train", letters, 64, 8)
    assert (
        letters.decode(examples.inputs[0][1:]).startswith("The fox")
        and examples.ids[1] == "train:1"
    )
    assert examples.inputs[0][0] == letters.sentinel_id(7)


def test_the_prefix_says_which_kind_of_vocabulary(pocket, letters):
    with pytest.raises(DataError, match="made of bytes, .*: leave `byt5_` out of the task's name"):
        task_of("byt5_super_glue_cb_v102").load("train", pocket, 8, 8)
    with pytest.raises(DataError, match=r"reads bytes\+0: put `byt5_` before the task's name"):
        task_of("mt5_super_glue_cb_v102").load("train", letters, 8, 8)


def test_a_wrong_split_says_which_is_near(pocket):
    with pytest.raises(DataError, match="no split 'valid', only train, .*nearest: 'validation'"):
        task_of("super_glue_cb_v102").load("valid", pocket, 8, 8)
    with pytest.raises(DataError, match="no split 'train', only test"):
        task_of("super_glue_axb_v102").load("train", pocket, 8, 8)


def test_rows_that_are_not_trained_on_are_counted(pocket):
    report = task_of("super_glue_wsc_v102_simple_train").load("train", pocket, 64, 8).report
    assert (report.rows_read, report.rows_skipped) == (3, 1)


def test_a_cache_serves_where_the_files_are_not(tmp_path, pocket):
    name = "task_index_super_glue_record_v102"
    made = task_of(name).load("train", pocket, 64, 8, cache_dir=tmp_path)
    elsewhere = task_of(name, tmp_path / "nothing")
    again = elsewhere.load("train", pocket, 64, 8, cache_dir=tmp_path)
    assert again.fields == made.fields and np.array_equal(again.inputs.values, made.inputs.values)
    with pytest.raises(DataError, match="change DATA_DIR"):
        elsewhere.load("train", pocket, 32, 8, cache_dir=tmp_path)


def test_changed_files_are_read_again(tmp_path, pocket):
    folder = tmp_path / "CB"
    folder.mkdir()
    row = '{"premise": "p", "hypothesis": "%s", "label": "neutral", "idx": 0}'
    task = task_of("super_glue_cb_v102", tmp_path)
    for text in ("one", "two"):
        (folder / "train.jsonl").write_text(row % text)
        examples = task.load("train", pocket, 64, 8, cache_dir=tmp_path / "cache")
        assert text in examples.fields[0]["inputs"]


def test_label_texts_are_the_labels_or_none():
    assert task_of("super_glue_cb_v102").label_texts == ("entailment", "contradiction", "neutral")
    assert task_of("super_glue_record_v102").label_texts is None
    assert task_of("super_glue_cb_v102").source == Folder(OFFICIAL)
