"""This package's side, as a child of common.py: a random model, and the package's own step.

Weights are made on the device and placed one array after the other: a host never holds an XXL.
"""

import argparse
import dataclasses
import functools
from typing import Any

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
import numpy as np
import optax

import common
import compare
from prompt_tuning.checkpoints import weights
from prompt_tuning.checkpoints.stored import StoredArray
from prompt_tuning.data import arrangements
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import compiler_options
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import execution as executions
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step

TINY = dict(vocab_size=4096, d_model=16, num_heads=2, head_dim=8, d_ff=32)
TINY |= dict(num_encoder_layers=1, num_decoder_layers=1)  # for tests
VOCABULARY = vocabularies.ByteVocabulary(extra_ids=1)  # of which nothing is read
FIRST_TEXT_ID = 2  # behind padding and the end of sequence
EXECUTION = ("scan_layers", "int8_weights", "remat_policy", "attention")  # fields to choose
NEVER = -1  # an end of sequence that no model writes: every text gets its full length
MEBI = 2**20


def config_of(size: str, **overrides: Any) -> t5_config.T5Config:
    """A T5 1.1's dimensions, or those of a model for tests."""
    if size == "tiny":
        return t5_config.T5Config(**(TINY | overrides))
    return t5_config.t5_1_1(size, **overrides)


def random_params(config: t5_config.T5Config, seed: int = 0) -> parameters.Flat:
    """Weights of the usual sizes in the compute type, each made on the device when it is read."""

    @functools.partial(jax.jit, static_argnums=(1, 2))
    def normal(key, shape, scale):
        return scale * jax.random.normal(key, shape, config.compute_dtype)

    def array(key, name, shape):
        if name.endswith("/scale"):
            return StoredArray(shape, config.compute_dtype, lambda at: np.ones(shape)[at])
        scale = 1.0 if name.endswith("/embedding") else shape[0] ** -0.5
        if name.endswith("/query/kernel"):  # T5 does not divide the logits of attention
            scale *= config.head_dim**-0.5
        return StoredArray(
            shape, config.compute_dtype, lambda at: np.asarray(normal(key, shape, scale))[at]
        )

    shapes = parameters.expected_shapes(config)
    keys = jax.random.split(jax.random.key(seed), len(shapes))
    return {name: array(key, name, shape) for key, (name, shape) in zip(keys, shapes.items())}


def random_batch(
    config: t5_config.T5Config, batch: int, inputs: int, targets: int
) -> dict[str, np.ndarray]:
    """Full rows: no padding."""
    rng = np.random.default_rng(0)
    tokens = functools.partial(rng.integers, FIRST_TEXT_ID, config.vocab_size, dtype=np.int32)
    decoded = tokens((batch, targets))
    return {
        "encoder_input_tokens": tokens((batch, inputs)),
        "decoder_input_tokens": np.pad(decoded, ((0, 0), (1, 0)))[:, :-1],
        "decoder_target_tokens": decoded,
        "decoder_loss_weights": np.ones((batch, targets), np.float32),
    }


def train(settings: dict[str, Any]) -> common.Served:
    """Steps of training/loop.py: its placing, its default arrangement, its compiled step."""
    if settings["mode"] == "full":
        return training(settings, model_tuning.ModelTuning(), full_adafactor())
    return training(settings, _soft_prompt(settings), optimizers.adafactor())


def training(
    settings: dict[str, Any], method: methods.Method, optimizer: optax.GradientTransformation
) -> common.Served:
    """The same of any method."""
    model, params, mesh = _placed(settings, method)
    parts = _parts(random_batch(model.config, **settings["shape"]), mesh)

    trained, frozen = partition.split(params, method.trainable)
    del params
    trained = {name: jnp.array(x, jnp.float32, copy=True) for name, x in trained.items()}
    optimizer = optimizers.freeze(optimizer, method.trainable)
    state = sharding.put_state(training_step.TrainState.create(trained, optimizer), mesh)
    total = _size(frozen) + _size(trained)
    del trained
    train_step = training_step.CompiledStep(model, optimizer, 0, state, method.materialize)
    proceed = sharding.put_state(jnp.array(True), mesh)
    # A step of one part is one program, which can be looked at.
    whole = functools.cache(lambda: train_step.lower(state, frozen, parts[0], proceed).compile())
    seen = []

    def step():
        nonlocal state
        if len(parts) == 1:
            state, metrics = whole()(state, frozen, parts[0], proceed)
        else:
            state, metrics = train_step(state, frozen, parts, proceed)
        seen.append({name: float(x) for name, x in jax.device_get(metrics).items()})

    def report():
        return {
            "loss": [seen[0]["loss"], seen[-1]["loss"]],
            "first_gradient_norm": seen[0]["gradient_norm"],
            "trained_parameters": _size(state.trained),
            "parameters": total,
            "parts": len(parts),
            **(_of_one_program(whole()) if len(parts) == 1 else {"device": _device()}),
        }

    return common.Served(step, report)


def _parts(batch: dict[str, np.ndarray], mesh: Mesh) -> list[dict[str, jax.Array]]:
    """The batch, cut as the default arrangement cuts examples of full length."""
    (count, inputs), targets = batch["encoder_input_tokens"].shape, batch["decoder_input_tokens"]
    step = arrangements.Step(count, inputs, targets.shape[1], mesh.shape[sharding.DATA])
    rows = arrangements.Bucketed().shapes(step)[-1].rows
    cuts = ({k: x[i : i + rows] for k, x in batch.items()} for i in range(0, count, rows))
    return [sharding.put_batch(cut, mesh) for cut in cuts]


