"""The parts of a T5 layer without attention: norm, projection, embedding, MLP.

Every parameter is declared with logical axis names (T5X's), which
`training/sharding.py` maps to mesh axes. Weights keep the dtype they are
stored in and are cast to `dtype` where they are used.
"""

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Float, Int


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
    """x @ kernel, no bias. `axes` names the kernel's two logical axes."""

    features: int
    axes: tuple[str, str]
    stddev: float
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(self, x: Float[Array, "*B I"]) -> Float[Array, "*B O"]:
        kernel = partitioning.param_with_axes(
            "kernel",
            nn.initializers.normal(self.stddev),
            (x.shape[-1], self.features),
            axes=self.axes,
        )
        return x.astype(self.dtype) @ kernel.astype(self.dtype)


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

    @nn.compact
    def __call__(self, x: Float[Array, "B T D"], enable_dropout: bool) -> Float[Array, "B T D"]:
        d_model = x.shape[-1]
        # jax.nn.gelu is the tanh approximation, which T5 uses, by default.
        activation = {"gelu": jax.nn.gelu, "relu": jax.nn.relu}[self.activation]

        def project(name, features, axes, stddev):
            return Projection(features, axes, stddev, self.dtype, name=name)

        if self.gated:
            gate = project("wi_0", self.d_ff, ("embed", "mlp"), d_model**-0.5)(x)
            value = project("wi_1", self.d_ff, ("embed", "mlp"), d_model**-0.5)(x)
            h = activation(gate) * value
        else:
            h = activation(project("wi", self.d_ff, ("embed", "mlp"), d_model**-0.5)(x))
        h = Dropout(self.dropout_rate)(h, enable_dropout)
        return project("wo", d_model, ("mlp", "embed"), self.d_ff**-0.5)(h)
