import pytest

from prompt_tuning.data.benchmarks.names import find_benchmark
from prompt_tuning.data.benchmarks.rows import Tfds
from prompt_tuning.data.examples import DataError
from tests.data.benchmarks.helpers import task_of

SUPER_GLUE = {
    "super_glue_boolq_v102": 9_427,
    "super_glue_cb_v102": 250,
    "super_glue_copa_v102": 400,
    "super_glue_multirc_v102": 27_243,
    "super_glue_record_v102": 138_854,
    "super_glue_rte_v102": 2_490,
    "super_glue_wic_v102": 5_428,
    "super_glue_wsc_v102_simple_train": 259,
    "super_glue_wsc_v102_simple_eval": 0,
}
DPR = {"dpr_v001_simple": 1_322}
DIAGNOSTICS = {"super_glue_axb_v102": 0, "super_glue_axg_v102": 0}


def test_members_and_rates_are_t5_s():
    mixture = find_benchmark("super_glue_v102_proportional", Tfds())
    assert mixture.rates == SUPER_GLUE | DPR | DIAGNOSTICS
    assert mixture.metric == "super_glue"
    mixture = find_benchmark("wsc_dpr_simple_proportional", Tfds())
    assert set(mixture.tasks) == {*DPR, *list(SUPER_GLUE)[-2:]}


@pytest.mark.parametrize("with_dpr", ["", "with_dpr_"])
def test_the_multi_task_mixtures_log_examples_of_what_they_evaluate(with_dpr):
    name = f"task_index_super_glue_{with_dpr}v102_examples_proportional"
    mixture = find_benchmark(name, Tfds())
    expected = {
        f"task_index_{task}" + ("" if task.endswith("train") else "_examples"): rate
        for task, rate in (SUPER_GLUE | (DPR if with_dpr else {})).items()
    }
    assert mixture.rates == expected
    assert all(task.form.task_index is not None for task in mixture.tasks.values())
    assert {name for name, task in mixture.tasks.items() if not task.log_examples} == {
        "task_index_super_glue_wsc_v102_simple_train"
    }


def test_large_tasks_count_up_to_t5_s_limit():
    rates = find_benchmark("glue_v002_proportional", Tfds()).rates
    assert rates["glue_mnli_v002"] == 392_702 and "glue_wnli_v002" not in rates
    assert max(rates.values()) <= 2**19


def test_mnli_s_dev_sets_come_with_its_training_rows():
    mixture = find_benchmark("glue_mnli_and_dev_v002_examples", Tfds())
    assert [name for name, rate in mixture.rates.items() if rate] == ["glue_mnli_v002_examples"]
    assert "validation" in mixture.tasks[mixture.metric.split("/")[0]].splits


@pytest.mark.parametrize("version", ["v002", "v200"])
@pytest.mark.parametrize("form", ["", "taskless_", "byt5_task_index_"])
@pytest.mark.parametrize("target, source", [("mrpc", "qqp"), ("qqp", "mrpc")])
def test_a_zero_shot_mixture_learns_the_one_and_is_scored_on_the_other_too(
    target, source, form, version
):
    name = f"{form}glue_{target}_from_{source}_zeroshot_{version}"
    learned = f"{form}glue_{source}_{version}"
    unseen = f"{form}glue_{target}_from_{source}_{version}"
    mixture = find_benchmark(name, Tfds())
    assert list(mixture.tasks) == [learned, unseen]
    assert mixture.rates[learned] > 0 == mixture.rates[unseen]
    assert mixture.metric == f"{learned}/f1_accuracy"
    assert list(mixture.tasks[unseen].splits) == ["validation"]
    assert mixture.tasks[unseen].label_texts == mixture.tasks[learned].label_texts
    # As the original has it, the learned one's predictions are not logged.
    assert list(find_benchmark(f"{name}_examples", Tfds()).tasks) == [learned, f"{unseen}_examples"]


def test_rows_are_drawn_from_members_with_a_rate_that_have_the_split(pocket):
    mixture = task_of("super_glue_v102_proportional")
    rows = mixture.rows("train", pocket, 64, 8)
    drawn = {rows.row(index).id.split("/")[0] for index in range(3000)}
    assert drawn >= {"super_glue_record_v102", "super_glue_multirc_v102", "super_glue_boolq_v102"}
    assert drawn <= {name for name, rate in mixture.rates.items() if rate}
    rows = task_of("wsc_dpr_simple_proportional").rows("test", pocket, 64, 8)
    assert {rows.row(index).id.split("/")[0] for index in range(20)} == {"dpr_v001_simple"}


def test_a_split_that_no_trained_member_has_is_refused(pocket):
    with pytest.raises(DataError, match="no member to draw from has a split 'dev'; there are"):
        task_of("super_glue_v102_proportional").rows("dev", pocket, 8, 8)


def test_a_whole_super_glue_has_its_average():
    mixture = find_benchmark("taskless_super_glue_v102_proportional", Tfds())
    single = {"accuracy": 50.0}
    scores = {
        f"taskless_super_glue_{name}_v102": single for name in ("boolq", "copa", "rte", "wic")
    }
    scores |= {
        "taskless_super_glue_cb_v102": {"accuracy": 80.0, "macro_f1": 60.0},
        "taskless_super_glue_multirc_v102": {"multirc_f1a": 40.0, "multirc_em": 20.0},
        "taskless_super_glue_record_v102": {"record_f1": 10.0, "record_em": 0.0},
        "taskless_super_glue_wsc_v102_simple_eval": {"wsc": 65.0},
        "taskless_super_glue_axb_v102": {"matthews": -100.0},
    }
    assert mixture.summary(scores) == {"super_glue": (4 * 50 + 70 + 30 + 5 + 65) / 8}
    del scores["taskless_super_glue_cb_v102"]
    assert mixture.summary(scores) == {}
