"""The benchmarks on a tiny model, without peers: what they print, and that ours is the package's step."""

import functools
import importlib
import json
import pathlib
import platform
import resource
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

import prompt_tuning as pt
from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import batches
from prompt_tuning.data import vocabulary
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.training import step as training_step

FOLDER = pathlib.Path(__file__).parents[2] / "scripts/benchmarks"
SHAPE = dict(batch=2, inputs=12, targets=4)
PROMPT_LENGTH = 5
SHORT = ["--size", "tiny", "--rounds", "2", "--steps", "1", "--warm_up", "1"]
SHORT += ["--prompt_length", str(PROMPT_LENGTH)]
SHORT += [x for name, value in SHAPE.items() for x in (f"--{name}", str(value))]
TIMES = {"median_s", "min_s", "max_s", "steps", "first_step_s", "start_to_first_step_s"}


@pytest.fixture
def load(monkeypatch):
    """Imports a module of the folder; other scripts have a common.py, too."""
    names = [file.stem for file in FOLDER.glob("*.py")]
    monkeypatch.syspath_prepend(str(FOLDER))
    for name in names:
        monkeypatch.delitem(sys.modules, name, raising=False)
    yield importlib.import_module
    for name in names:
        sys.modules.pop(name, None)


def lines(script, *arguments):
    """What a benchmark prints: reports by system, and the last line."""
    done = subprocess.run(
        [sys.executable, str(FOLDER / script), *SHORT, *arguments],
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    *reports, last = map(json.loads, done.stdout.splitlines())
    return {report["system"]: report for report in reports}, last


def test_a_training_step_is_the_packages(load):
    ours = load("ours")
    reports, last = lines("train_step.py", "--systems", "ours,matrix")
    report = reports["ours"]
    assert TIMES | {"peak_rss_mib", "flops", "tokens_per_s", "fraction_of_matrix_rate"} <= set(
        report
    )
    assert report["steps"] == 2 and report["min_s"] <= report["median_s"] <= report["max_s"]
    tokens = SHAPE["batch"] * (SHAPE["inputs"] + SHAPE["targets"])
    assert report["tokens_per_s"] == pytest.approx(tokens / report["median_s"], rel=0.01)
    assert report["trained_parameters"] == PROMPT_LENGTH * ours.config_of("tiny").d_model
    assert last["settings"]["batch"] == 2 and last["machine"]["cores"] >= 1
    assert last["ratios"] == {}

    config = ours.config_of("tiny")
    params = {name: jnp.asarray(x[...]) for name, x in ours.random_params(config).items()}
    base = weights.FrozenModel("tiny", config, params, vocabulary.ByteVocabulary())
    method = soft_prompt.SoftPrompt(PROMPT_LENGTH, initializers.Uniform())
    batch = jax.device_put(ours.random_batch(config, **SHAPE))

    def loss(trained):
        sums = training_step.batch_loss(method.network(base), params | trained, batch)
        return sums.loss, sums

    prompt = method.initial(base, jax.random.key(0))
    gradient, sums = jax.jit(jax.grad(loss, has_aux=True))(prompt)
    np.testing.assert_allclose(report["loss"][0], sums.cross_entropy / sums.tokens, rtol=1e-5)
    np.testing.assert_allclose(report["first_gradient_norm"], optax.tree.norm(gradient), rtol=1e-4)
    assert report["loss"][1] != report["loss"][0]


def test_weights_are_made_where_they_are_read(load):
    ours = load("ours")
    config = ours.config_of("tiny", dtype="bfloat16")
    params = ours.random_params(config)
    assert all(isinstance(x, stored.StoredArray) for x in params.values())
    assert {x.dtype for x in params.values()} == {jnp.dtype(jnp.bfloat16)}
    kernel = params["encoder/layers_0/mlp/wo/kernel"]
    assert float(np.std(kernel[...].astype(np.float32))) == pytest.approx(
        config.d_ff**-0.5, rel=0.2
    )
    np.testing.assert_array_equal(kernel[3:5, :4], kernel[...][3:5, :4])


def test_generation_writes_full_texts():
    """With what large models need: bfloat16, layers in a scan, int8 kernels, a process a turn."""
    options = "--dtype bfloat16 --scan_layers --int8_weights --one_at_a_time --rounds 1"
    reports, last = lines("generate.py", *options.split())
    report = reports["ours"]
    assert TIMES | {"peak_rss_mib", "tokens_per_s"} <= set(report)
    assert len(report["first_row"]) == SHAPE["targets"]
    assert last["ratios"] == {}


def test_int8_weights_change_the_loss_of_a_prompt_a_little(load, tmp_path, monkeypatch, capsys):
    prompt = np.random.default_rng(0).normal(size=(PROMPT_LENGTH, 24))
    files.write_prompt(tmp_path / "prompt.npy", prompt.astype(np.float32))
    given = [f"verse_paraphrase={tmp_path}/prompt.npy", "--model", "pocket_t5_0.25M"]
    monkeypatch.setattr(sys, "argv", ["int8_loss.py", *given])
    load("int8_loss").main()
    line = json.loads(capsys.readouterr().out)
    model, task = pt.load_model("pocket_t5_0.25M"), pt.shipped_task(line["task"])
    method = soft_prompt.SoftPrompt(PROMPT_LENGTH)
    params = model.params | {method.trainable[0]: prompt.astype(np.float32)}
    loss = jax.jit(functools.partial(training_step.batch_loss, method.network(model)))
    rows = task.rows("test", model.vocabulary, 128, 8, shuffle=False)
    sums = [loss(params, batch) for batch, _ in batches.eval_batches(rows, 50, 128, 8)]
    cross_entropy, tokens = (sum(x) for x in zip(*((s.cross_entropy, s.tokens) for s in sums)))
    assert line["plain"]["loss_per_token"] == pytest.approx(float(cross_entropy / tokens), rel=1e-4)
    assert 0 < abs(line["difference"]["loss_per_token"]) < 0.05


@pytest.mark.parametrize("prompt_length", [56, None])
def test_the_arithmetic_is_what_xla_counts(load, prompt_length):
    config = t5_config.T5Config(
        vocab_size=512, d_model=256, num_heads=4, head_dim=64, d_ff=512,
        num_encoder_layers=1, num_decoder_layers=1,
    )  # fmt: skip
    ours, shape = load("ours"), dict(batch=2, inputs=64, targets=16)
    expected = load("arithmetic").step_flops(config, **shape, prompt_length=prompt_length)
    params = ours.random_params(config)
    base = weights.FrozenModel("shapes", config, params, vocabulary.ByteVocabulary())
    frozen = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in params.items()}
    if prompt_length:
        method = soft_prompt.SoftPrompt(prompt_length, initializers.Uniform())
        trained = jax.eval_shape(functools.partial(method.initial, base), jax.random.key(0))
        shape |= {"inputs": 64 - prompt_length}
    else:
        method, trained, frozen = model_tuning.ModelTuning(), frozen, {}
    network, batch = method.network(base), jax.device_put(ours.random_batch(config, **shape))

    @jax.jit
    def gradient(trained, frozen, batch):
        loss = lambda trained: training_step.batch_loss(network, frozen | trained, batch).loss
        return jax.grad(loss)(trained)

    counted = gradient.lower(trained, frozen, batch).compile().cost_analysis()["flops"]
    assert expected == pytest.approx(counted, rel=0.05)


