"""Several examples in one row, each a segment of its own with free columns for its own prompt copy.

Which examples share a row is for arrangements.py to say; the network's part is the masks between
segments and the rows that it puts in the free columns, the slots (t5/network.py). The original
cannot pack: a prompt in front of a row would be that of all its examples.
"""

from collections.abc import Sequence
from typing import NamedTuple

from jaxtyping import Int
import numpy as np

from prompt_tuning.data.batches import Batch, Row
from prompt_tuning.data.vocabulary import PAD_ID


class Slots(NamedTuple):
    """Columns of each example that stay free for rows that a method adds to the encoder's input.

    Attributes:
      length: P, how many; 0 for a method that adds none.
      location: where, as in `SoftPrompt.location`: "front", "after_first" or "end".
    """

    length: int = 0
    location: str = "front"

    def insert(self, tokens: Int[np.ndarray, "n"]) -> Int[np.ndarray, "m"]:
        """The tokens with the slots among them, as padding."""
        start = {"front": 0, "after_first": 1, "end": len(tokens)}[self.location]
        return np.insert(tokens, [start] * self.length, PAD_ID)


def pack(
    rows: Sequence[Sequence[Row]], inputs_length: int, targets_length: int, slots: Slots
) -> Batch:
    """T5X's packed arrays without its positions, [R, S] and [R, M]; R is the number of `rows`.

    Segments are numbered from 1 in each row; 0 is padding. A column of the inputs with a segment but
    no token is a slot. Examples stand side by side, so columns differ by what positions within a
    segment would: T5 knows nothing else of a position.

    Args:
      rows: the examples of each; they must fit. A row may have none.
      inputs_length: S, columns of a row's inputs, slots included.
      targets_length: M, columns of a row's targets.
      slots: of each example.
    """
    encoder, decoder = (len(rows), inputs_length), (len(rows), targets_length)
    batch = {
        "encoder_input_tokens": np.full(encoder, PAD_ID, np.int32),
        "encoder_segment_ids": np.zeros(encoder, np.int32),
        "decoder_input_tokens": np.full(decoder, PAD_ID, np.int32),
        "decoder_target_tokens": np.full(decoder, PAD_ID, np.int32),
        "decoder_segment_ids": np.zeros(decoder, np.int32),
    }
    for i, examples in enumerate(rows):
        start, target_start = 0, 0
        for segment, example in enumerate(examples, 1):
            inputs, targets = slots.insert(example.inputs), example.targets
            columns = slice(start, start := start + len(inputs))
            batch["encoder_input_tokens"][i, columns] = inputs
            batch["encoder_segment_ids"][i, columns] = segment
            columns = slice(target_start, target_start := target_start + len(targets))
            batch["decoder_input_tokens"][i, columns] = np.append(PAD_ID, targets[:-1])
            batch["decoder_target_tokens"][i, columns] = targets
            batch["decoder_segment_ids"][i, columns] = segment
    weights = batch["decoder_target_tokens"] != PAD_ID
    return batch | {"decoder_loss_weights": weights.astype(np.float32)}
