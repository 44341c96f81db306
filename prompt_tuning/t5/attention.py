"""Attention as T5 has it: unscaled, with relative-position bias and a cache.

Masks are boolean, True where a query may see a key. The cache follows T5X's
contract: the first call with `decode=True` creates it, at the length of the
queries it is given, from any input; every later call writes the new keys at
the cache's index and attends to all that was written. `first_step`, which T5X
does not know, also stores what attention to the encoder's output has to compute
once: its keys and values, in the cache, or the kernels that take their place, in
KERNELS, a collection whose arrays have no axis for rows. Without, they are
computed at every step.
"""

import functools

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jax.typing import DTypeLike
from jaxtyping import Array, Bool, Float, Int

from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import layers
from prompt_tuning.t5.execution import Execution

KERNELS = "decoding_kernels"
MASKED = -1e10  # as T5X; finite, so that a fully masked row stays finite


def relative_position_bucket(
    relative_position: Int[Array, "*S"], *, bidirectional: bool, num_buckets: int, max_distance: int
) -> Int[Array, "*S"]:
    """Bucket of (key position - query position), from Mesh TensorFlow's T5.

    Half of the buckets are exact distances, half logarithmic up to
    `max_distance`. A bidirectional stack splits the buckets by sign; a causal
    one maps the future to bucket 0.
    """
    bucket = 0
    distance = -relative_position
    if bidirectional:
        num_buckets //= 2
        bucket = jnp.where(distance < 0, num_buckets, 0)
        distance = jnp.abs(distance)
    else:
        distance = jnp.maximum(distance, 0)
    exact = num_buckets // 2
    # eps keeps log(0) finite where the exact branch is taken anyway.
    ratio = jnp.log(distance / exact + jnp.finfo(jnp.float32).eps) / jnp.log(max_distance / exact)
    logarithmic = exact + (ratio * (num_buckets - exact)).astype(jnp.int32)
    logarithmic = jnp.minimum(logarithmic, num_buckets - 1)
    return bucket + jnp.where(distance < exact, distance, logarithmic)


class RelativePositionBias(nn.Module):
    """The learned bias on attention logits, one table of [H, buckets]."""

    num_heads: int
    num_buckets: int
    max_distance: int
    bidirectional: bool
    dtype: DTypeLike = jnp.float32

    @nn.compact
    def __call__(
        self, query_positions: Int[Array, "#B Q"], key_positions: Int[Array, "#B S"]
    ) -> Float[Array, "#B H Q S"]:
        table = partitioning.param_with_axes(
            "rel_embedding",
            nn.initializers.variance_scaling(1.0, "fan_avg", "uniform"),
            (self.num_heads, self.num_buckets),
            axes=("heads", "relpos_buckets"),
        )
        buckets = relative_position_bucket(
            key_positions[:, None, :] - query_positions[:, :, None],
            bidirectional=self.bidirectional,
            num_buckets=self.num_buckets,
            max_distance=self.max_distance,
        )
        return jnp.moveaxis(jnp.take(table, buckets, axis=1).astype(self.dtype), 0, 1)


