"""The real TPU compiler, on a model small enough for seconds; skipped where libtpu is absent."""

import importlib.util
import json
import os
import pathlib
import subprocess
import sys

import jax
import pytest

from prompt_tuning import compile as compiling
from prompt_tuning import models
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.planning import chips
from prompt_tuning.planning import reports
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import execution
from prompt_tuning.training import sharding
from tests import models as tiny

needs_compiler = pytest.mark.skipif(
    importlib.util.find_spec("libtpu") is None, reason="no TPU compiler (libtpu)"
)
LENGTHS = {"inputs": 24, "targets": 8}
PROMPT = soft_prompt.SoftPrompt(8, initializers.Uniform())


def described(**choices):
    sizes = dict(vocab_size=4096, d_model=128, num_heads=4, head_dim=32, d_ff=256)
    config = tiny.tiny_config(dtype="bfloat16", num_encoder_layers=3, **sizes)
    chosen = execution.Execution(scan_layers=True, **choices)
    return models.NewModel(config, "pocket_t5", execution=chosen).describe()


def compiled(model, method=PROMPT, layout=sharding.Layout(), **options):
    options = dict(topology="v5e:2x2", task_feature_lengths=LENGTHS, batch_size=8) | options
    return compiling.compile_run(model, method, layout=layout, **options)


@pytest.fixture(scope="module")
def data_parallel():
    return compiled(described())


@needs_compiler
def test_only_the_prompts_gradient_and_loss_sums_cross_replicas(data_parallel):
    shapes = sorted(
        (x.opcode, array.dimensions)
        for x in data_parallel["train"].collectives
        for array in x.result
    )
    prompt = ("all-reduce", (8, 128))
    assert shapes.count(prompt) == 1
    assert all(shape == ("all-reduce", ()) for shape in shapes if shape != prompt)
    assert not data_parallel["predict"].collectives or data_parallel["predict"].link_bytes < 1000


@needs_compiler
def test_a_chip_does_its_part_of_the_work(data_parallel):
    """The same for as many examples a chip, on any number of chips; twice for twice as many."""
    more_chips = compiled(described(), topology="v5e:4x4", batch_size=32, which=["train"])["train"]
    found = data_parallel["train"]
    assert found.flops == pytest.approx(more_chips.flops, rel=0.01)
    more_examples = compiled(described(), batch_size=16, which=["train"])["train"]
    assert more_examples.flops == pytest.approx(2 * found.flops, rel=0.01)
    assert found.arguments == pytest.approx(more_chips.arguments, rel=0.01)
    assert "fits" in str(found) and found.roofline_s > 0


@needs_compiler
def test_divided_weights_take_a_part_of_the_memory(data_parallel):
    found = compiled(described(), layout=sharding.Layout(shard_frozen=True), which=["train"])[
        "train"
    ]
    assert found.arguments < 0.4 * data_parallel["train"].arguments
    assert {x.opcode for x in found.collectives} >= {"all-gather"}
    halves = compiled(described(int8_weights=True), which=["train"])["train"]
    assert halves.arguments < 0.8 * data_parallel["train"].arguments  # tables stay bfloat16


