"""Members trained together are what each is alone: losses, prompts, scores, files; and a sweep goes on."""

import dataclasses
import json
import os
import pathlib
import signal
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.data.files import FilesTask
from prompt_tuning.evaluation import decoders
from prompt_tuning.experiments import sweep
from prompt_tuning.experiments import together
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files as prompt_files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import interrupt
from prompt_tuning.training import loop
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from tests import models as tiny

pytestmark = [
    pytest.mark.usefixtures("quick_compilation"),  # every run alone is a program of its own
    pytest.mark.xdist_group("sweep"),  # which share what takes long
]

MEMBERS = together.grid([0.1, 0.3], [0, 1])
PROMPT = "encoder/prompt/prompt/prompt"
STEPS = 6


class OneDevice(sharding.Layout):
    """Of the tests' eight: the command's test has them all."""

    def mesh(self, devices=None):
        return super().mesh(jax.devices()[:1])


OPTIONS = dict(
    train_steps=STEPS,
    task_feature_lengths={"inputs": 16, "targets": 4},
    batch_size=8,
    eval_period=3,
    log_period=1,
    decoder=decoders.RankLabels(),
    layout=OneDevice(),
)


@pytest.fixture(scope="module")
def folder(model_folder, tmp_path_factory):
    """The tests' model with one layer a stack, for many programs are compiled here."""
    base = weights.load_model(model_folder)
    config = dataclasses.replace(base.config, num_encoder_layers=1, num_decoder_layers=1)
    params = weights.random_params(config, seed=0)
    small = weights.FrozenModel("tiny", config, params, base.vocabulary)
    folder = tmp_path_factory.mktemp("one_layer")
    weights.save_model(folder, small, params, dtype="float32")
    return folder


@pytest.fixture(scope="module")
def base(folder):
    return weights.load_model(folder)


@pytest.fixture(scope="module")
def task(data_files):
    return FilesTask("colours", data_files, labels=("animal", "colour"), id_column="id")


def run(base, task, out, **options):
    options = dict(members=MEMBERS, length=4, initializer=initializers.Uniform()) | options
    return sweep.sweep(base, task, out=out, **(OPTIONS | options))


@pytest.fixture(scope="module")
def asked():
    """The learning rates whose optimizer the finished sweep asked for."""
    return []


@pytest.fixture(scope="module")
def finished(base, task, tmp_path_factory, asked):
    out = tmp_path_factory.mktemp("sweep")

    def optimizer(learning_rate):
        asked.append(learning_rate)
        return optimizers.short_run_adafactor(STEPS, learning_rate)

    return out, run(base, task, out, optimizer=optimizer)


def with_dropout(base, rate):
    return dataclasses.replace(base, config=dataclasses.replace(base.config, dropout_rate=rate))


@pytest.fixture(scope="module")
def with_masks(base, task, tmp_path_factory):
    """The same with dropout, never evaluated."""
    out = tmp_path_factory.mktemp("with_masks")
    return run(with_dropout(base, 0.1), task, out, eval_period=None)


def scalars(folder):
    lines = [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]
    return {(line["step"], name): value for line in lines for name, value in line.items()}


@pytest.mark.parametrize("dropout", [0.0, 0.1])
def test_members_are_what_they_are_alone(base, task, tmp_path, finished, with_masks, dropout):
    base, options, (_, results) = with_dropout(base, dropout), OPTIONS, finished
    if dropout:
        options, results = OPTIONS | {"eval_period": None}, with_masks
    method = soft_prompt.SoftPrompt(4, initializers.Uniform())
    for member, result in zip(MEMBERS, results, strict=True):
        alone = train.train(
            base,
            method,
            task,
            model_dir=tmp_path / member.name,
            optimizer=optimizers.short_run_adafactor(STEPS, member.learning_rate),
            seed=member.seed,
            arrangement=arrangements.Padded(),
            **options,
        )
        assert result.member == member and result.stopped is None
        np.testing.assert_allclose(result.trained[PROMPT], alone.trained[PROMPT], atol=1e-4)
        assert result.best == alone.best
        best, alone_best = (
            prompt_files.read_prompts(path / "best").arrays[PROMPT]
            for path in (result.folder, tmp_path / member.name)
        )
        np.testing.assert_allclose(best, alone_best, atol=1e-4)
        ours, theirs = scalars(result.folder), scalars(tmp_path / member.name)
        assert "train/loss" in {name for _, name in ours}
        assert dropout or "eval/accuracy" in {name for _, name in ours}
        assert set(ours) == {key for key in theirs if not key[1].startswith("eval/prompt/")}
        for key, value in ours.items():
            assert value == pytest.approx(theirs[key], rel=1e-3, abs=1e-5), (member, key)
        for step in range(1, STEPS + 1):
            name = step, "train/loss"
            assert ours[name] == pytest.approx(theirs[name], rel=1e-5), (member, step)


