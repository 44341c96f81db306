"""Examples to predicted text, with a decoding function that is compiled once.

What is made of predictions lives in evaluate.py, decoding itself in
t5/decoding.py.
"""

from collections.abc import Iterator
from typing import Any

import jax
from jax.experimental import multihost_utils
from jaxtyping import Int
import numpy as np

from prompt_tuning.data import batches
from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network
from prompt_tuning.training import partition

Prediction = dict[str, Any]


class Predictor:
    """`predict(params, examples)` yields each example's fields and prediction.

    The parameters are an argument of the compiled function: evaluating again
    while they are trained neither compiles nor copies anything.
    """

    def __init__(
        self,
        model: network.T5,
        vocabulary: vocabularies.Vocabulary,
        batch_size: int,
        inputs_length: int,
        targets_length: int,
        sharding: jax.sharding.Sharding | None = None,
    ):
        """Fixes the shapes.

        Args:
          model: the network with its method's modules in place.
          vocabulary: turns predicted tokens into text.
          batch_size: B, rows decoded at once, over all processes.
          inputs_length: T, to which inputs are padded.
          targets_length: L, the most tokens predicted, the end of sequence included.
          sharding: of the [B, T] inputs, where the parameters lie on a mesh.
        """
        self._vocabulary, self._sharding = vocabulary, sharding
        self._shape = (batch_size, inputs_length, targets_length)
        self._decode = jax.jit(
            lambda params, tokens: decoding.greedy(
                model, partition.unflatten(params), tokens, targets_length
            )
        )

    def __call__(self, params: partition.Flat, examples: data.Examples) -> Iterator[Prediction]:
        """Yields `fields | {"id", "prediction"}` in the order of `examples`.

        Every process gives the same examples and gets all predictions; its devices
        compute their share.
        """
        rows = batches.ExampleRows(examples, seed=0, shuffle=False)
        decoded = self._decode_rows(params, rows)
        for name, fields, tokens in zip(examples.ids, examples.fields, decoded, strict=True):
            yield fields | {"id": name, "prediction": self._vocabulary.decode(tokens)}

    def _decode_rows(
        self, params: partition.Flat, rows: batches.FiniteRows
    ) -> Iterator[Int[np.ndarray, "L"]]:
        params = jax.device_put(params)  # once, if they are still on the host
        for batch, ids in batches.eval_batches(rows, *self._shape):
            tokens = self._decode(
                params, jax.device_put(batch["encoder_input_tokens"], self._sharding)
            )
            yield from multihost_utils.process_allgather(tokens, tiled=True)[: len(ids)]
