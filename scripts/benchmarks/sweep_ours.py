"""The child of sweep.py: a sweep's step, or the steps of its members one after another."""

import jax
import jax.numpy as jnp

import common
import ours
from prompt_tuning.checkpoints import weights
from prompt_tuning.experiments import together
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import execution as executions
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step

LEARNING_RATE = 0.3


def build(settings) -> common.Served:
    config = t5_config.T5Config(**settings["config"])
    execution = executions.Execution(**settings["execution"])
    base = weights.FrozenModel(
        "random", config, ours.random_params(config), ours.VOCABULARY, execution
    )
    method = soft_prompt.SoftPrompt(settings["prompt_length"], initializers.Uniform())
    layout, model = sharding.Layout(), method.network(base)
    mesh = layout.mesh()
    members = together.grid([LEARNING_RATE], range(settings["members"]))
    prompts = [method.initial(base, jax.random.key(member.seed)) for member in members]
    params = layout.put_params(model, base.params | prompts[0], mesh)
    _, frozen = partition.split(params, method.trainable)
    batch = ours.random_batch(config, **settings["shape"])
    make = {"together": _together, "one_by_one": _one_by_one}[settings["mode"]]
    step, lower = make(model, method, members, prompts, mesh, frozen, batch)
    losses = []

    def timed():
        losses.append(step())

    def report():
        memory = lower().compile().memory_analysis()
        stats = jax.devices()[0].memory_stats() or {}  # a CPU has none
        return {
            "members": len(members),
            "first_losses": losses[0],
            "last_losses": losses[-1],
            "temporaries_mib": memory.temp_size_in_bytes // ours.MEBI,
            "device": jax.devices()[0].device_kind,
            "device_peak_bytes": stats.get("peak_bytes_in_use"),
        }

    return common.Served(timed, report)


def _together(model, method, members, prompts, mesh, frozen, batch):
    """(a step that returns every member's loss, its program before it is compiled)."""
    joint = together.Together(model, method.trainable, optimizers.adafactor, members, mesh)
    state = joint.first(prompts)
    placed = sharding.put_batch(together.side_by_side([batch] * len(members)), mesh)

    def step():
        nonlocal state
        state, metrics = joint.step(state, frozen, placed)
        return jax.device_get(metrics["loss"]).tolist()

    return step, lambda: joint.lower(state, frozen, placed)


def _one_by_one(model, method, members, prompts, mesh, frozen, batch):
    """The same, where one program of a run alone serves all members in turn."""
    optimizer = optimizers.freeze(optimizers.adafactor(LEARNING_RATE), method.trainable)
    states = [
        sharding.put_state(training_step.TrainState.create(prompt, optimizer), mesh)
        for prompt in prompts
    ]
    train_step = training_step.CompiledStep(model, optimizer, 0, states[0])
    placed, proceed = sharding.put_batch(batch, mesh), sharding.put_state(jnp.array(True), mesh)

    def step():
        losses = []
        for number in range(len(members)):
            states[number], metrics = train_step(states[number], frozen, [placed], proceed)
            losses.append(float(metrics["loss"]))
        return losses

    return step, lambda: train_step.lower(states[0], frozen, placed, proceed)


if __name__ == "__main__":
    common.serve(build)
