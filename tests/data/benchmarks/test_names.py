import logging

import pytest

from prompt_tuning.data.benchmarks.mixtures import MIXTURES
from prompt_tuning.data.benchmarks.names import find_benchmark, parse, why_no_benchmark
from prompt_tuning.data.benchmarks.rows import Folder, Tfds
from prompt_tuning.data.benchmarks.table import BENCHMARKS
from prompt_tuning.data.benchmarks.task import Form
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.find_task import find_task
from tests.data.benchmarks.helpers import OFFICIAL

ANY = Tfds()


@pytest.mark.parametrize(
    "name, benchmark, form, log_examples",
    [
        ("super_glue_boolq_v102", "super_glue_boolq_v102", Form(), False),
        ("mt5_super_glue_cb_v102_examples", "super_glue_cb_v102", Form(), True),
        ("byt5_super_glue_copa_v102", "super_glue_copa_v102", Form(bytes=True), False),
        ("taskless_super_glue_axg_v102", "super_glue_axg_v102", Form(taskless=True), False),
        (
            "byt5_task_index_super_glue_axb_v102_examples",
            "super_glue_axb_v102",
            Form(bytes=True, taskless=True, task_index=5),
            True,
        ),
        (
            "task_index_super_glue_wsc_and_dev_v102_simple",
            "super_glue_wsc_and_dev_v102_simple",
            Form(taskless=True, task_index=7),
            False,
        ),
        ("task_index_dpr_v001_simple", "dpr_v001_simple", Form(taskless=True, task_index=7), False),
        (
            "task_index_glue_mnli_matched_v200",
            "glue_mnli_matched_v200",
            Form(taskless=True, task_index=1),
            False,
        ),
        ("glue_cola_v002_examples", "glue_cola_v200", Form(), True),
        ("squad_v010_allanswers_examples", "squad_v010_allanswers", Form(), True),
    ],
)
def test_a_name_is_taken_apart(name, benchmark, form, log_examples):
    task = find_benchmark(name, ANY)
    assert (task.name, task.benchmark.name) == (name, benchmark)
    assert (task.form, task.log_examples) == (form, log_examples)


@pytest.mark.parametrize("stem", [*BENCHMARKS, *MIXTURES])
@pytest.mark.parametrize("model", ["", "mt5_", "byt5_"])
def test_every_known_name_is_found_in_every_form(stem, model):
    named = "squad" not in stem and not stem.startswith("mrqa")
    for form in ("", "taskless_", "task_index_") if named else ("",):
        for end in ("", "_examples"):
            found = find_benchmark(f"{model}{form}{stem}{end}", ANY)
            assert found.name == f"{model}{form}{stem}{end}" == "".join(parse(found.name))


def test_t5_s_order_of_tasks_is_their_index():
    order = "boolq cb copa multirc record rte wic".split()
    for index, task in enumerate(order):
        name = f"task_index_super_glue_{task}_v102"
        assert find_benchmark(name, ANY).form.task_index == index
    order = "cola mnli mrpc qnli qqp rte sst2 stsb wnli".split()
    for index, task in enumerate(order):
        assert find_benchmark(f"task_index_glue_{task}_v002", ANY).form.task_index == index


@pytest.mark.parametrize(
    "name, message",
    [
        ("super_glue_bolq_v102", "nearest: 'super_glue_boolq_v102'"),
        ("taskless_super_glue_boolq_v103", "nearest: 'taskless_super_glue_boolq_v102'"),
        ("boolq", "no benchmark task or mixture 'boolq'; nearest: 'super_glue_boolq_v102'"),
        ("super_glue_v102_proportionl", "nearest: 'super_glue_v102_proportional'"),
        ("taskless_squad_v010_allanswers", "do not begin with a task's name"),
        ("xyz", "no benchmark task or mixture 'xyz'$"),
    ],
)
def test_an_unknown_name_says_what_is_near(name, message):
    with pytest.raises(DataError, match=message):
        find_benchmark(name, ANY)
    assert why_no_benchmark(name) and why_no_benchmark("super_glue_cb_v102") is None


def test_find_task_knows_benchmarks_without_seqio(pocket, without_seqio):
    task = find_task("super_glue_cb_v102", data_dir=OFFICIAL)
    assert task.source == Folder(OFFICIAL) and len(task.load("train", pocket, 64, 8)) == 2
    task = find_task("super_glue_cb_v102", tfds_data_dir="/data")
    assert task.source == Tfds("/data")
    with pytest.raises(DataError, match="without DATA_DIR rows come from .*or set DATA_DIR"):
        task.load("train", pocket, 64, 8)
    with pytest.raises(DataError, match="'super_glue_bc_v102' is no shipped.*super_glue_cb_v102"):
        find_task("super_glue_bc_v102")
    with pytest.raises(
        DataError, match="'my.module' makes 'spam' a task of seqio; leave it out.*pip install"
    ):
        find_task("spam", module="my.module")


@pytest.mark.parametrize(
    "name, module",
    [
        ("super_glue_cb_v102", "super_glue"),
        ("taskless_glue_sst2_v002_examples", "glue"),
        ("glue_mrpc_from_qqp_zeroshot_v002", "glue_transfer"),
        ("squad_to_mrqa_examples", "qa"),
        ("mt5_super_glue_cb_v102", "tasks"),
    ],
)
def test_a_module_of_the_original_leaves_a_benchmark_ours(name, module, without_seqio, caplog):
    module = f"prompt_tuning.data.{module}"
    with caplog.at_level(logging.INFO):
        assert find_task(name, module, data_dir=OFFICIAL).name == name
    assert f"'{module}' is the original's: our own benchmark '{name}' is used" in caplog.text


@pytest.mark.parametrize(
    "name, module, message",
    [
        ("glue_sts2_v200", "prompt_tuning.data.glue", "; no benchmark .*nearest: 'glue_stsb_v200'"),
        ("spam", "prompt_tuning.data.tasks", "; leave it out for the shipped task 'spam'"),
        ("super_glue_cb_v102", "my.module", r"\. Tasks of seqio need"),
    ],
)
def test_all_else_beside_a_module_stays_seqio_s(name, module, message, without_seqio):
    with pytest.raises(DataError, match=f"'{module}' makes '{name}' a task of seqio{message}"):
        find_task(name, module)
