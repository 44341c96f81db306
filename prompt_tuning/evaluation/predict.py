"""Examples to predicted text, with a decoding function that is compiled once.

What is made of predictions lives in evaluator.py and ensemble.py, ways to decode in decoders.py.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import jax
from jax.experimental import multihost_utils
from jaxtyping import Array, Float
import numpy as np

from prompt_tuning.data import batches
from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import decoders
from prompt_tuning.t5 import compiler_options
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import interrupt
from prompt_tuning.training import sharding

Prediction = dict[str, Any]
# Parameters of which each row of a batch takes its own: name -> the N there are.
Bank = Mapping[str, Float[Array, "N ..."] | Float[np.ndarray, "N ..."]]


def make_decode(
    model: network.T5,
    decoder: decoders.Decoder,
    vocabulary: vocabularies.Vocabulary,
    targets_length: int,
    labels: Sequence[str] | None = None,
) -> Callable[..., decoders.Output]:
    """`decode(params, bank, which, inputs, rows)`, not yet compiled: of inputs [B, T].

    Each of the `rows` [B], numbers on which random decoders depend, takes the parameters of the
    bank that `which` [B] says.
    """
    decode = decoder.bind(vocabulary, labels, targets_length)

    def decode_batch(params, bank, which, inputs, rows):
        chosen = {name: values[which] for name, values in bank.items()}
        return decode(model, parameters.unflatten({**params, **chosen}), inputs, rows)

    return decode_batch


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
        mesh: jax.sharding.Mesh | None = None,
        decoder: decoders.Decoder = decoders.Greedy(),
        labels: Sequence[str] | None = None,
    ):
        """Fixes the shapes.

        Args:
          model: the network with its method's modules in place.
          vocabulary: turns predicted tokens into text.
          batch_size: B, rows decoded at once, over all processes.
          inputs_length: T, to which inputs are padded.
          targets_length: L, the most tokens predicted, the end of sequence included.
          mesh: where the parameters lie on one.
          decoder: the way to predict.
          labels: the task's, None for free text.
        """
        self._vocabulary, self._mesh, self._labels = vocabulary, mesh, labels
        self._shape = (batch_size, inputs_length, targets_length)
        decode = make_decode(model, decoder, vocabulary, targets_length, labels)
        options = compiler_options.for_decoding(jax.local_devices())
        self._decode = jax.jit(decode, compiler_options=options)

    def __call__(
        self,
        params: parameters.Flat,
        examples: data.Examples,
        bank: Bank | None = None,
        which: Sequence[int] | None = None,
        numbers: Sequence[int] | None = None,
    ) -> Iterator[Prediction]:
        """Yields `fields | {"id", "prediction", "score"}` in the order of `examples`.

        The score is the prediction's log-probability in nats. A text that was written comes as the
        vocabulary has it (SentencePiece may fold case); where labels are ranked, the prediction is one
        of them as it was given, and "label_scores" has the score of each.

        Every process gives the same examples and gets all predictions; its devices
        compute their share.

        Args:
          params: of the network.
          examples: what to predict for.
          bank: parameters of which each example has its own (`SoftPrompt.per_row`).
          which: of these, each example's.
          numbers: of the examples, on which random decoders depend; None to count them from 0.
        """
        which = [0] * len(examples) if which is None else which
        numbers = range(len(examples)) if numbers is None else numbers
        decoded = self._decode_rows(params, examples, bank or {}, np.array([which, numbers]))
        for name, fields, output in zip(examples.ids, examples.fields, decoded, strict=True):
            of_labels = output.label_log_probs
            if of_labels is None:
                prediction, more = self._vocabulary.decode(output.tokens), {}
            else:
                prediction = self._labels[int(np.argmax(of_labels))]
                more = {"label_scores": dict(zip(self._labels, of_labels.tolist()))}
            found = {"id": name, "prediction": prediction, "score": float(output.log_probs)}
            yield fields | found | more

    def _decode_rows(self, params, examples, bank, chosen) -> Iterator[decoders.Output]:
        batch_size = self._shape[0]
        local = sharding.local_rows(self._mesh, batch_size)
        rows = batches.ExampleRows(examples, seed=0, shuffle=False)
        for start, (batch, _) in zip(
            range(0, len(rows), batch_size), batches.eval_batches(rows, *self._shape, local)
        ):
            interrupt.check()
            which, numbers = np.take(chosen, np.add(start, local), axis=1, mode="clip")
            given = {
                "which": which.astype(np.int32),
                "inputs": batch["encoder_input_tokens"],
                "rows": numbers.astype(np.int32),
            }
            output = self._decode(params, dict(bank), **sharding.put_batch(given, self._mesh))
            output = multihost_utils.process_allgather(output, tiled=True)
            count = min(batch_size, len(rows) - start)
            yield from (jax.tree.map(lambda x: x[i], output) for i in range(count))
