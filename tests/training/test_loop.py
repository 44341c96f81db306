"""The loop: resuming, keeping the best, stopping, and ending well when a step goes wrong."""

import json
import os
import pathlib
import signal
import subprocess
import sys
import textwrap

import jax
import numpy as np
import pytest

from prompt_tuning.checkpoints import runs
from prompt_tuning.data import arrangements
from prompt_tuning.data import batches as data_batches
from prompt_tuning.data import examples as data
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import interrupt
from prompt_tuning.training import loop
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from tests import models

METHOD = soft_prompt.SoftPrompt(length=2, initializer=initializers.Uniform())
NAME = "encoder.prompt.prompt.prompt"


def make_batches(vocabulary, kind=arrangements.ArrangedBatches):
    fields = [{"inputs": f"row {i}", "targets": "ab"[i % 2]} for i in range(20)]
    examples = data.examples_from_text(
        [f"id{i}" for i in range(20)], fields, vocabulary, inputs_length=8, targets_length=3
    )
    rows = data_batches.ExampleRows(examples, seed=0)
    return kind(rows, arrangements.Step(8, 8, 3))


def run(model_dir, steps, method=METHOD, base=None, **kwargs):
    base = base or models.tiny_model(dropout_rate=0.1)
    return loop.train(
        base,
        method,
        make_batches(base.vocabulary),
        model_dir=model_dir,
        steps=steps,
        optimizer=optimizers.adafactor(),
        save_period=3,
        **kwargs,
    )


@pytest.mark.parametrize("method", [METHOD, model_tuning.ModelTuning()], ids=["prompt", "model"])
def test_a_run_that_stopped_goes_on_to_the_same_numbers(tmp_path, method):
    whole = run(tmp_path / "whole", 7, method)
    run(tmp_path / "parts", 4, method)
    parts = run(tmp_path / "parts", 7, method)
    assert whole.step == parts.step == 7
    jax.tree.map(np.testing.assert_array_equal, whole.trained, parts.trained)


def test_the_state_stays_where_it_was_put(tmp_path):
    trained = run(tmp_path, 2, layout=sharding.Layout(shard_frozen=True)).trained
    assert all(x.sharding.is_fully_replicated for x in trained.values())


def test_prompt_files_at_every_save_and_nothing_of_the_frozen_model(tmp_path):
    result = run(tmp_path, 7)
    saved = sorted(p.parent.name for p in tmp_path.glob(f"numpy_checkpoints/*/{NAME}"))
    assert saved == ["checkpoint_3", "checkpoint_6", "checkpoint_7"]
    prompt = files.read_prompt(tmp_path / "numpy_checkpoints/checkpoint_7" / NAME)
    np.testing.assert_array_equal(prompt, result.trained["encoder/prompt/prompt/prompt"])
    size = sum(p.stat().st_size for p in tmp_path.rglob("*") if p.is_file())
    assert size < 200_000  # the frozen model alone has 4 x 20,000 bytes in each of two saves


def test_best_prompt_and_early_stopping(tmp_path):
    scores = iter([1.0, 5.0, 4.0, 3.0, 9.0])
    seen = {}

    def evaluate(params, step):
        seen[step] = np.asarray(params["encoder/prompt/prompt/prompt"])
        return {"accuracy": next(scores)}

    result = run(tmp_path, 10, evaluate=evaluate, eval_period=1, patience=2)
    assert (result.step, result.best.step, result.best.score) == (4, 2, 5.0)
    np.testing.assert_array_equal(files.read_prompt(tmp_path / "best" / NAME), seen[2])
    lines = [json.loads(line) for line in (tmp_path / "scalars.jsonl").read_text().splitlines()]
    assert [x["eval/accuracy"] for x in lines if "eval/accuracy" in x] == [1.0, 5.0, 4.0, 3.0]
    # Stopped early is finished: the same command does no further step.
    assert run(tmp_path, 10, evaluate=evaluate, eval_period=1, patience=2).step == 4


def test_the_best_is_never_of_a_step_that_no_save_knows_of(tmp_path):
    """Or a run that is killed and goes on with other settings would keep what it never learned."""
    newest = []

    class Watched(soft_prompt.SoftPrompt):
        def write(self, base, trained, folder, about):
            super().write(base, trained, folder, about)
            if folder.name == "best":
                newest.append((int(about["step"]), runs.newest_whole(tmp_path / "checkpoints")))

    method = Watched(length=2, initializer=initializers.Uniform())
    scores = iter([1.0, 5.0, 4.0, 6.0])
    evaluate = lambda params, step: {"accuracy": next(scores)}
    run(tmp_path, 8, method, evaluate=evaluate, eval_period=2)
    assert newest == [(2, 2), (4, 4), (8, 8)]


def test_metric_that_the_evaluation_does_not_give(tmp_path):
    with pytest.raises(ValueError, match="metric is 'f1', but the evaluation gave .*accuracy"):
        run(tmp_path, 1, evaluate=lambda params, step: {"accuracy": 1.0}, metric="f1")


def test_not_finite_ends_the_run_with_step_and_examples_and_the_last_good_prompt(tmp_path):
    base = models.tiny_model()
    good = make_batches(base.vocabulary)

    class Poisoned(arrangements.ArrangedBatches):
        def __call__(self, step):
            (batch,), ids = super().__call__(step)
            if step == 4:
                batch["decoder_loss_weights"] = batch["decoder_loss_weights"] * np.nan
            return [batch], ids

    batches = make_batches(base.vocabulary, Poisoned)
    with pytest.raises(loop.NotFiniteError, match="step 4 .*" + good(4)[1][0]):
        loop.train(
            base,
            METHOD,
            batches,
            model_dir=tmp_path / "bad",
            steps=9,
            optimizer=optimizers.adafactor(),
        )
    expected = loop.train(
        base, METHOD, good, model_dir=tmp_path / "good", steps=4, optimizer=optimizers.adafactor()
    )
    saved = files.read_prompt(tmp_path / "bad/numpy_checkpoints/checkpoint_4" / NAME)
    np.testing.assert_array_equal(saved, expected.trained["encoder/prompt/prompt/prompt"])


