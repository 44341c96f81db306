"""What a run would do, without weights and without compiling: shapes, counts, memory, steps.

Data is read, so that what is wrong with it shows here. Memory is arithmetic on shapes.
"""

from collections.abc import Iterable, Mapping
import dataclasses
import math
from typing import Any

import jax
import jax.numpy as jnp
import optax

from prompt_tuning import checks
from prompt_tuning import eval as evaluate
from prompt_tuning import gin_registration
from prompt_tuning import train
from prompt_tuning.checkpoints import weights
from prompt_tuning.cli import reading
from prompt_tuning.data import arrangements
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import ensemble
from prompt_tuning.evaluation import evaluator
from prompt_tuning.experiments import sweep
from prompt_tuning.methods import method as methods
from prompt_tuning.planning import programs
from prompt_tuning.t5 import network
from prompt_tuning.t5 import partition
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from prompt_tuning.training import weight_forms

Shapes = Mapping[str, jax.ShapeDtypeStruct]


def plan(entry_point: str, arguments: Mapping[str, Any]) -> str:
    """A report of what `entry_point` would do with these arguments; the model is not loaded."""
    defaults = gin_registration.arguments_of(entry_point)
    arguments = {name: known.default for name, known in defaults.items()} | arguments
    checks.numbers(entry_point, **arguments)
    model, method = arguments["model"].describe(), arguments["method"]
    added = programs.added_shapes(method, model)
    shapes = {name: jax.ShapeDtypeStruct(x.shape, x.dtype) for name, x in model.params.items()}
    model = dataclasses.replace(model, params=shapes)
    params = model.params | added
    batch_size, mesh = arguments["batch_size"], arguments["layout"].mesh()
    sharding.check_batch_size(batch_size, arguments.get("accumulate", 1), mesh)
    lengths = checks.feature_lengths(arguments["task_feature_lengths"])
    arrangement = arrangements.Padded()
    step = arrangements.Step(batch_size, *lengths, mesh.shape[sharding.DATA])
    if entry_point == "train":
        arrangement = arguments["arrangement"]
        step = dataclasses.replace(step, accumulate=arguments["accumulate"], slots=method.slots)
    batches = [
        programs.batch_shapes(*shape, packed=arrangement.packed)
        for shape in arrangement.shapes(step)
    ]
    sections = {"Configuration": reading.configuration().splitlines()}
    sections["Model"] = _model(model, method, params)
    sections["Batch"] = [f"{batch_size} examples in parts by {arrangement}", *_batch(batches)]
    optimizer = members = None
    if entry_point == "train":
        optimizer = train.optimizer_or_default(arguments["optimizer"], arguments["train_steps"])
    elif entry_point == "sweep":
        members = arguments["members"]
        of = sweep.optimizer_or_default(arguments["optimizer"], arguments["train_steps"])
        optimizer = of(members[0].learning_rate)
        sections["Members"] = [
            f"{len(members)}, each with batches and a prompt of its own, in one compiled step",
            *(member.name for member in members),
        ]
    formed = {
        name: jax.ShapeDtypeStruct(x.shape, x.dtype)
        for name, x in weight_forms.in_form(params, model.execution).items()
    }
    memory = _weights_memory(method.network(model), formed, arguments["layout"])
    if optimizer is not None:
        method.check_trained(model)
        own = _training_memory(method, model, formed, batches[-1], optimizer, mesh)
        memory |= {name: x * len(members or [None]) for name, x in own.items()}
        sections["Steps"] = _steps(arguments, model)
    elif entry_point == "evaluate":
        sections["Evaluation"] = _evaluation(arguments, model)
    sections["Memory a device, by arithmetic"] = [
        f"{_size(x)}  {name}" for name, x in memory.items()
    ]
    return "\n".join(
        line for title, lines in sections.items() for line in ("", f"== {title}", *lines)
    )


def _batch(batches: list[dict[str, Any]]) -> list[str]:
    """Each array with all the shapes that it has in one part or another."""
    shapes = {name: dict.fromkeys(str(list(x[name].shape)) for x in batches) for name in batches[0]}
    return [f"{name} {batches[0][name].dtype} {' or '.join(x)}" for name, x in shapes.items()]


def kept_for_gradient(
    model: network.T5,
    trained: Shapes,
    frozen: Shapes,
    batch: Shapes,
    materialize: training_step.Materialize = lambda trained: trained,
) -> list[jax.ShapeDtypeStruct]:
    """What a step computes on the way forward and keeps for the way back.

    As JAX traces it; XLA fuses and recomputes, and so keeps less.
    """

    def kept(trained, frozen, batch):
        def loss(trained):
            return training_step.batch_loss(model, {**frozen, **materialize(trained)}, batch).loss

        given = {id(x) for x in jax.tree.leaves((trained, frozen, batch))}
        _, backward = jax.vjp(loss, trained)
        return [x for x in jax.tree.leaves(backward) if id(x) not in given]

    return jax.eval_shape(kept, trained, frozen, batch)


