"""A dry run says what would be done, from shapes alone."""

import dataclasses
import sys

import jax
import jax.numpy as jnp
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import weights
from prompt_tuning.cli import dry_run
from prompt_tuning.experiments import sweep
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.planning import programs
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition

LONG_LABELS = "--gin.TASK_FEATURE_LENGTHS={'inputs': 16, 'targets': 1}"


@pytest.fixture
def plan(monkeypatch, model_folder, data_files, tmp_path, capsys):
    """`plan(*flags)` is the report of a dry run, which reads no array but the vocabulary's table."""
    read = stored.StoredArray.__getitem__

    def of_the_table(array, index):
        assert array.shape == (4096, 16)
        return read(array, index)

    monkeypatch.setattr(stored.StoredArray, "__getitem__", of_the_table)

    def run(*arguments, main=train.main):
        flags = [
            "--dry_run",
            "--gin_file=tasks/files.gin",
            f"--gin.INITIAL_CHECKPOINT_PATH={model_folder}",
            f"--gin.DATA_FILES={data_files!r}",
            f"--gin.MODEL_DIR={tmp_path / 'run'}",
            "--gin.CLASS_LABELS=['animal', 'colour']",
            "--gin.SampledVocab.first=4000",
            "--gin.TRAIN_STEPS=10",
            "--gin.BATCH_SIZE=16",
            "--gin.PROMPT_LENGTH=5",
        ]
        monkeypatch.setattr(sys, "argv", ["program", *flags, *arguments])
        main()
        assert not (tmp_path / "run").exists()
        return capsys.readouterr().out

    return run


def test_what_it_says(plan):
    report = plan("--gin_file=prompts/from_class_labels.gin")
    assert "SoftPrompt.initializer = @ClassLabels()" in report
    assert "16 examples in parts by Bucketed(groups=8, buckets=8, tokens=2048)" in report
    assert "encoder_input_tokens int32 [16, 64] or [16, 128]" in report
    assert "decoder_target_tokens int32 [16, 8]\n" in report
    assert "frozen parameters, 80 trained" in report
    assert "10 steps of 16 examples, 160 in all" in report
    assert "4 epochs of 40 examples" in report
    assert "parameters" in report and "kept for the gradient" in report


def test_weights_are_counted_in_the_form_in_which_they_are_held(plan):
    def parameters(*arguments):
        (line,) = [x for x in plan(*arguments).splitlines() if x.endswith("  parameters")]
        return float(line.split()[0])

    plain = parameters()
    assert parameters("--gin.Execution.scan_layers=True") == plain
    assert parameters("--gin.Execution.int8_weights=True") < plain


def test_shapes_are_those_of_the_arrangement(plan):
    padded = plan("--gin.ARRANGEMENT=@Padded()", "--gin.train.accumulate=2")
    assert "encoder_input_tokens int32 [8, 128]\n" in padded
    packed = plan("--gin.ARRANGEMENT=@Packed()", "--gin.Packed.targets=3")
    assert "encoder_input_tokens int32 [8, 136] or [16, 136]\n" in packed
    assert "decoder_segment_ids int32 [8, 24] or [16, 24]\n" in packed


def test_model_tuning(plan):
    report = plan("--gin_file=methods/model_tuning.gin")
    total = sum(x.size for x in jax.tree.leaves(_shapes()))
    assert f"ModelTuning: 0 frozen parameters, {total:,} trained (100.0000%)" in report


def test_a_sweep_names_its_members_and_keeps_an_optimizer_for_each(plan):
    rates, seeds = "--gin.LEARNING_RATES=[0.1, 0.3]", "--gin.SEEDS=[0, 1, 2]"
    report = plan(rates, seeds, main=sweep.main)
    assert "6, each with batches and a prompt of its own" in report
    assert "lr_0.3--seed_2\n" in report
    alone = plan("--gin.ARRANGEMENT=@Padded()")
    for name in ("gradient", "optimizer state", "kept for the gradient, at most"):
        assert memory_of(report, name) == pytest.approx(6 * memory_of(alone, name), abs=0.1), name


def memory_of(report, name):
    """MiB of a line."""
    (line,) = (line for line in report.splitlines() if line.endswith(f"MiB  {name}"))
    return float(line.split()[0])