@pytest.mark.parametrize("at", [2, 4], ids=["in between", "at the end"])
def test_an_evaluation_that_was_left_is_made_up_for_once(tmp_path, at):
    begun = []

    def evaluate(params, step):
        begun.append(step)
        if begun == [2, 4][: at // 2]:
            os.kill(os.getpid(), signal.SIGTERM)
            interrupt.check()
        return {"accuracy": float(np.asarray(params["encoder/prompt/prompt/prompt"]).sum())}

    options = dict(evaluate=evaluate, eval_period=2)
    with pytest.raises(loop.Interrupted, match=f"Stopped at step {at} of 4") as interrupted:
        run(tmp_path / "left", 4, **options)
    assert interrupted.value.exit_code == 128 + signal.SIGTERM
    assert runs.newest_whole(tmp_path / "left/checkpoints") == at
    left = run(tmp_path / "left", 4, **options)
    assert begun == [2, 2, 4] if at == 2 else [2, 4, 4]
    assert run(tmp_path / "whole", 4, **options).best == left.best
    lines = [(tmp_path / name / "scalars.jsonl").read_text() for name in ("left", "whole")]
    assert lines[0] == lines[1]


def test_lines_beyond_the_last_save_are_written_once(tmp_path):
    """As after a kill: steps 5 and an evaluation that no save knows of, and half a line."""
    evaluate = lambda params, step: {"accuracy": 1.0}
    options = dict(evaluate=evaluate, eval_period=2, log_period=1)
    run(tmp_path / "whole", 6, **options)
    run(tmp_path / "killed", 3, **options)
    with (tmp_path / "killed/scalars.jsonl").open("a") as file:
        file.write('{"step": 4, "train/loss": 9.0}\n{"step": 4, "eval/accuracy": 1.0}\n{"st')
    run(tmp_path / "killed", 6, **options)
    lines = (tmp_path / "killed/scalars.jsonl").read_text().splitlines()
    assert '{"step": 3, "eval/accuracy": 1.0}' in lines  # the end, as it was then
    lines.remove('{"step": 3, "eval/accuracy": 1.0}')
    assert lines == (tmp_path / "whole/scalars.jsonl").read_text().splitlines()


def test_a_finished_run_that_is_asked_for_fewer_steps_stays_as_it_is(tmp_path):
    finished = run(tmp_path, 6, evaluate=lambda params, step: {"accuracy": 1.0})
    again = run(tmp_path, 4, evaluate=lambda params, step: {"accuracy": 1.0})
    assert (again.step, again.best) == (finished.step, finished.best)


def test_another_metric_begins_with_no_best(tmp_path, caplog):
    evaluate = lambda params, step: {"accuracy": 90.0, "loss": 9.0 - step}
    options = dict(evaluate=evaluate, eval_period=1, patience=1)
    run(tmp_path, 1, **options)
    assert run(tmp_path, 4, metric="-loss", **options).best == loop.Best(4, -5.0, 0, 4)
    assert "so by accuracy; from here on it is -loss that decides" in caplog.text


@pytest.mark.parametrize(
    ("before", "after", "told"),
    [
        ("SEED = 0\n# a comment\nLEARNING_RATE = 0.3\n", "LEARNING_RATE = 0.1\nSEED = 0\n", True),
        ("SEED = 0\n", "# another comment\nSEED = 0\n", False),
    ],
)
def test_what_has_changed_in_a_run_that_goes_on_is_told(tmp_path, caplog, before, after, told):
    run(tmp_path, 2, configuration=before)
    run(tmp_path, 4, configuration=after)
    assert (
        "- LEARNING_RATE = 0.3" in caplog.text and "+ LEARNING_RATE = 0.1" in caplog.text
    ) == told
    assert ("goes on with another configuration" in caplog.text) == told


def test_terminated_run_saves_and_goes_on(tmp_path):
    """A real process, ended by SIGTERM in the middle, then the same command again."""
    script = textwrap.dedent(f"""
        import sys
        sys.path.insert(0, {str(pathlib.Path(__file__).parents[2])!r})
        from tests.training import test_loop
        result = test_loop.run({str(tmp_path / "run")!r}, int(sys.argv[1]))
        print("done", result.step)
    """)
    command = [sys.executable, "-c", script]
    environment = os.environ | {"XLA_FLAGS": "--xla_force_host_platform_device_count=8"}
    process = subprocess.Popen([*command, "1000000"], env=environment)
    while not list((tmp_path / "run").glob("numpy_checkpoints/*")):
        assert process.poll() is None
    process.send_signal(signal.SIGTERM)
    assert process.wait() != 0  # a run that was cut short does not look finished
    stopped = max(
        int(p.name.rpartition("_")[2]) for p in (tmp_path / "run/numpy_checkpoints").iterdir()
    )
    again = subprocess.run(
        [*command, str(stopped + 2)], env=environment, capture_output=True, text=True
    )
    assert again.stdout.splitlines()[-1] == f"done {stopped + 2}", again.stderr
    whole = run(tmp_path / "whole", stopped + 2)
    prompt = files.read_prompt(tmp_path / f"run/numpy_checkpoints/checkpoint_{stopped + 2}" / NAME)
    np.testing.assert_array_equal(prompt, whole.trained["encoder/prompt/prompt/prompt"])
