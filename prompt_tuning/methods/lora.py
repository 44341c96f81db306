"""LoRA: a low-rank change of projections (Hu et al., 2021, arXiv 2106.09685, section 4.1)."""

from collections.abc import Sequence
import dataclasses
import functools

from flax import linen as nn
from flax.linen import partitioning
import jax.numpy as jnp
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.t5 import hooks as points


A_INITIALIZER = nn.initializers.variance_scaling(1 / 3, "fan_in", "uniform")


class LowRank(nn.Module):
    """y + scale * (x A) B. A is uniform within 1/sqrt(I), as in the authors' code, B is zero: at
    first nothing changes.

    Attributes:
      rank: r, columns of A and rows of B.
      scale: alpha / r.
    """

    rank: int
    scale: float

    @nn.compact
    def __call__(self, x: Float[Array, "*B I"], y: Float[Array, "*B O"]) -> Float[Array, "*B O"]:
        width, features = x.shape[-1], y.shape[-1]
        a = partitioning.param_with_axes(
            "a", A_INITIALIZER, (width, self.rank), axes=("embed", "added")
        )
        b = partitioning.param_with_axes(
            "b", nn.initializers.zeros, (self.rank, features), axes=("added", "embed")
        )
        change = (x.astype(y.dtype) @ a.astype(y.dtype)) @ b.astype(y.dtype)
        return y + jnp.asarray(self.scale, y.dtype) * change


@dataclasses.dataclass(frozen=True)
class LoRA(added.Added):
    """Low-rank changes of the projections of these names, in every layer of both stacks.

    Attributes:
      rank: r.
      alpha: the change is scaled by alpha / r.
      projections: among query, key, value, out (of every attention), wi_0, wi_1, wi and wo. Those
        that the model's feed-forward does not have are left out.
    """

    rank: int = 8
    alpha: float = 16.0
    projections: Sequence[str] = ("query", "value")

    def __post_init__(self):
        if self.rank < 1:
            raise ValueError(f"LoRA.rank must be at least 1, found {self.rank}.")
        unknown = set(self.projections) - set(points.PROJECTIONS)
        if unknown or not self.projections:
            raise ValueError(
                f"LoRA.projections must be some of {points.PROJECTIONS}, found "
                f"{list(self.projections)}."
            )

    @property
    def identity(self) -> dict[str, str]:
        return {"alpha": str(self.alpha)}

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        del base
        hook = functools.partial(LowRank, self.rank, self.alpha / self.rank, name=added.SCOPE)
        names = [p for p in points.IN_LAYERS if p.split("/")[-1] in self.projections]
        return dict.fromkeys(names, hook)