def test_members_differ_in_all_that_they_should(finished, with_masks):
    """Far more than rounding: each in learning rate and seed, and by dropout's masks."""
    results = [*finished[1], *with_masks]
    prompts = [np.asarray(result.trained[PROMPT]) for result in results]
    for i, one in enumerate(prompts):
        for other in prompts[:i]:
            assert np.max(np.abs(one - other)) > 0.01


def test_all_members_share_one_compilation(finished, asked):
    assert len(asked) == 2  # the first state, the step
    assert all(isinstance(rate, jax.core.Tracer) for rate in asked)


def test_what_a_sweep_leaves(finished, base, task, tmp_path):
    out, results = finished
    lines = [json.loads(line) for line in (out / sweep.RESULTS).read_text().splitlines()]
    assert [(line["learning_rate"], line["seed"]) for line in lines] == [
        (0.1, 0),
        (0.1, 1),
        (0.3, 0),
        (0.3, 1),
    ]
    for line, result in zip(lines, results, strict=True):
        assert result.folder == out / line["folder"]
        assert line["folder"] == f"lr_{line['learning_rate']}--seed_{line['seed']}"
        assert (line["best_step"], line["score"]) == (result.best.step, result.best.score)
        assert line["metric"] == "accuracy" and line["stopped"] is None
        read = prompt_files.read_prompts(result.folder / "best")
        about = read.about
        assert about["learning_rate"] == str(result.member.learning_rate)
        assert about["seed"] == str(result.member.seed)
        assert about["step"] == str(result.best.step) and about["fingerprint"] == base.fingerprint
    best = results[0]
    scores = evaluation.evaluate(
        base,
        soft_prompt.SoftPrompt(4),
        task,
        output_dir=tmp_path,
        task_feature_lengths=OPTIONS["task_feature_lengths"],
        prompt_file=best.folder,
        batch_size=8,
        decoder=OPTIONS["decoder"],
        layout=OPTIONS["layout"],
    )
    assert scores["accuracy"] == best.best.score


@pytest.mark.parametrize("call, stopped", [(10, 3), (12, 4)])  # in an evaluation, behind it
def test_a_sweep_that_is_interrupted_goes_on(
    finished, base, task, tmp_path, monkeypatch, call, stopped
):
    out, whole = finished
    taken, step = [], together.Together.step

    def counted(self, state, *rest):
        taken.append(int(state.step))
        return step(self, state, *rest)

    monkeypatch.setattr(together.Together, "step", counted)

    def asked_now(self, calls=iter(range(100))):
        if next(calls) == call:
            self.signal = signal.SIGTERM
        return self.signal is not None

    with monkeypatch.context() as patched:
        patched.setattr(interrupt.Interrupt, "asked_now", asked_now)
        with pytest.raises(loop.Interrupted, match=f"Stopped at step {stopped} of {STEPS}"):
            run(base, task, tmp_path)
    assert not (tmp_path / sweep.RESULTS).exists()
    assert len(taken) == stopped
    results = run(base, task, tmp_path)
    assert taken == list(range(STEPS))  # none twice
    for result, expected in zip(results, whole, strict=True):
        np.testing.assert_array_equal(result.trained[PROMPT], expected.trained[PROMPT])
        assert result.best == expected.best
        assert scalars(result.folder) == scalars(expected.folder)
        read, ours = (prompt_files.read_prompts(x.folder / "best") for x in (expected, result))
        np.testing.assert_array_equal(ours.arrays[PROMPT], read.arrays[PROMPT])
    assert (tmp_path / sweep.RESULTS).read_text() == (out / sweep.RESULTS).read_text()


def test_another_sweep_does_not_go_on(finished, base, task):
    out, _ = finished
    members = together.grid([0.1, 0.4], [0, 1])
    with pytest.raises(ValueError, match="holds another run: it had {'members': .*Give another"):
        run(base, task, out, members=members)


def test_a_member_that_diverges_leaves_the_others_alone(base, task, tmp_path, caplog):
    good, bad = together.Member(0.1, 0), together.Member(1e38, 0)
    options = dict(optimizer=lambda rate: optax.sgd(rate), eval_period=None)
    alone = run(base, task, tmp_path / "alone", members=[good], **options)[0]
    with caplog.at_level("WARNING", "prompt_tuning.experiments.sweep"):
        first, second = run(base, task, tmp_path / "both", members=[bad, good], **options)
    assert f"{bad.name}: the loss or the update of step 0 is not finite" in caplog.text
    assert first.stopped == 0 and second.stopped is None
    method = soft_prompt.SoftPrompt(4, initializers.Uniform())
    np.testing.assert_array_equal(
        first.trained[PROMPT], method.initial(base, jax.random.key(0))[PROMPT]
    )
    np.testing.assert_allclose(second.trained[PROMPT], alone.trained[PROMPT], atol=1e-5)
    moved = np.abs(second.trained[PROMPT] - first.trained[PROMPT])
    assert np.max(moved) > 0.01
    only_bad = run(base, task, tmp_path / "bad", members=[bad], **options)
    assert only_bad[0].stopped == 0 and (only_bad[0].folder / "best").is_dir()


