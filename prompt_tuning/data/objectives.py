"""Self-supervised objectives: a chunk of plain tokens becomes inputs and targets.

Where chunks come from, and the end of sequence that closes both sides, is text.py's part.
"""

from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.vocabulary import Vocabulary

Tokens = Int[np.ndarray, "n"]
InputsAndTargets = tuple[Int[np.ndarray, "i"], Int[np.ndarray, "t"]]


@runtime_checkable
class Objective(Protocol):
    """Makes a task of `chunk_length` plain tokens; inputs and targets come out without eos, with
    room for it.

    Every class here is made from (vocabulary, inputs_length, targets_length), then options of its
    own.
    """

    chunk_length: int

    def __call__(self, tokens: Tokens, rng: np.random.Generator) -> InputsAndTargets: ...


class SpanCorruption:
    """T5's pre-training task (1910.10683, section 3.1.4): random spans are replaced by sentinels
    and asked for.

    Inputs are `kept <extra_id_0> kept <extra_id_1> ...`, targets `<extra_id_0> span <extra_id_1>
    span ...`. Noise tokens and spans are as many in every chunk; `chunk_length` is the longest
    whose two sides fit the given lengths.
    """

    def __init__(
        self,
        vocabulary: Vocabulary,
        inputs_length: int,
        targets_length: int,
        noise_density: float = 0.15,
        mean_span: float = 3.0,
    ):
        self.noise_density, self.mean_span = noise_density, mean_span
        self.chunk_length = 1
        while self._fits(self.chunk_length + 1, inputs_length, targets_length):
            self.chunk_length += 1
        if self.chunk_length < 2:
            raise ValueError(
                f"span corruption fits no text into {inputs_length} inputs and "
                f"{targets_length} targets: raise TASK_FEATURE_LENGTHS"
            )
        self.noise, self.spans = self._counts(self.chunk_length)
        self._sentinels = np.array([vocabulary.sentinel_id(i) for i in range(self.spans)], np.int32)
        self._span = np.arange(self.spans)
        self._kept_then_noise = np.tile([False, True], self.spans)

    def _counts(self, length: int) -> tuple[int, int]:
        """(noise tokens, spans) for a chunk of `length` tokens."""
        noise = min(max(round(length * self.noise_density), 1), length - 1)
        spans = max(round(noise / self.mean_span), 1)
        return noise, min(spans, noise, length - noise)

    def _fits(self, length: int, inputs_length: int, targets_length: int) -> bool:
        noise, spans = self._counts(length)
        return length - noise + spans + 1 <= inputs_length and noise + spans + 1 <= targets_length

    def __call__(self, tokens: Tokens, rng: np.random.Generator) -> InputsAndTargets:
        kept = _random_partition(rng, self.chunk_length - self.noise, self.spans)
        noise = _random_partition(rng, self.noise, self.spans)
        is_noise = np.repeat(self._kept_then_noise, np.stack([kept, noise], axis=1).ravel())
        inputs = self._with_sentinels(tokens[~is_noise], np.cumsum(kept) + self._span)
        targets = self._with_sentinels(tokens[is_noise], np.cumsum(noise) - noise + self._span)
        return inputs, targets

    def _with_sentinels(
        self, tokens: Tokens, places: Int[np.ndarray, "spans"]
    ) -> Int[np.ndarray, "n_and_spans"]:
        """`tokens` with sentinel i put in so that it comes to stand at `places[i]`."""
        result = np.empty(len(tokens) + self.spans, np.int32)
        free = np.ones(len(result), bool)
        free[places] = False
        result[places] = self._sentinels
        result[free] = tokens
        return result


class PrefixLM:
    """LM adaptation (1910.10683, section 3.2.3; 2104.08691, section 3.1): a chunk is split at a
    random point.

    The chunk is as long as the longer side. With equal lengths the split is uniform over all of it,
    otherwise over the points at which both sides fit.
    """

    def __init__(self, vocabulary: Vocabulary, inputs_length: int, targets_length: int):
        del vocabulary  # no sentinels are needed
        if min(inputs_length, targets_length) < 2:
            raise ValueError(
                f"a prefix LM needs two tokens a side, found {inputs_length} inputs, "
                f"{targets_length} targets: raise TASK_FEATURE_LENGTHS"
            )
        self.chunk_length = max(inputs_length, targets_length)
        self.first_split = self.chunk_length - (targets_length - 1)
        self.last_split = min(self.chunk_length, inputs_length) - 1

    def __call__(self, tokens: Tokens, rng: np.random.Generator) -> InputsAndTargets:
        split = rng.integers(self.first_split, self.last_split, endpoint=True)
        return tokens[:split], tokens[split:]


def _random_partition(rng: np.random.Generator, total: int, parts: int) -> Int[np.ndarray, "parts"]:
    """`parts` positive numbers that sum to `total`, all such partitions equally likely."""
    bounds = np.empty(parts + 1, np.int64)
    bounds[0], bounds[-1] = 0, total
    bounds[1:-1] = np.sort(rng.permutation(total - 1)[: parts - 1]) + 1
    return bounds[1:] - bounds[:-1]