@needs_compiler
@pytest.mark.parametrize("model_parallel", [2, 4])
def test_both_axes_of_a_layout_may_be_longer_than_one(model_parallel):
    """Each collective is among as many chips as its axis is long."""
    layout, data = sharding.Layout(model_parallel), 8 // model_parallel
    found = compiled(described(), layout=layout, topology="v5e:2x4")
    groups = {}
    for x in found["train"].collectives:
        groups.setdefault((x.opcode, x.result[0].dimensions), set()).add(x.group)
    assert groups["all-reduce", (8, 128)] == {data}  # the prompt's gradient
    # States [batch, P + T, d_model] are summed over the parts of a weight.
    assert groups["all-reduce", (8 // data, 32, 128)] == {model_parallel}
    assert found["predict"].flops > 0


@needs_compiler
def test_what_does_not_fit_says_so():
    long = {"inputs": 16384, "targets": 8}
    found = compiled(described(), task_feature_lengths=long, which=["train"])["train"]
    assert found.does_not_fit and "does not fit" in str(found)


@needs_compiler
def test_full_tuning_is_compiled_too():
    config = tiny.tiny_config(vocab_size=4096)
    model = models.NewModel(config, "pocket_t5").describe()
    layout, method = sharding.Layout(shard_frozen=True), model_tuning.ModelTuning()
    assert compiled(model, method, layout, which=["train"])["train"].flops > 0


@needs_compiler
def test_the_command_line_reports(model_folder):
    command = [sys.executable, "-m", "prompt_tuning.compile", "--topology", "v5e:2x2"]
    settings = {
        "INITIAL_CHECKPOINT_PATH": str(model_folder),
        "TRAIN_STEPS": 10,
        "BATCH_SIZE": 8,
        "TASK_FEATURE_LENGTHS": json.dumps(LENGTHS),
        "PROMPT_LENGTH": 4,
        "SampledVocab.first": 100,
    }
    flags = [f"--gin.{name}={value}" for name, value in settings.items()]
    root = pathlib.Path(compiling.__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(root), *sys.path])}
    ran = subprocess.run([*command, *flags], capture_output=True, text=True, env=environment)
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.count("== ") == 2 and "all-reduce among 4" in ran.stdout


@needs_compiler
def test_a_device_is_a_chip_of_v4_too():
    _, devices = chips.slice_of("v4:2x2x2")
    assert sharding.Layout().mesh(devices).size == 8


@needs_compiler
@pytest.mark.parametrize("topology", ["v5e:1x1", "v6e:1x1"])
def test_one_chip_is_a_slice(topology):
    found = compiled(described(), topology=topology, which=["train"])["train"]
    assert found.flops > 0 and not found.link_bytes


@pytest.mark.parametrize(
    ("topology", "expected"),
    [
        ("v5e:4x4x4", "2 axes of 1 to 16 chips for v5e, such as v5e:2x2"),
        ("v5e:32x32", "2 axes of 1 to 16 chips"),
        ("v6e:2x2x2", "2 axes of 1 to 16 chips for v6e, such as v6e:2x2"),
        ("v6e:8x32", "2 axes of 1 to 16 chips"),
        ("v5e:0x4", "2 axes of 1 to 16 chips"),
        ("v5p:4x4", "3 axes .* for v5p, such as v5p:2x2x2"),
        ("v5p:32x32x32", "3 axes .* 8960 chips at most"),
        ("v4:4x4", "3 axes .* for v4, such as v4:2x2x2"),
        ("v5e:", "2 axes"),
        ("v5e:-2x2", "2 axes"),
    ],
)
def test_shapes_that_are_no_slice_are_refused_before_the_compiler_is_asked(topology, expected):
    with pytest.raises(ValueError, match=f"TOPOLOGY must be {expected}.*found '{topology}'"):
        chips.slice_of(topology)


def test_unknown_slices_are_named():
    for topology in ("v9x:2x2", "v5e"):
        with pytest.raises(ValueError, match=f"TOPOLOGY must be one of .*v5e:4x4.*{topology}"):
            chips.slice_of(topology)


def test_the_roofline_is_the_slowest_of_the_rates():
    chip = chips.Chip(memory=10, flops=100.0, memory_rate=10.0, link_rate=1.0)
    report = reports.Report(chip, 1.0, flops=50, memory_bytes=20)
    assert report.roofline_s == 2 and report.seconds["arithmetic"] == 0.5


def test_other_errors_than_a_lack_of_memory_are_raised():
    def lower():
        raise jax.errors.JaxRuntimeError("INTERNAL: something else")

    with pytest.raises(jax.errors.JaxRuntimeError, match="something else"):
        reports.compile_and_read(lower, chips.CHIPS["v5e"])
