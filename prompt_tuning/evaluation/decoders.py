"""Ways to predict, as values that a configuration names; what they compute is in t5/.

Greedy decoding, sampling and beam search write a text. Ranking chooses among given labels, and so
never gives a text that is none.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import ClassVar, NamedTuple, Protocol, runtime_checkable

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int
import numpy as np

from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network
from prompt_tuning.t5 import rank_scoring
from prompt_tuning.t5 import sampling


class Output(NamedTuple):
    """What a batch's rows are predicted to be."""

    tokens: Int[Array, "B L"]
    log_probs: Float[Array, "B"]  # of the tokens, in nats
    label_log_probs: Float[Array, "B C"] | None = None  # of every label, where labels are ranked


# (network, parameters, inputs [B, T], the rows' numbers among all examples [B]) -> Output
Decode = Callable[[network.T5, decoding.Params, Int[Array, "B T"], Int[Array, "B"]], Output]


@runtime_checkable
class Decoder(Protocol):
    """A way to predict, before it knows for which task.

    `ranks_labels` says whether it needs the task's labels, and gives the probability of each.
    """

    ranks_labels: ClassVar[bool]

    def bind(
        self, vocabulary: vocabularies.Vocabulary, labels: Sequence[str] | None, max_length: int
    ) -> Decode:
        """The function, to be called inside jit.

        Args:
          vocabulary: the model's.
          labels: the task's, None for free text.
          max_length: L, the most tokens of a prediction.
        """
        ...


class _Written:
    """What the decoders have in common that write a text."""

    ranks_labels: ClassVar[bool] = False

    def bind(
        self, vocabulary: vocabularies.Vocabulary, labels: Sequence[str] | None, max_length: int
    ) -> Decode:
        del vocabulary, labels
        return functools.partial(self._decode, max_length)

    def _decode(self, max_length, model, params, inputs, rows) -> Output:
        raise NotImplementedError


@dataclasses.dataclass(frozen=True)
class Greedy(_Written):
    """The most likely token at each step (the paper's)."""

    def _decode(self, max_length, model, params, inputs, rows):
        del rows
        return Output(*decoding.greedy(model, params, inputs, max_length))


@dataclasses.dataclass(frozen=True)
class Sample(_Written):
    """Random tokens; arguments as in `t5.sampling.sample`. An example's text depends on `seed` alone."""

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    seed: int = 0

    def __post_init__(self):
        sampling.check_arguments(self.temperature, self.top_k, self.top_p)

    def _decode(self, max_length, model, params, inputs, rows):
        options = dict(temperature=self.temperature, top_k=self.top_k, top_p=self.top_p)
        keys = sampling.row_keys(jax.random.key(self.seed), rows)
        return Output(*sampling.sample(model, params, inputs, max_length, keys, **options))


@dataclasses.dataclass(frozen=True)
class BeamSearch(_Written):
    """The best of `num_beams` texts, as in `t5.beam_search.beam_search`."""

    num_beams: int = 4
    length_penalty: float = 1.0

    def __post_init__(self):
        if self.num_beams < 1:
            raise ValueError(f"BeamSearch.num_beams must be at least 1, found {self.num_beams}.")

    def _decode(self, max_length, model, params, inputs, rows):
        del rows
        options = dict(num_beams=self.num_beams, length_penalty=self.length_penalty)
        return Output(*beam_search.beam_search(model, params, inputs, max_length, **options))


@dataclasses.dataclass(frozen=True)
class RankLabels:
    """The task's label to which the model gives the highest probability."""

    ranks_labels: ClassVar[bool] = True

    def bind(
        self, vocabulary: vocabularies.Vocabulary, labels: Sequence[str] | None, max_length: int
    ) -> Decode:
        """Raises ValueError where there are no labels, or one that is longer than L tokens."""
        if not labels:
            raise ValueError(
                "RankLabels chooses among labels, and none are known: set CLASS_LABELS, or use "
                "another decoder."
            )
        candidates = np.zeros((len(labels), max_length), np.int32)
        for row, label in zip(candidates, labels):
            tokens = [*vocabulary.encode(label), vocabularies.EOS_ID]
            if len(tokens) > max_length:
                raise ValueError(
                    f"RankLabels: {label!r} has {len(tokens)} tokens with its end, but "
                    f"TASK_FEATURE_LENGTHS gives targets {max_length}."
                )
            row[: len(tokens)] = tokens
        return functools.partial(self._decode, candidates)

    def _decode(self, candidates, model, params, inputs, rows):
        del rows
        scores = rank_scoring.rank_scores(model, params, inputs, jnp.asarray(candidates))
        best = jnp.argmax(scores, axis=1)
        return Output(jnp.asarray(candidates)[best], jnp.max(scores, axis=1), scores)