def _model(model: weights.FrozenModel, method: methods.Method, params: Shapes) -> list[str]:
    labels = partition.labels(dict(params), method.trainable)
    trained = _count(x for name, x in params.items() if labels[name] == partition.TRAINED)
    total = _count(params.values())
    return [
        f"{model.name}: {model.config}",
        f"vocabulary {model.vocabulary.name}, {model.vocabulary.vocab_size:,} ids",
        f"{type(method).__name__}: {total - trained:,} frozen parameters, {trained:,} trained "
        f"({trained / total:.4%})",
    ]


def _weights_memory(model: network.T5, params: Shapes, layout: sharding.Layout) -> dict[str, float]:
    shardings = layout.param_shardings(model, layout.mesh(), params)
    shapes = [
        jax.ShapeDtypeStruct(shardings[name].shard_shape(x.shape), x.dtype)
        for name, x in params.items()
    ]
    return {"parameters": _bytes(shapes)}


def _training_memory(
    method: methods.Method,
    model: weights.FrozenModel,
    params: Shapes,
    batch: Shapes,
    optimizer: optax.GradientTransformation,
    mesh: jax.sharding.Mesh,
) -> dict[str, float]:
    trained, frozen = partition.split(dict(params), method.trainable)
    state = jax.eval_shape(optimizer.init, trained)
    kept = kept_for_gradient(method.network(model), trained, frozen, batch, method.materialize)
    return {
        "gradient": _bytes(trained.values()),
        "optimizer state": _bytes(jax.tree.leaves(state)),
        "kept for the gradient, at most": _bytes(kept) / mesh.shape[sharding.DATA],
    }


def _steps(arguments: Mapping[str, Any], model: weights.FrozenModel) -> list[str]:
    """Steps and epochs; reads both splits, as the run would."""
    lengths = checks.feature_lengths(arguments["task_feature_lengths"])
    task: tasks.Task = arguments["task"]
    cache_dir, eval_split = arguments["cache_dir"], arguments["eval_split"]
    rows = task.rows(arguments["train_split"], model.vocabulary, *lengths, cache_dir=cache_dir)
    steps, batch_size = arguments["train_steps"], arguments["batch_size"]
    lines = [f"{steps:,} steps of {batch_size} examples, {steps * batch_size:,} in all"]
    if hasattr(rows, "__len__"):
        lines.append(f"{steps * batch_size / len(rows):.3g} epochs of {len(rows):,} examples")
    if arguments["eval_period"] is not None:
        options, metric = _options(arguments, eval_split), arguments["metric"] or task.metric
        train.run_evaluator(arguments["method"].network(model), model, task, options, metric)
        lines.append(f"evaluated on {eval_split} every {arguments['eval_period']} steps")
    return lines


def _evaluation(arguments: Mapping[str, Any], model: weights.FrozenModel) -> list[str]:
    """What would be scored; reads the split, but no prompt."""
    several = evaluate.names_several(arguments["prompt_file"])
    members = ensemble.Members({}, arguments["combine"]) if several else None
    # Making it reads the split and binds the decoder to the task's labels.
    evaluation = evaluator.Evaluator(
        arguments["method"].network(model),
        model,
        arguments["task"],
        _options(arguments, arguments["split"]),
        members,
    )
    scores = evaluation.score_names
    return [
        f"{arguments['split']} of {arguments['task'].name}, {arguments['batch_size']} examples at "
        f"once, by {arguments['decoder']}",
        f"scores: {', '.join(scores) or 'none, the split has no answers'}",
    ]


def _options(arguments: Mapping[str, Any], split: str) -> evaluator.Options:
    return evaluator.Options(
        split,
        *checks.feature_lengths(arguments["task_feature_lengths"]),
        arguments["batch_size"],
        cache_dir=arguments["cache_dir"],
        decoder=arguments["decoder"],
    )


def _count(shapes: Iterable[Any]) -> int:
    return sum(math.prod(x.shape) for x in shapes)


def _bytes(shapes: Iterable[Any]) -> float:
    return float(sum(math.prod(x.shape) * jnp.dtype(x.dtype).itemsize for x in shapes))


def _size(number: float) -> str:
    return f"{number / 2**30:8.2f} GiB" if number >= 2**30 else f"{number / 2**20:8.2f} MiB"
