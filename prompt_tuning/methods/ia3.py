"""IA3: learned vectors that scale activations (Liu et al., 2022, arXiv 2205.05638, section 3.3)."""

import dataclasses
import functools

from flax import linen as nn
from flax.linen import partitioning
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.t5 import hooks as points


class Scaled(nn.Module):
    """l * h, feature by feature. l is one: at first nothing changes."""

    @nn.compact
    def __call__(self, h: Float[Array, "*B F"]) -> Float[Array, "*B F"]:
        features = h.shape[-1:]
        scale = partitioning.param_with_axes(
            "scale", nn.initializers.ones, features, axes=("added",)
        )
        return h * scale.astype(h.dtype)


class ScaledOutput(Scaled):
    """The same of a projection's output."""

    def __call__(self, x: Float[Array, "*B I"], y: Float[Array, "*B O"]) -> Float[Array, "*B O"]:
        del x
        return super().__call__(y)


@dataclasses.dataclass(frozen=True)
class IA3(added.Added):
    """Scales the keys and values of every attention, and what every feed-forward's activation gave.

    Vectors l_k, l_v [H * K] and l_ff [F] for each layer, shared by its positions. The authors' code
    scales wi_1's output where the feed-forward is gated; gate * (l * x) is l * (gate * x). Their
    T-Few recipe beside it (losses for unlikely answers and of mean length, and vectors that
    were trained on many tasks before) is not part of the method, and not here.
    """

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        del base
        projections = [f"{a}/{x}" for a in points.ATTENTIONS for x in ("key", "value")]
        output = functools.partial(ScaledOutput, name=added.SCOPE)
        hidden = functools.partial(Scaled, name=added.SCOPE)
        return dict.fromkeys(projections, output) | {f"{m}/hidden": hidden for m in points.MLPS}
