"""The original on T5X, as a child of common.py: its own configuration, and the step its trainer compiles.

Needs google-research/prompt-tuning, flaxformer and t5x, and none of our package on the path. Both
are older than the JAX and Flax that run them; what they miss is put in place below.
"""

import itertools
import sys
import textwrap
import types

import common


class _Missing:
    """Stands where a class was that the configurations do not use."""


# prompt_tuning.train.utils subclasses an optimizer that Flax has dropped; the configurations name
# T5X's own in its place.
sys.modules["flax.optim"] = types.ModuleType("flax.optim")
sys.modules["flax.optim"].MultiOptimizer = sys.modules["flax.optim"].OptimizerDef = _Missing

import flax

flax.optim = sys.modules["flax.optim"]

from flax import traverse_util
import gin
import jax
import numpy as np
from t5x import partitioning
from t5x import train as train_lib
from t5x import trainer as trainers
from t5x import utils

train = train_lib.train  # the run configurations bind it in __main__

BINDINGS = """
    INITIAL_CHECKPOINT_PATH = ''
    MIXTURE_OR_TASK_NAME = ''
    TASK_FEATURE_LENGTHS = ''
    TRAIN_STEPS = 1
    MODEL_DIR = ''
    VOCABULARY = None
    ACTIVATION_DTYPE = '{dtype}'
    DROPOUT_RATE = {dropout}
    PROMPT_LENGTH = {prompt_length}
"""


def build(settings):
    """The trainer of their configuration; "weight_metrics" has it compute T5X's, of all weights."""
    configured = gin.configurable(trainers.Trainer), gin.configurable(partitioning.PjitPartitioner)
    gin.parse_config_files_and_bindings(
        [
            f"prompt_tuning/configs/models/t5_1_1_{settings['size']}_prompt.gin",
            "prompt_tuning/configs/runs/prompt_finetune.gin",
        ],
        textwrap.dedent(BINDINGS.format(**settings)),
    )
    model = gin.query_parameter("%MODEL").scoped_configurable_fn()
    make_trainer, partitioner = configured[0], configured[1]()
    batch = _batch(settings)
    initializer = utils.TrainStateInitializer(
        optimizer_def=model.optimizer_def,
        init_fn=model.get_initial_variables,
        input_shapes={name: x.shape for name, x in batch.items()},
        input_types={name: x.dtype for name, x in batch.items()},
        partitioner=partitioner,
    )
    state = initializer.from_scratch(jax.random.PRNGKey(0))
    trainer = make_trainer(
        model=model,
        train_state=state,
        partitioner=partitioner,
        eval_names=[],
        summary_dir=None,
        train_state_axes=initializer.train_state_axes,
        rng=jax.random.PRNGKey(1),
        weight_metrics_computer=trainers.WeightMetricsComputer()
        if settings["weight_metrics"]
        else None,
    )
    trainer.compile_train(batch)  # as t5x.train does
    sizes = {name: x.size for name, x in traverse_util.flatten_dict(state.params, sep="/").items()}
    summaries = []

    def step():
        summaries.append(trainer.train(itertools.repeat(batch), 1).result())
        jax.block_until_ready(trainer.train_state)

    def report():
        losses = [x["loss_per_nonpadding_target_token"].value for x in summaries]
        return {
            "loss": [float(losses[0]), float(losses[-1])],
            "trained_parameters": sum(n for name, n in sizes.items() if "/prompt/" in name),
            "parameters": sum(sizes.values()),
            "flops": trainer._compiled_train_step.cost_analysis()["flops"],
            "versions": {"jax": jax.__version__},
        }

    return common.Served(step, report)


def _batch(settings):
    rng = np.random.default_rng(0)
    batch, inputs, targets = (settings["shape"][name] for name in ("batch", "inputs", "targets"))
    inputs = rng.integers(2, 32000, (batch, inputs), np.int32)
    targets = rng.integers(2, 32000, (batch, targets), np.int32)
    return {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
        "decoder_target_tokens": targets,
        "decoder_loss_weights": np.ones(targets.shape, np.float32),
    }


if __name__ == "__main__":
    common.serve(build)
