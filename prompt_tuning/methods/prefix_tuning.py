"""Prefix-Tuning: keys and values in front of every attention's own (Li & Liang, 2021, 2101.00190)."""

from collections.abc import Iterator
import dataclasses
import functools
import math

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import parameters

KEY_VALUE = ("key", "value")
# Of first values of prefixes that are trained themselves: small beside 1, which the keys and values
# of a text have where a T5's own training begins.
STDDEV = 0.1
# As PyTorch, in which the original is written, draws the weights of a linear layer.
_linear = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class Prefix(nn.Module):
    """Rows in front of the keys and of the values of one attention, the same for every example.

    Attributes:
      length: P, how many.
    """

    length: int

    @nn.compact
    def __call__(
        self, key: Float[Array, "B H S K"], value: Float[Array, "B H S K"]
    ) -> tuple[Float[Array, "B H Z K"], Float[Array, "B H Z K"]]:
        """[B, H, P + S, K] each."""
        return self._join("key", key), self._join("value", value)

    def _join(self, name, rows):
        batch, heads, _, width = rows.shape
        prefix = partitioning.param_with_axes(
            name,
            nn.initializers.normal(STDDEV),
            (self.length, heads, width),
            axes=("added", "heads", "kv"),
        )
        prefix = jnp.swapaxes(prefix, 0, 1).astype(rows.dtype)
        prefix = jnp.broadcast_to(prefix, (batch, *prefix.shape))
        return jnp.concatenate([prefix, rows], axis=2)


@dataclasses.dataclass(frozen=True)
class PrefixTuning(added.Added):
    """A prefix for each layer's encoder self-attention, decoder self-attention and cross-attention.

    What a prefix is to the other tokens (section 4.2) is all that T5 sees of it: keys and values. As
    in the original's encoder-decoder, the prefixes of each of the three kinds of attention are made
    by an embedding [P, D] and an MLP of their own, D -> hidden -> layers * 2 * H * K with tanh between
    (section 4.3), and what was learned is the prefixes alone. (The section has k columns in the
    embedding, k = 512 or 800; the original's code has D of them, and 512 or 800 in the hidden layer.)

    Ours differs in what T5 has and its GPT-2 and BART have not. T5's attention adds a bias for the
    distance of a key, and a prefix is at none: its rows have no bias, and all queries see them
    alike. Keys and values have H * K columns, which need not be D.

    Attributes:
      length: P, rows in front of every attention (PROMPT_LENGTH). The paper's Figure 4 has its best
        at 10 for texts from tables, 200 for summaries.
      hidden: width of the MLPs' hidden layer.
      reparameterize: train the embeddings and MLPs, else the prefixes themselves, which the paper
        finds sensitive to the learning rate and slightly worse (section 4.3). Their first values
        are small and random: the activations of real words (section 7.4) would need all of the
        model's weights at hand where first values are made, and those of a large model are not.
    """

    length: int = 10
    hidden: int = 512
    reparameterize: bool = True

    def __post_init__(self):
        for name in ("length", "hidden"):
            if getattr(self, name) < 1:
                raise ValueError(
                    f"PrefixTuning.{name} must be at least 1, found {getattr(self, name)}."
                )

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        del base
        hook = functools.partial(Prefix, self.length, name=added.SCOPE)
        return {f"{attention}/key_value": hook for attention in points.ATTENTIONS}

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        if not self.reparameterize:
            return super().initial(base, key)
        config = base.config
        layers = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
        made = {}
        for number, attention in enumerate(points.ATTENTIONS):
            count = layers[attention.split("/")[0]]
            shape = (count, len(KEY_VALUE), config.num_heads, config.head_dim)
            keys = jax.random.split(jax.random.fold_in(key, number), 3)
            weight = _linear(keys[2], (self.hidden, math.prod(shape)))
            arrays = {
                "embedding": jax.random.normal(keys[0], (self.length, config.d_model)),
                "hidden/weight": _linear(keys[1], (config.d_model, self.hidden)),
                "hidden/bias": jnp.zeros(self.hidden),
                "prefixes/weight": weight.reshape(self.hidden, *shape),
                "prefixes/bias": jnp.zeros(shape),
            }
            made |= {f"{added.SCOPE}/{attention}/{name}": x for name, x in arrays.items()}
        return made

    def materialize(self, trained: parameters.Flat) -> parameters.Flat:
        """Each layer's prefixes, [P, H, K] of keys and of values."""
        if not self.reparameterize:
            return trained
        return dict(x for attention in points.ATTENTIONS for x in _prefixes(trained, attention))


def _prefixes(trained: parameters.Flat, attention: str) -> Iterator[tuple[str, jax.Array]]:
    """Names and arrays of one kind of attention's, of all its layers."""

    def own(name):
        return trained[f"{added.SCOPE}/{attention}/{name}"]

    hidden = jnp.tanh(own("embedding") @ own("hidden/weight") + own("hidden/bias"))
    prefixes = jnp.tensordot(hidden, own("prefixes/weight"), 1) + own("prefixes/bias")
    stack, kind = attention.split("/")
    for layer in range(prefixes.shape[1]):
        for n, name in enumerate(KEY_VALUE):
            yield f"{stack}/layers_{layer}/{kind}/{added.SCOPE}/{name}", prefixes[:, layer, n]