def test_a_member_that_has_stopped_does_not_go_on(base):
    mesh = OneDevice().mesh()
    method = soft_prompt.SoftPrompt(4, initializers.Uniform())
    optimizer, members = (lambda rate: optax.sgd(rate)), MEMBERS[:2]
    joint = together.Together(method.network(base), method.trainable, optimizer, members, mesh)
    prompts = [method.initial(base, jax.random.key(member.seed)) for member in members]
    state = joint.first(prompts).replace(finite=jnp.array([False, True]))
    batch = together.side_by_side([tiny.random_batch(seed) for seed in (0, 1)])
    state, metrics = joint.step(state, base.params, batch)
    assert metrics["finite"].tolist() == [False, True] and int(state.step) == 1
    assert state.members.step.tolist() == [0, 1]
    moved = [np.max(np.abs(x - y[PROMPT])) for x, y in zip(state.members.trained[PROMPT], prompts)]
    assert moved[0] == 0 and moved[1] > 1e-4


@pytest.mark.parametrize(
    "options, said",
    [
        (dict(members=[]), "at least one member"),
        (dict(members=together.grid([0.1, 0.1], [0])), "no two alike"),
        (dict(train_steps=0), "sweep.train_steps must be at least 1, found 0"),
        (dict(optimizer=lambda rate: optax.sgd(rate if rate > 0 else 1)), "array without a value"),
        (dict(batch_size=0), "sweep.batch_size must be at least 1, found 0"),
        (dict(metric="f1"), "metric is 'f1', but the evaluation gave"),
        (dict(eval_split="dev"), "no split 'dev'"),
        (dict(batch_size=12, layout=sharding.Layout()), "BATCH_SIZE must be a multiple of 8"),
    ],
)
def test_bad_arguments_are_told_before_anything_is_written(base, task, tmp_path, options, said):
    with pytest.raises(ValueError, match=said):
        run(base, task, tmp_path / "sweep", **options)
    assert not (tmp_path / "sweep").exists()


@pytest.mark.parametrize("rate, seed", [(0.0, 0), (-0.1, 0), (float("nan"), 0), (0.1, -1)])
def test_members_that_cannot_be_are_refused(rate, seed):
    with pytest.raises(ValueError, match="LEARNING_RATES"):
        together.Member(rate, seed)


def test_the_command_on_eight_devices(finished, folder, data_files, tmp_path, monkeypatch):
    _, results = finished
    bindings = {
        "INITIAL_CHECKPOINT_PATH": folder,
        "MIXTURE_OR_TASK_NAME": "colours",
        "DATA_FILES": data_files,
        "CLASS_LABELS": ["animal", "colour"],
        "ID_COLUMN": "id",
        "TASK_FEATURE_LENGTHS": OPTIONS["task_feature_lengths"],
        "BATCH_SIZE": 8,
        "PROMPT_LENGTH": 4,
        "TRAIN_STEPS": STEPS,
        "EVAL_PERIOD": 3,
        "DECODER": "@RankLabels()",
        "MODEL_DIR": tmp_path,
    }
    files = ["tasks/files.gin", "prompts/uniform.gin"]
    flags = [f"--gin_file={file}" for file in files]
    flags += [f"--gin.{name}={value}" for name, value in bindings.items()]
    flags += ["--learning_rates", "0.1", "0.3", "--seeds", "0", "1"]
    monkeypatch.setattr(sys, "argv", ["sweep", *flags])
    sweep.main()
    lines = [json.loads(line) for line in (tmp_path / sweep.RESULTS).read_text().splitlines()]
    assert [line["score"] for line in lines] == [result.best.score for result in results]
    for line, result in zip(lines, results, strict=True):
        ours, theirs = (
            prompt_files.read_prompts(folder / "best").arrays[PROMPT]
            for folder in (tmp_path / line["folder"], result.folder)
        )
        np.testing.assert_allclose(ours, theirs, atol=1e-4)


def test_the_benchmark_takes_the_same_steps_together_and_one_by_one():
    script = pathlib.Path(__file__).parents[2] / "scripts/benchmarks/sweep.py"
    command = [sys.executable, str(script), "--size", "tiny", "--batch", "2", "--inputs", "12"]
    command += ["--targets", "4", "--prompt_length", "3", "--rounds", "1", "--steps", "1"]
    command += ["--warm_up", "1", "--members", "3"]
    quick = os.environ | {"JAX_DISABLE_MOST_OPTIMIZATIONS": "1"}
    found = subprocess.run(command, check=True, capture_output=True, text=True, env=quick).stdout
    joint, one_by_one, last = map(json.loads, found.splitlines())
    assert len(set(joint["first_losses"])) == 3  # the members' prompts differ
    for name in ("first_losses", "last_losses"):
        assert joint[name] == pytest.approx(one_by_one[name], rel=1e-4)
    assert joint["first_losses"] != joint["last_losses"]
    median = joint["median_s"] / 3
    assert joint["member_step_s"] == pytest.approx(median, abs=1e-5)
    assert list(last["ratios"]) == ["one_by_one/together"] and joint["peak_rss_mib"] > 0
