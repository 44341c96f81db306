"""How much the frozen model looks at a prompt, by layer, over the examples of a task.

What of one batch goes where is training/diagnostics.py's part.
"""

from collections.abc import Mapping
import dataclasses
import functools

import jax
import numpy as np

from prompt_tuning import checks
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import batches
from prompt_tuning.data import tasks
from prompt_tuning.data.vocabulary import PAD_ID
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import parameters
from prompt_tuning.training import diagnostics
from prompt_tuning.training import sharding
from prompt_tuning.understanding import subjects

PREFIX = "prompt/attention_mass/"
# Of diagnostics' names: whose positions ask, and whose answer.
SITES = {
    "encoder": "from input tokens to the encoder's prompt",
    "cross": "from target tokens to the encoder's prompt",
    "decoder": "from target tokens to the decoder's prompt",
}


@dataclasses.dataclass(frozen=True)
class Masses:
    """Shares of attention that go to prompt rows; the rest of 1 goes to the text.

    Attributes:
      by_layer: for each of SITES that there is, a share a layer: the mean over heads and over all
        tokens of the examples.
      uniform: what the encoder's would be if its tokens attended to all positions alike.
    """

    by_layer: dict[str, list[float]]
    uniform: float | None


class AttentionMass:
    """`mass(subject)`: the frozen weights are placed once, each shape of prompts is compiled once."""

    def __init__(
        self,
        base: weights.FrozenModel,
        task: tasks.Task,
        split: str,
        task_feature_lengths: Mapping[str, int],
        *,
        batch_size: int = 32,
        max_examples: int | None = None,
    ):
        """Loads the examples.

        Args:
          base: the frozen model.
          task: examples with targets, which the decoder is given.
          split: of the task.
          task_feature_lengths: {"inputs": T, "targets": L}, in tokens.
          batch_size: B, examples at once over all devices.
          max_examples: look at a fixed random part of the split; None for all of it.
        """
        if not isinstance(task, tasks.ExamplesTask):
            raise ValueError(
                f"Attention is looked at over examples of one task, found the {type(task).__name__} "
                f"{task.name}: name a task that has inputs and targets."
            )
        checks.numbers("AttentionMass", max_examples=max_examples)
        layout = sharding.Layout()
        self._mesh = layout.mesh()
        sharding.check_batch_size(batch_size, 1, self._mesh)
        self._shape = (batch_size, *checks.feature_lengths(task_feature_lengths))
        examples = tasks.load_examples(task, split, base.vocabulary, *self._shape[1:])
        self._rows = batches.ExampleRows(examples.sample(max_examples), seed=0, shuffle=False)
        self._base = layout.bind(base, self._mesh)
        plain = methods.Method().network(self._base)
        self._frozen = layout.put_params(plain, base.params, self._mesh)
        self._compiled = {}
        self.of = f"{len(self._rows)} examples of {task.name}, {split}"

    def __call__(self, subject: subjects.Subject) -> Masses:
        method = subject.method
        if method not in self._compiled:
            network = method.network(self._base)
            compute = functools.partial(diagnostics.attention_mass, network)
            self._compiled[method] = jax.jit(compute)
        params = self._frozen | subject.params
        return self._mean(self._compiled[method], params)

    def _mean(self, compute, params: parameters.Flat) -> Masses:
        """Means of batches, weighted by their tokens: the mean of all tokens."""
        tokens = {"inputs": [], "targets": []}
        values: dict[str, list[float]] = {}
        for batch, _ in batches.eval_batches(self._rows, *self._shape):
            tokens["inputs"].append(np.sum(batch["encoder_input_tokens"] != PAD_ID))
            tokens["targets"].append(np.sum(batch["decoder_loss_weights"] > 0))
            found = jax.device_get(compute(params, sharding.put_batch(batch, self._mesh)))
            for name, value in found.items():
                values.setdefault(name.removeprefix(PREFIX), []).append(float(value))
        means = {
            name: float(np.average(x, weights=tokens[_asking(name)])) for name, x in values.items()
        }
        by_layer = {}
        for site in SITES:
            count = sum(name.startswith(f"{site}_layer_") for name in means)
            if count:
                by_layer[site] = [means[f"{site}_layer_{i}"] for i in range(count)]
        return Masses(by_layer, means.get("encoder_uniform"))


def _asking(name: str) -> str:
    """Whose tokens the mean of one batch is over."""
    return "inputs" if name.startswith("encoder_") else "targets"