class MultiHeadAttention(nn.Module):
    """Dot-product attention over `keys` from `queries`.

    The query initialiser absorbs the 1 / sqrt(K) that T5 leaves out of the
    logits.
    """

    num_heads: int
    head_dim: int
    dropout_rate: float
    dtype: DTypeLike = jnp.float32
    execution: Execution = Execution()
    hooks: points.Hooks = points.NONE

    @nn.compact
    def __call__(
        self,
        queries: Float[Array, "B Q D"],
        keys: Float[Array, "B S D"],
        mask: Bool[Array, "#B 1 #Q Z"] | None,
        bias: Float[Array, "#B H Q Z"] | None,
        *,
        enable_dropout: bool,
        cache_index: Int[Array, ""] | None = None,
        first_step: bool = False,
        queries_in_all: int | None = None,
    ) -> Float[Array, "B Q D"]:
        """Attends from `queries` to `keys`.

        With a `cache_index`, attends through the cache (see the module docstring):
        in self-attention `keys` are the new rows, written at that index, and Z, of
        the mask and bias, is the cache's length. Without, Z = S. To the encoder's outputs, as
        `keys`, there may be more `queries_in_all`, in other calls.
        """
        d_model, joined = queries.shape[-1], self.num_heads * self.head_dim
        options = self.dtype, self.execution

        def heads(name, stddev):
            axes = ("embed", "joined_kv")
            shape = d_model, joined, axes, stddev
            return layers.HeadProjection(
                *shape, *options, self.hooks.get(name), self.num_heads, name=name
            )

        to_query = heads("query", (d_model * self.head_dim) ** -0.5)
        to_key, to_value = (heads(name, d_model**-0.5) for name in ("key", "value"))
        query, value_of_sums = to_query(queries), lambda x: x
        own = queries is keys
        added = {"key_value", "key", "value"} & set(self.hooks)
        if (
            not own
            and not added
            and self._few(queries_in_all or queries.shape[1], keys.shape[1], d_model)
        ):
            # <q, Wk e> is <Wk' q, e>, and a weighted sum of Wv e is Wv of the weighted sum of e.
            by_head = lambda: (to_key.by_head(), to_value.by_head())
            key_kernel, value_kernel = self._once(KERNELS, by_head, first_step)
            query = to_key.pull_back(query, key_kernel)
            value_of_sums = functools.partial(to_value.push_sums, kernel=value_kernel)
            key = value = keys[:, None].astype(self.dtype)
        elif cache_index is None:
            key, value = to_key(keys), to_value(keys)
        elif own:
            key, value = self._append_to_cache(to_key(keys), to_value(keys), cache_index)
        else:
            key, value = self._once("cache", lambda: (to_key(keys), to_value(keys)), first_step)
        if "key_value" in self.hooks:
            prefix = self.hooks["key_value"]()
            key, value = prefix(key, value)
            mask, bias = _widened(mask, prefix.length, True), _widened(bias, prefix.length, 0)

        if own and cache_index is None and self._fused(enable_dropout):
            out = fused(query, key, value, mask, bias)
        else:
            weights, total = self._weights(query, key, mask, bias, enable_dropout)
            out = value_of_sums(((weights @ value) / total).astype(self.dtype))
        out = jnp.swapaxes(out, 1, 2).reshape(*queries.shape[:-1], joined)
        shape = joined, d_model, ("joined_kv", "embed"), joined**-0.5
        out = layers.Projection(*shape, *options, self.hooks.get("out"), name="out")(out)
        return self.hooks["output"]()(out) if "output" in self.hooks else out

    def _few(self, queries: int, keys: int, d_model: int) -> bool:
        """Whether it takes fewer products to leave the keys unprojected and work on D, not K.

        Queries are those of a row; what beams that share it would save is not counted.
        """
        projected = keys * self.head_dim * (d_model + queries)
        return queries * d_model * (self.head_dim + keys) < projected

    def _fused(self, enable_dropout: bool) -> bool:
        """Whether a kernel may keep the weights to itself, and leave out dropout on them."""
        dropout = enable_dropout and self.dropout_rate > 0
        looked_at = self.is_mutable_collection("intermediates")
        return self.execution.attention == "cudnn" and not dropout and not looked_at

    def _weights(
        self, query, key, mask, bias, enable_dropout
    ) -> tuple[Float[Array, "B H Q Z"], Float[Array, "B H Q 1"]]:
        """Unnormalised weights and what normalises them.

        Divided behind the sums over keys, [Q, K] numbers instead of [Q, Z]: fewer passes over the
        largest arrays there are, above all on the way back.
        """
        logits = (query @ jnp.swapaxes(key, -1, -2)).astype(jnp.float32)
        if bias is not None:
            logits += bias.astype(jnp.float32)
        if mask is not None:
            logits = jnp.where(mask, logits, MASKED)
        highest = jax.lax.stop_gradient(jnp.max(logits, axis=-1, keepdims=True))
        weights = jnp.exp(logits - highest).astype(self.dtype)
        total = jnp.sum(weights, axis=-1, keepdims=True, dtype=jnp.float32)
        self.sow("intermediates", "mean_weights", jnp.mean(weights / total, axis=1))
        return layers.Dropout(self.dropout_rate)(weights, enable_dropout), total

    def _append_to_cache(self, key, value, index):
        """Self-attention: creates an empty cache, or writes the new rows into it."""
        created = self.has_variable("cache", "cached_key")
        cached = [
            self.variable("cache", f"cached_{name}", jnp.zeros_like, rows)
            for name, rows in (("key", key), ("value", value))
        ]
        if not created:
            return key, value
        for variable, rows in zip(cached, (key, value)):
            variable.value = jax.lax.dynamic_update_slice(variable.value, rows, (0, 0, index, 0))
        return [variable.value for variable in cached]

    def _once(self, collection, make, first_step):
        """What `make` gives, key and value: neither the encoder's output nor a kernel ever changes."""
        names = "cached_key", "cached_value"
        if first_step:
            for name, x in zip(names, make()):
                self.put_variable(collection, name, x)
        if not self.has_variable(collection, names[0]):
            return make()
        return [self.get_variable(collection, name) for name in names]


def _widened(x: Array | None, keys: int, fill: bool | int) -> Array | None:
    """A mask or a bias [..., S] with `keys` more in front."""
    if x is None:
        return None
    return jnp.pad(x, ((0, 0), (0, 0), (0, 0), (keys, 0)), constant_values=fill)


def fused(
    query: Float[Array, "B H Q K"],
    key: Float[Array, "B H S K"],
    value: Float[Array, "B H S K"],
    mask: Bool[Array, "#B 1 #Q S"] | None,
    bias: Float[Array, "#B H Q S"] | None,
    kernel: str = "cudnn",
) -> Float[Array, "B H Q K"]:
    """The weighted sums of `value`, by a kernel that never writes the [Q, S] weights to memory."""
    rows = (jnp.swapaxes(x, 1, 2) for x in (query, key, value))
    out = jax.nn.dot_product_attention(*rows, bias, mask, scale=1.0, implementation=kernel)
    return jnp.swapaxes(out, 1, 2)