def _shapes():
    from prompt_tuning.t5 import config

    tiny = config.T5Config(4096, 16, 2, 8, 32, 2, 2)
    return {
        name: jax.ShapeDtypeStruct(shape, jnp.float32)
        for name, shape in parameters.expected_shapes(tiny).items()
    }


@pytest.mark.parametrize(
    "argument, expected",
    [
        ("--gin.BATCH_SIZE=12", "BATCH_SIZE must be a multiple of 8"),
        ("--gin.CLASS_LABELS=['animal']", "unknown label 'colour'"),
        ("--gin.PROMPT_LENGTH=4001", "exceeds SampledVocab.first"),
        ("--gin.EVAL_SPLIT=dev", "no split 'dev'"),
        (LONG_LABELS, "targets 1"),
        ("--gin.SEED=-1", "train.seed must be at least 0, found -1"),
        ("--gin.train.save_period=0", "train.save_period must be at least 1, found 0"),
        ("--gin.METHOD=@Method()", "Method trains nothing"),
    ],
)
def test_it_finds_what_would_fail(plan, capsys, argument, expected):
    assert failing(plan, "--gin.DECODER=@RankLabels()", argument) == 1
    assert expected in capsys.readouterr().err


@pytest.fixture
def plan_evaluation(plan, tmp_path):
    """As `plan`, of an evaluation of a prompt that is never read."""
    prompt, output = tmp_path / "prompt.npy", tmp_path / "run"
    prompt.touch()
    flags = f"--gin.PROMPT_FILE='{prompt}'", f"--gin.EVAL_OUTPUT_DIR='{output}'"
    return lambda *arguments: plan(*flags, *arguments, main=evaluation.main)


def test_what_it_says_of_an_evaluation(plan_evaluation):
    report = plan_evaluation("--gin.EVAL_SPLIT=test", "--gin.DECODER=@RankLabels()")
    assert "test of my_task, 16 examples at once, by RankLabels()" in report
    assert "scores: accuracy, illegal_rate" in report
    assert "optimizer state" not in report


@pytest.mark.parametrize(
    "arguments, expected",
    [
        (["--gin.EVAL_SPLIT=dev"], "no split 'dev'"),
        (["--gin.DATA_FILES={'validation': '/no/where.tsv'}"], "/no/where.tsv"),
        (["--gin.CLASS_LABELS=['animal']"], "unknown label 'colour'"),
        (["--gin.DECODER=@RankLabels()", LONG_LABELS], "targets 1"),
        (["--gin.PROMPT_FILE=None"], "SoftPrompt needs what it learned: set PROMPT_FILE"),
        (["--gin.METHOD=@Method()"], "Method learns nothing, found PROMPT_FILE"),
        (["--gin.PROMPT_FILE=['.', '.']", "--gin.ENSEMBLE=@mean_log_probability"], "set DECODER"),
    ],
)
def test_it_finds_what_would_fail_in_an_evaluation(plan_evaluation, capsys, arguments, expected):
    assert failing(plan_evaluation, *arguments) == 1
    assert expected in capsys.readouterr().err


def failing(plan, *arguments):
    with pytest.raises(SystemExit) as caught:
        plan(*arguments)
    return caught.value.code


@pytest.fixture(scope="module")
def base(model_folder):
    model = weights.open_model(model_folder)
    return dataclasses.replace(model, params=_shapes())


def kept(base, method, batch_size):
    params = base.params | programs.added_shapes(method, base)
    trained, frozen = partition.split(dict(params), method.trainable)
    batch = programs.batch_shapes(batch_size, 12, 4)
    return dry_run.kept_for_gradient(method.network(base), trained, frozen, batch)


def test_what_is_kept_grows_with_the_batch_and_holds_no_weights(base):
    method = soft_prompt.SoftPrompt(5, initializer=_zeros)
    small, large = (dry_run._bytes(kept(base, method, size)) for size in (8, 16))
    assert 1.9 < large / small <= 2.0
    tables = [x for x in kept(base, method, 8) if x.shape == (4096, 16)]
    assert not tables


def test_model_tuning_keeps_more_than_a_prompt_of_no_length_would(base):
    prompt = dry_run._bytes(kept(base, soft_prompt.SoftPrompt(1, initializer=_zeros), 8))
    model = dry_run._bytes(kept(base, model_tuning.ModelTuning(), 8))
    assert model > prompt


def _zeros(key, shape, *, table, vocabulary):
    del key, table, vocabulary
    return jnp.zeros(shape)
