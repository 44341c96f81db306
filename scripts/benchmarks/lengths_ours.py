"""Our side of lengths.py: the loop's step over a mixture's examples, in one arrangement or another.

A step's time has all of it: drawing examples, making their arrays, placing and training.
"""

import functools

import jax
import jax.numpy as jnp

import common
import mixture_lengths
import ours
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.data.batches import Row
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step

ARRANGEMENTS = {
    "padded": arrangements.Padded,
    "bucketed": arrangements.Bucketed,
    "packed": arrangements.Packed,
}


class _Mixture:
    """The sampler's examples as rows; it starts anew after `settings["batches"]` steps."""

    def __init__(self, settings):
        self._batch_size = settings["shape"]["batch"]
        self._step = functools.cache(functools.partial(mixture_lengths.of_step, settings))

    def row(self, index: int) -> Row:
        step, place = divmod(index, self._batch_size)
        return Row(*self._step(step)[place], str(index))


def build(settings) -> common.Served:
    config = t5_config.T5Config(**settings["config"])
    base = weights.FrozenModel("random", config, ours.random_params(config), ours.VOCABULARY)
    method = soft_prompt.SoftPrompt(settings["prompt_length"], initializers.Uniform())
    layout, model = sharding.Layout(), method.network(base)
    mesh = layout.mesh()
    params = base.params | method.initial(base, jax.random.key(0))
    trained, frozen = partition.split(layout.put_params(model, params, mesh), method.trainable)
    optimizer = optimizers.freeze(optimizers.adafactor(), method.trainable)
    state = sharding.put_state(training_step.TrainState.create(trained, optimizer), mesh)
    train_step = training_step.CompiledStep(model, optimizer, 0, state)

    shape = settings["shape"]
    keeps = arrangements.Step(
        shape["batch"], shape["inputs"], shape["targets"], mesh.shape["data"], 1, method.slots
    )
    arrangement = ARRANGEMENTS[settings["mode"]](**settings["options"])
    batches = arrangements.ArrangedBatches(_Mixture(settings), keeps, arrangement)
    proceed = sharding.put_state(jnp.array(True), mesh)
    losses, columns = [], []

    def step():
        nonlocal state
        parts, _ = batches(len(losses))
        columns.append(sum(part["encoder_input_tokens"].size for part in parts))
        parts = [sharding.put_batch(part, mesh) for part in parts]
        state, metrics = train_step(state, frozen, parts, proceed)
        losses.append(float(metrics["loss"]))

    def report():
        return {
            "arrangement": str(arrangement),
            "columns_per_example": sum(columns) / len(columns) / shape["batch"],
            "loss": [losses[0], losses[-1]],
        }

    return common.Served(step, report)


if __name__ == "__main__":
    common.serve(build)