def generate(settings: dict[str, Any]) -> common.Served:
    """Greedy decoding of full length, whatever is written."""
    model, params, mesh = _placed(settings, _soft_prompt(settings))
    batch = sharding.put_batch(random_batch(model.config, **settings["shape"]), mesh)
    inputs, length = batch["encoder_input_tokens"], settings["shape"]["targets"]

    options = compiler_options.for_decoding(jax.local_devices())

    @functools.partial(jax.jit, compiler_options=options)
    def decode(params, inputs):
        tree = parameters.unflatten(params)
        return decoding.greedy(model, tree, inputs, length, eos_id=NEVER)

    compiled = functools.cache(lambda: decode.lower(params, inputs).compile())
    written = []

    def step():
        written[:] = jax.device_get(compiled()(params, inputs).tokens).tolist()

    def report():
        return {"parameters": _size(params), "first_row": written[0], **_program(compiled())}

    return common.Served(step, report)


def matrix(settings: dict[str, Any]) -> common.Served:
    """Products of large square matrices: the rate that the device reaches at best."""
    on_cpu = jax.default_backend() == "cpu"
    size, products = (2048, 1) if on_cpu else (8192, 16)
    dtype = settings["config"]["dtype"]
    key = jax.random.key(0)
    kernel = jax.random.normal(key, (size, size), dtype) * size**-0.5

    @jax.jit
    def multiply(x, kernel):
        return jax.lax.fori_loop(0, products, lambda _, x: x @ kernel, x)

    compiled = multiply.lower(kernel, kernel).compile()
    return common.Served(
        lambda: compiled(kernel, kernel).block_until_ready(),
        lambda: {"matrix_flops": products * 2 * size**3, "device": _device()},
    )


def _soft_prompt(settings):
    return soft_prompt.SoftPrompt(settings["prompt_length"], initializers.Uniform())


def full_adafactor() -> optax.GradientTransformation:
    """T5's own, for all weights."""
    return optimizers.adafactor(1e-3, clock_start=0, parameter_scale=True, factored=True)


def _placed(settings: dict[str, Any], method: methods.Method):
    """(network, parameters where the loop puts them, mesh)."""
    config = t5_config.T5Config(**settings["config"])
    execution = executions.Execution(**settings["execution"])
    base = weights.FrozenModel("random", config, random_params(config), VOCABULARY, execution)
    layout = sharding.Layout()
    model, mesh = method.network(base), layout.mesh()
    params = base.params | method.initial(base, jax.random.key(0))
    return model, layout.put_params(model, params, mesh), mesh


def _size(params: parameters.Flat) -> int:
    return sum(x.size for x in params.values())


def _of_one_program(compiled: jax.stages.Compiled) -> dict[str, Any]:
    return {"flops": compiled.cost_analysis()["flops"], **_program(compiled)}


def _program(compiled: jax.stages.Compiled) -> dict[str, Any]:
    """What the compiler says of a program's memory, and what ran it."""
    memory = compiled.memory_analysis()
    return {
        "arguments_mib": memory.argument_size_in_bytes // MEBI,
        "temporaries_mib": memory.temp_size_in_bytes // MEBI,
        "device": _device(),
        "versions": {"jax": jax.__version__},
    }


def _device() -> dict[str, Any]:
    device = jax.devices()[0]
    stats = device.memory_stats() or {}  # a CPU has none
    peak = stats.get("peak_bytes_in_use")
    return {"kind": device.device_kind} | ({"peak_mib": peak // MEBI} if peak else {})


def add_execution(arguments: argparse.ArgumentParser) -> None:
    """Arguments for EXECUTION (t5/execution.py)."""
    default = executions.Execution()
    arguments.add_argument("--scan_layers", action="store_true", help="one compiled layer a stack")
    arguments.add_argument("--int8_weights", action="store_true", help="frozen kernels as int8")
    arguments.add_argument(
        "--remat_policy", choices=executions.REMAT_POLICIES, default=default.remat_policy
    )
    arguments.add_argument("--attention", choices=executions.ATTENTION, default=default.attention)


def execution(args: argparse.Namespace, *, full: bool = False) -> dict[str, Any]:
    """What `add_execution` says; for full tuning without what only a frozen model can have."""
    chosen = {name: getattr(args, name) for name in EXECUTION}
    return chosen | (dict(scan_layers=False, int8_weights=False) if full else {})


def system(name: str, mode: str, config: t5_config.T5Config, **settings: Any) -> common.System:
    """This child, for a parent: "prompt" and "full" train, "generate", "matrix"."""
    return common.System(
        name,
        "ours.py",
        settings | {"mode": mode, "config": dataclasses.asdict(config)},
        # Other systems use the same device.
        environment=common.environment(XLA_PYTHON_CLIENT_PREALLOCATE="false"),
    )


BUILD = {"prompt": train, "full": train, "generate": generate, compare.MATRIX: matrix}

if __name__ == "__main__":
    common.serve(lambda settings: BUILD[settings["mode"]](settings))