def test_ratios_say_how_much_faster_ours_is(load):
    rounds = {"ours": [[1.0, 2.0], [2.0]], "peer": [[4.0, 4.0], [2.0]]}
    assert load("common").ratios(rounds, "ours") == {
        "peer/ours": {"median": 2.0, "min": 2.0, "rounds": [2.667, 1.0]}
    }


def test_the_machine_is_described_where_it_does_not_say_what_it_is(load, monkeypatch):
    """As on macOS, whose memory is counted in bytes."""
    common = load("common")
    kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    monkeypatch.delattr(common.os, "sched_getaffinity", raising=False)
    monkeypatch.setattr(common.pathlib.Path, "exists", lambda path: False)
    monkeypatch.setattr(common.sys, "platform", "darwin")
    machine = common.machine()
    assert machine["cpu"] == platform.machine() and machine["cores"] >= 1
    assert common._peak_rss_mib() == pytest.approx(kib / 2**20, abs=1)


def test_a_child_that_ends_is_named(load):
    system = load("common").System("gone", "no_such_child.py", {})
    with pytest.raises(ChildProcessError, match="gone: .*no_such_child.py ended with code 2"):
        system.start()


@pytest.mark.parametrize(
    "systems, said",
    [("ours,theirs", "'theirs' is none of"), ("ours,peft", "--peer_python"), ("matrix", "ours")],
)
def test_unknown_systems_are_refused(load, monkeypatch, capsys, systems, said):
    monkeypatch.setattr(sys, "argv", ["train_step.py", "--systems", systems])
    with pytest.raises(SystemExit):
        load("train_step").main()
    assert said in capsys.readouterr().err
