"""Soft words: mixtures of deeply perturbed prompts (Qin and Eisner, 2021, arXiv 2104.06599).

A prompt starts as a text, whose words become vectors that are trained (section 3.1), and vectors that
are trained too are added to its rows at the input of every layer (3.2). A task may have several, with
learned weights (3.3). The paper fills a blank in the middle of a template; here the text is in front
of the input of a T5's encoder, the only stack that has its rows. Weights that depend on the input
(3.4), which brought little, are left out.
"""

from collections.abc import Callable, Sequence
import dataclasses
import functools
from typing import Any

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import prompt
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters


class PromptEach(prompt.PromptEmbedding):
    """Of `rows` = K prompts the first in front of row 0, the second of row 1, and from row K on again."""

    def _by_row(self, embedded: Float[Array, "B _ D"]) -> Float[Array, "B P D"]:
        prompts = self.prompt(embedded.shape[-1]).astype(embedded.dtype)
        return jnp.tile(prompts, (len(embedded) // len(prompts), 1, 1))


class Perturbation(nn.Module):
    """Adds what is learned to the prompt's rows, the first of a layer's input; nothing at first.

    Attributes:
      shape: (P,), or (K, P) for K prompts, which are in front of a batch's rows in turn.
    """

    shape: tuple[int, ...]

    @nn.compact
    def __call__(self, x: Float[Array, "B S D"]) -> Float[Array, "B S D"]:
        shape = *self.shape, x.shape[-1]
        axes = *("added" for _ in self.shape), "embed"
        delta = partitioning.param_with_axes("delta", nn.initializers.zeros, shape, axes=axes)
        delta = delta.astype(x.dtype).reshape(-1, *shape[-2:])
        delta = jnp.tile(delta, (len(x) // len(delta), 1, 1))
        return x.at[:, : delta.shape[1]].add(delta)


class MixtureWeights(nn.Module):
    """Logarithms of K learned weights, all the same at first."""

    prompts: int

    @nn.compact
    def __call__(self) -> Float[Array, "K"]:
        logits = partitioning.param_with_axes(
            "weights", nn.initializers.zeros, (self.prompts,), axes=("added",)
        )
        return jax.nn.log_softmax(logits)


class Mixture(network.T5):
    """The mixture of one frozen T5 with each of K prompts: p(y | x) = sum_k w_k p_k(y | x).

    Token by token, given those before: for answers of one token it is the paper's equation 1. Of
    longer ones the paper mixes the probabilities of whole texts, so that a prompt counts less for a token
    the less likely it found those before; here each keeps its weight.

    To its users it is a T5 whose encoder outputs are [B, K, S, D] and whose logits are the mixture's
    log-probabilities; its parameters and, inside, its cache are T5's. Within, each row stands K times,
    side by side.

    Attributes:
      prompts: K.
    """

    prompts: int = 1

    def setup(self):
        super().setup()
        self.added = MixtureWeights(self.prompts)

    def encode(
        self, *tokens: Int[Array, "B T"] | None, enable_dropout: bool = True
    ) -> Float[Array, "B K S D"]:
        """Of the tokens, and of whatever else `T5.encode` takes."""
        encoded = super().encode(*self._repeat(tokens), enable_dropout=enable_dropout)
        return self._apart(encoded)

    def decode(
        self,
        encoded: Float[Array, "B K S D"],
        *tokens: Shaped[Array, "B _"] | None,
        **options: Any,
    ) -> Float[Array, "B L V"]:
        """Log-probabilities; the arguments are those of `T5.decode`, arrays by their places."""
        each = nn.map_variables(
            functools.partial(network.T5.decode, **options),
            "cache",
            # Outside a cache has a row for each example, as decoding asks for.
            trans_in_fn=_each_row(self._side_by_side),
            trans_out_fn=_each_row(self._apart),
            mutable=True,
        )
        logits = each(self, self._side_by_side(encoded), *self._repeat(tokens))
        log_probs = jax.nn.log_softmax(self._apart(logits))
        return jax.nn.logsumexp(log_probs + self.added()[:, None, None], axis=1)

    def _repeat(self, arrays: Sequence[Array | None]) -> Sequence[Array | None]:
        return jax.tree.map(lambda x: jnp.repeat(x, self.prompts, axis=0), arrays)

    def _apart(self, x: Shaped[Array, "BK *S"]) -> Shaped[Array, "B K *S"]:
        return x.reshape(-1, self.prompts, *x.shape[1:])

    def _side_by_side(self, x: Shaped[Array, "B K *S"]) -> Shaped[Array, "BK *S"]:
        return x.reshape(-1, *x.shape[2:])


def _each_row(change: Callable[[Array], Array]) -> Callable[[Any], Any]:
    """Changes the arrays of a cache, and not its index."""
    return lambda cache: jax.tree.map(lambda x: change(x) if x.ndim else x, cache)


@dataclasses.dataclass(frozen=True)
class SoftWords(added.Added):
    """Trains prompts that start as texts, what is added to them in every layer, and their weights.

    At the first layer's input this is added to rows that are trained themselves, as in the paper.

    Attributes:
      text: what a prompt starts as (PROMPT_TEXT); of several, there is a prompt for each.
      length: P, rows of each prompt, in which its text is repeated; None for the pieces of the
        longest text.
    """

    text: str | Sequence[str]
    length: int | None = None

    def __post_init__(self):
        if not self._texts or not all(self._texts) or len(set(self._texts)) < len(self._texts):
            raise ValueError(
                "SoftWords.text (PROMPT_TEXT) must be a text, or several that differ, since prompts that "
                f"start alike stay alike; found {self.text!r}."
            )

    @property
    def _texts(self) -> tuple[str, ...]:
        return (self.text,) if isinstance(self.text, str) else tuple(self.text)

    @property
    def trainable(self) -> tuple[str, ...]:
        return (files.parameter("encoder"), *super().trainable)

    @property
    def slots(self) -> None:
        """Layers find the rows in front of the input; packed, they are anywhere."""
        return None

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        *prompts, length = self._shape(base)
        hook = functools.partial(prompt.PromptEmbedding, length, nn.initializers.zeros)
        if prompts:
            hook = functools.partial(PromptEach, length, nn.initializers.zeros, rows=prompts[0])
        perturb = functools.partial(Perturbation, self._shape(base), name=added.SCOPE)
        return {"encoder/embedding": hook, "encoder/layer": perturb}

    def network(self, base: weights.FrozenModel) -> network.T5:
        plain = super().network(base)
        if len(self._texts) == 1:
            return plain
        return Mixture(plain.config, plain.hooks, plain.execution, len(self._texts))

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        shape = *self._shape(base), base.config.d_model
        model = dict(table=base.table, vocabulary=base.vocabulary)
        rows = [initializers.FromText(text)(key, shape[-2:], **model) for text in self._texts]
        layers = range(base.config.num_encoder_layers)
        start = {f"encoder/layers_{n}/{added.SCOPE}/delta": jnp.zeros(shape) for n in layers}
        start[files.parameter("encoder")] = jnp.stack(rows).reshape(shape)
        if len(rows) > 1:
            start[f"{added.SCOPE}/weights"] = jnp.zeros(len(rows))
        return start

    def _shape(self, base: weights.FrozenModel) -> tuple[int, ...]:
        """(P,), or (K, P) of a mixture."""
        pieces = {text: len(base.vocabulary.encode(text)) for text in self._texts}
        longest = max(pieces, key=pieces.get)
        length = pieces[longest] if self.length is None else self.length
        if length < pieces[longest]:
            raise ValueError(
                f"SoftWords.text (PROMPT_TEXT): {longest!r} has {pieces[longest]} pieces, but "
                f"SoftWords.length is {length}: shorten the text or raise it."
            )
        return (length,) if len(self._texts) == 1 else (len(self._texts), length)
