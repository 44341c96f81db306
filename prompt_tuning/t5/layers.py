"""The parts of a T5 layer without attention: norm, projection, embedding, MLP.

Every parameter is declared with logical axis names (T5X's), which
`training/sharding.py` maps to mesh axes. Weights keep the dtype they are
stored in and are cast to `dtype` where they are used.
"""

import functools

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int, Shaped

from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5.execution import Execution


class RMSNorm(nn.Module):
    """T5's layer norm: no mean, no bias, statistics in float32."""

    dtype: DTypeLike = jnp.float32
    epsilon: float = 1e-6

    @nn.compact
    def __call__(self, x: Float[Array, "*B D"]) -> Float[Array, "*B D"]:
        scale = partitioning.param_with_axes(
            "scale", nn.initializers.ones, (x.shape[-1],), axes=("embed",)
        )
        x = x.astype(jnp.float32)
        mean_square = jnp.mean(jnp.square(x), axis=-1, keepdims=True)
        return (x * jax.lax.rsqrt(mean_square + self.epsilon) * scale).astype(self.dtype)


class Projection(nn.Module):
    """x @ kernel, no bias. `axes` names the kernel's two logical axes.

    With the execution's `int8_weights`, the kernel is int8 and each of its columns has a scale, which
    bfloat16 holds exactly (training/weight_forms.py): an output is rounded once more, nothing else
    is lost.
    """

    in_features: int
    features: int
    axes: tuple[str, str]
    stddev: float
    dtype: DTypeLike = jnp.float32
    execution: Execution = Execution()
    hook: points.Hook | None = None

    def setup(self):
        self.int8 = self.execution.int8_weights
        initializer = nn.initializers.normal(self.stddev)
        if self.int8:
            initializer = functools.partial(nn.initializers.zeros, dtype=jnp.int8)
        self.kernel = partitioning.param_with_axes(
            "kernel", initializer, (self.in_features, self.features), axes=self.axes
        )
        if self.int8:
            self.kernel_scale = partitioning.param_with_axes(
                "kernel_scale", nn.initializers.ones, (self.features,), axes=self.axes[1:]
            )
        if self.hook is not None:
            self.added = self.hook()

    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        y = x.astype(self.dtype) @ self.kernel.astype(self.dtype)
        if self.int8:
            y = y * self.kernel_scale.astype(self.dtype)
        return y if self.hook is None else self.added(x, y)


class HeadProjection(Projection):
    """A projection to the H heads of an attention, H * K features."""

    num_heads: int = 1

    def __call__(self, x: Float[Array, "B S D"]) -> Float[Array, "B H S K"]:
        y = super().__call__(x)
        y = y.reshape(*y.shape[:-1], self.num_heads, -1)
        y = self.execution.place(y, "batch", "length", "heads", "kv")
        # Heads beside the batch axis: what follows are batched matmuls.
        return jnp.swapaxes(y, 1, 2)

    def by_head(self) -> Shaped[Array, "H D K"]:
        """The kernel as it is stored, each head's own rows together."""
        kernel = self.kernel.reshape(len(self.kernel), self.num_heads, -1)
        return jnp.swapaxes(kernel, 0, 1)

    def pull_back(
        self, x: Float[Array, "B H Q K"], kernel: Shaped[Array, "H D K"]
    ) -> Float[Array, "B H Q D"]:
        """`x` times the transposed kernel, `by_head`: <pull_back(x), rows> is <x, self(rows)>."""
        return jnp.einsum("bhqk,hdk->bhqd", self._scaled(x), kernel.astype(self.dtype))

    def push_sums(
        self, x: Float[Array, "B H Q D"], kernel: Shaped[Array, "H D K"]
    ) -> Float[Array, "B H Q K"]:
        """Each head's part of the projection of its own rows: sums over rows, projected."""
        # In this order a CPU's product of few rows takes the kernel as it lies.
        return self._scaled(jnp.einsum("hdk,bhqd->bhqk", kernel.astype(self.dtype), x))

    def _scaled(self, x: Float[Array, "B H Q K"]) -> Float[Array, "B H Q K"]:
        if not self.int8:
            return x
        return x * self.kernel_scale.astype(self.dtype).reshape(self.num_heads, 1, -1)


class Embedding(nn.Module):
    """The vocabulary table, shared by encoder and decoder."""

    vocab_size: int
    features: int
    dtype: DTypeLike = jnp.float32

    def setup(self):
        self.embedding = partitioning.param_with_axes(
            "embedding",
            nn.initializers.normal(1.0),
            (self.vocab_size, self.features),
            axes=("vocab", "embed"),
        )

    def __call__(self, tokens: Int[Array, "B T"]) -> Float[Array, "B T D"]:
        return jnp.take(self.embedding, tokens, axis=0).astype(self.dtype)

    def attend(self, x: Float[Array, "B L D"]) -> Float[Array, "B L V"]:
        """Logits from the transposed table (T5 1.0), scaled by D ** -0.5, in float32."""
        x = x.astype(jnp.float32) * self.features**-0.5
        return x @ self.embedding.astype(jnp.float32).T


class Dropout(nn.Module):
    """Dropout whose mask is shared along the length axis, as in T5X."""

    rate: float

    @nn.compact
    def __call__(self, x: Array, enable: bool) -> Array:
        return nn.Dropout(self.rate, broadcast_dims=(-2,))(x, deterministic=not enable)


class MLP(nn.Module):
    """The feed-forward sub-layer: gated GELU (T5 1.1) or plain (T5 1.0)."""

    d_ff: int
    gated: bool
    activation: str
    dropout_rate: float
    dtype: DTypeLike = jnp.float32
    execution: Execution = Execution()
    hooks: points.Hooks = points.NONE

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"], enable_dropout: bool) -> Float[Array, "B T D"]:
        # jax.nn.gelu is the tanh approximation, which T5 uses, by default.
        activation = {"gelu": jax.nn.gelu, "relu": jax.nn.relu}[self.activation]

        def project(name, x, features, axes):
            width = x.shape[-1]
            options = self.dtype, self.execution, self.hooks.get(name)
            return Projection(width, features, axes, width**-0.5, *options, name=name)(x)

        widen = ("embed", "mlp")
        if self.gated:
            gate, value = (project(name, x, self.d_ff, widen) for name in ("wi_0", "wi_1"))
            # Kept for the way back are gate and value, not what the activation makes of them.
            h = jax.checkpoint(lambda gate, value: activation(gate) * value)(gate, value)
        else:
            h = activation(project("wi", x, self.d_ff, widen))
        h = self.execution.place(h, "batch", "length", "mlp")
        if "hidden" in self.hooks:
            h = self.hooks["hidden"]()(h)
        h = Dropout(self.dropout_rate)(h, enable_dropout)
        y = project("wo", h, x.shape[-1], ("mlp", "embed"))
        return self.hooks["output"]()(y) if "output" in self.hooks else y
