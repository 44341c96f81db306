"""Adapters: a small bottleneck behind each sub-layer (Houlsby et al., 2019, arXiv 1902.00751)."""

import dataclasses
import functools

from flax import linen as nn
from flax.linen import partitioning
import jax
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.t5 import hooks as points

LAYER_NORMS = r"(encoder|decoder)/.*_norm/scale"


class Adapter(nn.Module):
    """h + gelu(h W + a) U + b, through `width` features (section 2.1).

    The activation is the authors' code's, gelu in its tanh form, which is T5's, too. W and U are drawn
    as in section 3.6, from a normal cut at two standard deviations of 0.01, and a and b are zero: at
    first the adapter is nearly, not quite, the identity.

    Attributes:
      width: m.
    """

    width: int

    @nn.compact
    def __call__(self, h: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        features = h.shape[-1]
        normal, zeros = nn.initializers.truncated_normal(0.01), nn.initializers.zeros

        def array(name, initializer, shape, *axes):
            x = partitioning.param_with_axes(name, initializer, shape, axes=axes)
            return x.astype(h.dtype)

        down = array("down", normal, (features, self.width), "embed", "added")
        up = array("up", normal, (self.width, features), "added", "embed")
        down_bias = array("down_bias", zeros, (self.width,), "added")
        up_bias = array("up_bias", zeros, (features,), "added")
        return h + jax.nn.gelu(h @ down + down_bias) @ up + up_bias


@dataclasses.dataclass(frozen=True)
class Adapters(added.Added):
    """An adapter behind every attention and every feed-forward, before these are added back.

    Houlsby et al. adapt BERT, which has one stack and normalises sums. Here both stacks have adapters,
    the decoder's cross-attention too; T5 drops out what an adapter gives, theirs what it is given; and
    T5's norms, which stand in front of the sub-layers and at the end of each stack, have no bias.

    Attributes:
      width: m, features of the bottleneck; 64 is the default of the authors' code.
      train_layer_norms: train the model's layer norms too, as section 2.1 does. The paper finds that
        these alone do not do (section 3.4). With int8 weights they must be left as they are.
    """

    width: int = 64
    train_layer_norms: bool = True

    def __post_init__(self):
        if self.width < 1:
            raise ValueError(f"Adapters.width must be at least 1, found {self.width}.")

    @property
    def trainable(self) -> tuple[str, ...]:
        return super().trainable + ((LAYER_NORMS,) if self.train_layer_norms else ())

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        del base
        hook = functools.partial(Adapter, self.width, name=added.SCOPE)
        return {f"{part}/output": hook for part in (*points.ATTENTIONS, *points.MLPS)}
