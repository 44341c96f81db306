"""How a network is computed. What it computes is T5Config's part: no choice here changes that,
but for rounding and int8_weights.
"""

from collections.abc import Callable, Sequence
import dataclasses

import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array

REMAT_POLICIES = ("none", "minimal", "full")
ATTENTION = ("xla", "cudnn")


@dataclasses.dataclass(frozen=True)
class Execution:
    """Choices of speed against memory and compile time.

    Attributes:
      scan_layers: compile one layer of each stack and loop over it, its weights stacked: a compile
        time that does not grow with depth. Names in files, prompts and configurations stay.
      remat_policy: what the way back computes again rather than keeps (T5X's names): "none";
        "minimal", all but products with weights; "full", all but each layer's input.
      int8_weights: keep frozen kernels of layers as int8 with a scale for each output channel.
      attention: of self-attention without a cache: "xla", or "cudnn", an NVIDIA GPU's fused kernel,
        which needs bfloat16; with dropout on the weights XLA takes its place.
      constrain: `(x, names of its axes) -> x`, lying on the devices as a layout has it; what
        training/sharding.py's `Layout.bind` gives.
    """

    scan_layers: bool = False
    remat_policy: str = "none"
    int8_weights: bool = False
    attention: str = "xla"
    constrain: Callable[[Array, Sequence[str | None]], Array] | None = None

    def __post_init__(self):
        for name, known in (("remat_policy", REMAT_POLICIES), ("attention", ATTENTION)):
            if getattr(self, name) not in known:
                raise ValueError(
                    f"Execution.{name} must be one of {known}, found {getattr(self, name)!r}."
                )

    def check(self, dtype: DTypeLike) -> None:
        """Raises ValueError where the kernel that is asked for is not on this machine."""
        if self.attention == "cudnn" and (
            jax.default_backend() != "gpu" or dtype != jnp.dtype("bfloat16")
        ):
            raise ValueError(
                "Execution.attention 'cudnn' needs an NVIDIA GPU and DTYPE bfloat16, found "
                f"{jax.default_backend()} and {dtype}: set one of them, or 'xla'."
            )

    def place(self, x: Array, *axes: str | None) -> Array:
        """`x`, whose axes have these logical names (T5X's), where a layout puts it."""
        return x if self.constrain is None else self.constrain(x, axes)
