"""The T5 encoder-decoder, with named points where a method adds its modules.

The contract is T5X's: `__call__`, `encode` and `decode` with its argument
names, parameter names and logical axis names, so that T5X can train the same
module. Which modules are added, at the points that hooks.py lists, and what is trained, is the
business of `prompt_tuning/methods`; there is no method's name in this file.
"""

from collections.abc import Sequence
from typing import Any

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from prompt_tuning.t5 import attention
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import layers
from prompt_tuning.t5.execution import Execution

PAD_ID = 0


def _attention(
    config: t5_config.T5Config, execution: Execution, hooks: points.Hooks, name: str
) -> attention.MultiHeadAttention:
    return attention.MultiHeadAttention(
        config.num_heads,
        config.head_dim,
        config.dropout_rate,
        config.compute_dtype,
        execution,
        points.below(hooks, name),
        name=name,
    )


def _mlp(config: t5_config.T5Config, execution: Execution, hooks: points.Hooks) -> layers.MLP:
    return layers.MLP(
        config.d_ff,
        config.gated,
        config.activation,
        config.dropout_rate,
        config.compute_dtype,
        execution,
        points.below(hooks, "mlp"),
        name="mlp",
    )


def _norm(config: t5_config.T5Config, name: str | None = None) -> layers.RMSNorm:
    return layers.RMSNorm(config.compute_dtype, name=name)


def _relative_positions(
    config: t5_config.T5Config, bidirectional: bool, name: str | None = None
) -> attention.RelativePositionBias:
    return attention.RelativePositionBias(
        config.num_heads,
        config.relpos_buckets,
        config.relpos_max_distance,
        bidirectional,
        config.compute_dtype,
        name=name,
    )


def _same_segment(query_segments, key_segments):
    """Packed examples do not see each other: [B, Q], [B, S] -> [B, 1, Q, S]."""
    return (query_segments[:, :, None] == key_segments[:, None, :])[:, None]


class EncoderLayer(nn.Module):
    """Self-attention and feed-forward, each behind a norm and added back."""

    config: t5_config.T5Config
    execution: Execution
    hooks: points.Hooks

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B S D"],
        mask: Bool[Array, "B 1 #S S"],
        bias: Float[Array, "#B H S S"] | None,
        positions: Int[Array, "#B S"],
        enable_dropout: bool,
    ) -> tuple[Float[Array, "B S D"], None]:
        config, execution, hooks = self.config, self.execution, self.hooks
        dropout = layers.Dropout(config.dropout_rate)
        if "layer" in hooks:
            x = hooks["layer"]()(x)
        x = execution.place(x, "batch", "length", "embed")
        if config.relpos_per_layer:
            bias = _relative_positions(config, True, "relpos_bias")(positions, positions)
        h = _norm(config, "pre_attention_layer_norm")(x)
        h = _attention(config, execution, hooks, "attention")(
            h, h, mask, bias, enable_dropout=enable_dropout
        )
        x = x + dropout(h, enable_dropout)
        h = _mlp(config, execution, hooks)(_norm(config, "pre_mlp_layer_norm")(x), enable_dropout)
        return x + dropout(h, enable_dropout), None


class DecoderLayer(nn.Module):
    """Causal self-attention, cross-attention and feed-forward."""

    config: t5_config.T5Config
    execution: Execution
    hooks: points.Hooks

    @nn.compact
    def __call__(
        self,
        x: Float[Array, "B Q D"],
        encoded: Float[Array, "B S D"],
        mask: Bool[Array, "#B 1 Q Z"],
        cross_mask: Bool[Array, "B 1 #Q S"],
        bias: Float[Array, "#B H Q Z"] | None,
        positions: tuple[Int[Array, "#B Q"], Int[Array, "#B Z"]],
        cache_index: Int[Array, ""] | None,
        first_step: bool,
        enable_dropout: bool,
    ) -> tuple[Float[Array, "B Q D"], None]:
        config, execution, hooks = self.config, self.execution, self.hooks
        dropout = layers.Dropout(config.dropout_rate)
        if "layer" in hooks:
            x = hooks["layer"]()(x)
        x = execution.place(x, "batch", "length", "embed")
        if config.relpos_per_layer:
            bias = _relative_positions(config, False, "relpos_bias")(*positions)
        options = dict(
            enable_dropout=enable_dropout, cache_index=cache_index, first_step=first_step
        )
        h = _norm(config, "pre_self_attention_layer_norm")(x)
        h = _attention(config, execution, hooks, "self_attention")(h, h, mask, bias, **options)
        x = x + dropout(h, enable_dropout)
        h = _norm(config, "pre_cross_attention_layer_norm")(x)
        h = _attention(config, execution, hooks, "encoder_decoder_attention")(
            h, encoded, cross_mask, None, queries_in_all=mask.shape[-1], **options
        )
        x = x + dropout(h, enable_dropout)
        h = _mlp(config, execution, hooks)(_norm(config, "pre_mlp_layer_norm")(x), enable_dropout)
        return x + dropout(h, enable_dropout), None


# By class, which arguments of a layer are Python values, the module itself being number 0.
_STATIC = {EncoderLayer: (5,), DecoderLayer: (8, 9)}
# jax.checkpoint's policies by T5X's names.
_REMAT = {"minimal": jax.checkpoint_policies.dots_with_no_batch_dims_saveable, "full": None}


def _stack(
    layer: type[nn.Module],
    config: t5_config.T5Config,
    execution: Execution,
    hooks: points.Hooks,
    count: int,
) -> nn.Module | Sequence[nn.Module]:
    """A stack's layers, "layers_N", or the one that is scanned, "layers", with their weights stacked."""
    scanned, policy = execution.scan_layers, execution.remat_policy
    static = _STATIC[layer]
    if policy != "none":
        layer = nn.remat(
            layer, prevent_cse=not scanned, static_argnums=static, policy=_REMAT[policy]
        )
    if not scanned:
        return [layer(config, execution, hooks) for _ in range(count)]
    return partitioning.scan_with_axes(
        layer,
        variable_axes={"params": 0, "cache": 0, attention.KERNELS: 0, "intermediates": 0},
        split_rngs={"params": True, "dropout": True},
        in_axes=nn.broadcast,
        length=count,
    )(config, execution, hooks)


def _run(stack: nn.Module | Sequence[nn.Module], x: Array, *arguments: Any) -> Array:
    """`x` through all layers of a stack."""
    for layer in [stack] if isinstance(stack, nn.Module) else stack:
        x, _ = layer(x, *arguments)
    return x


class Encoder(nn.Module):
    """Embeds, joins the added rows, and runs the encoder's layers."""

    config: t5_config.T5Config
    execution: Execution
    embedder: nn.Module
    hooks: points.Hooks

    def setup(self):
        config, hooks = self.config, points.below(self.hooks, "encoder")
        if "embedding" in hooks:
            self.prompt = hooks["embedding"]()
        if not config.relpos_per_layer:
            self.relpos_bias = _relative_positions(config, bidirectional=True)
        self.layers = _stack(EncoderLayer, config, self.execution, hooks, config.num_encoder_layers)
        self.encoder_norm = _norm(config)
        self.dropout = layers.Dropout(config.dropout_rate)

    def visible(
        self, tokens: Int[Array, "B T"], segments: Int[Array, "B T"] | None = None
    ) -> Bool[Array, "B S"]:
        """Which encoder positions may be attended to: text and all added rows."""
        if segments is not None:
            return segments > 0
        valid = tokens != PAD_ID
        return self.prompt.join(valid, True, tokens) if hasattr(self, "prompt") else valid

    def __call__(
        self,
        tokens: Int[Array, "B T"],
        segments: Int[Array, "B T"] | None = None,
        positions: Int[Array, "B T"] | None = None,
        *,
        enable_dropout: bool,
    ) -> Float[Array, "B S D"]:
        x = self.embedder(tokens)
        visible = self.visible(tokens, segments)
        if hasattr(self, "prompt"):
            if segments is None:
                x = self.prompt(x, tokens)
            else:
                x = self.prompt.fill(x, visible & (tokens == PAD_ID))
        if positions is None:
            positions = jnp.arange(x.shape[1])[None]
        mask = visible[:, None, None, :]
        if segments is not None:
            mask = mask & _same_segment(segments, segments)
        bias = None if self.config.relpos_per_layer else self.relpos_bias(positions, positions)
        x = self.dropout(x, enable_dropout)
        x = _run(self.layers, x, mask, bias, positions, enable_dropout)
        x = self.dropout(self.encoder_norm(x), enable_dropout)
        return x * visible[:, :, None].astype(x.dtype)


class Decoder(nn.Module):
    """Embeds the shifted targets and predicts each next token."""

    config: t5_config.T5Config
    execution: Execution
    embedder: nn.Module
    hooks: points.Hooks

    def setup(self):
        config, hooks = self.config, points.below(self.hooks, "decoder")
        if "embedding" in hooks:
            self.prompt = hooks["embedding"]()
        if "logits" in self.hooks:
            self.readout = self.hooks["logits"]()
        if not config.relpos_per_layer:
            self.relpos_bias = _relative_positions(config, bidirectional=False)
        self.layers = _stack(DecoderLayer, config, self.execution, hooks, config.num_decoder_layers)
        self.decoder_norm = _norm(config)
        self.dropout = layers.Dropout(config.dropout_rate)
        if not config.tied_logits:
            # In float32 whatever the activations are: bfloat16 has steps of 0.25 at a logit of 40.
            self.logits_dense = layers.Projection(
                config.d_model, config.vocab_size, ("embed", "vocab"), config.d_model**-0.5
            )

    def __call__(
        self,
        encoded: Float[Array, "B S D"],
        visible: Bool[Array, "B S"],
        tokens: Int[Array, "B L"],
        *,
        segments: tuple[Int[Array, "B S"], Int[Array, "B L"]] | None = None,
        positions: Int[Array, "B L"] | None = None,
        enable_dropout: bool,
        decode: bool = False,
        first_step: bool = False,
        max_decode_length: int | None = None,
    ) -> Float[Array, "B L V"]:
        x, length = self.embedder(tokens), tokens.shape[1]
        creating = decode and not self.has_variable("cache", "cache_index")
        added = self.prompt.length if hasattr(self, "prompt") else 0
        if added and (first_step or creating or not decode):
            x = self.prompt(x, tokens)
        index, keys = None, x.shape[1]
        if decode:
            index, keys = self._advance(x.shape[1], creating), max_decode_length + added
        rows = (0 if index is None else index) + jnp.arange(x.shape[1])
        mask = (rows[:, None] >= jnp.arange(keys))[None, None]
        cross_mask = visible[:, None, None, :]
        if segments is not None:
            encoder_segments, decoder_segments = segments
            mask = mask & _same_segment(decoder_segments, decoder_segments)
            cross_mask = cross_mask & _same_segment(decoder_segments, encoder_segments)
        if positions is None:
            positions = (rows[None], jnp.arange(keys)[None])
        else:
            positions = (positions, positions)
        bias = None if self.config.relpos_per_layer else self.relpos_bias(*positions)
        x = self.dropout(x, enable_dropout)
        x = _run(
            self.layers,
            *(x, encoded, mask, cross_mask, bias, positions, index, first_step, enable_dropout),
        )
        # Rows that a hook put in front predict nothing.
        x = self.decoder_norm(x[:, -length:])
        logits = self._logits(self.dropout(x, enable_dropout))
        if "logits" in self.hooks:
            return self.readout(logits, encoded, tokens, cached=decode)
        return logits

    def _logits(self, x):
        if self.config.tied_logits:
            return self.embedder.attend(x)
        return self.logits_dense(x)

    def _advance(self, queries: int, creating: bool) -> Int[Array, ""]:
        """The cache's index before these queries; moves it past them."""
        start = self.get_variable("cache", "cache_index", jnp.zeros((), jnp.int32))
        self.put_variable("cache", "cache_index", start if creating else start + queries)
        return start


class T5(nn.Module):
    """T5 with T5X's contract.

    Attributes:
      config: dimensions and switches.
      hooks: factories of the modules that a method adds, by point.
      execution: how it is computed.
    """

    config: t5_config.T5Config
    hooks: points.Hooks = points.NONE
    execution: Execution = Execution()

    def setup(self):
        points.check(self.hooks, self.execution.scan_layers)
        config = self.config
        self.token_embedder = layers.Embedding(
            config.vocab_size, config.d_model, config.compute_dtype
        )
        self.encoder = Encoder(config, self.execution, self.token_embedder, self.hooks)
        self.decoder = Decoder(config, self.execution, self.token_embedder, self.hooks)

    def encode(
        self,
        encoder_input_tokens: Int[Array, "B T"],
        encoder_segment_ids: Int[Array, "B T"] | None = None,
        encoder_positions: Int[Array, "B T"] | None = None,
        *,
        enable_dropout: bool = True,
    ) -> Float[Array, "B S D"]:
        """Encoder outputs, zero at padding; S is T plus the rows that hooks add.

        With segments S is T: packed examples bring slots for these rows.
        """
        self._refuse("encoder/embedding", encoder_positions=encoder_positions)
        return self.encoder(
            encoder_input_tokens,
            encoder_segment_ids,
            encoder_positions,
            enable_dropout=enable_dropout,
        )

    def decode(
        self,
        encoded: Float[Array, "B S D"],
        encoder_input_tokens: Int[Array, "B T"],
        decoder_input_tokens: Int[Array, "B L"],
        decoder_target_tokens: Int[Array, "B L"] | None = None,
        encoder_segment_ids: Int[Array, "B T"] | None = None,
        decoder_segment_ids: Int[Array, "B L"] | None = None,
        decoder_positions: Int[Array, "B L"] | None = None,
        *,
        enable_dropout: bool = True,
        decode: bool = False,
        max_decode_length: int | None = None,
        first_step: bool = False,
    ) -> Float[Array, "B L V"]:
        """Logits, float32, of the token after each of `decoder_input_tokens`.

        With `decode`, through the "cache" collection: the first call, with
        [B, max_decode_length] tokens, creates it; later calls bring the next
        tokens. `first_step` marks the first of these, which puts a decoder prompt
        in front and stores what attention to the encoder needs, in the cache or in
        `attention.KERNELS`, which this call may change and later ones are given;
        T5X, which does not give it, gets the same logits, without a decoder prompt.
        The targets are part of T5X's contract; a causal mask makes them
        unnecessary, since padding stands only at the end.
        """
        del decoder_target_tokens
        self._refuse(
            "decoder/embedding",
            decoder_segment_ids=decoder_segment_ids,
            decoder_positions=decoder_positions,
        )
        segments = None
        if decoder_segment_ids is not None:
            segments = (encoder_segment_ids, decoder_segment_ids)
        return self.decoder(
            encoded,
            self.encoder.visible(encoder_input_tokens, encoder_segment_ids),
            decoder_input_tokens,
            segments=segments,
            positions=decoder_positions,
            enable_dropout=enable_dropout,
            decode=decode,
            first_step=first_step,
            max_decode_length=max_decode_length,
        )

    def __call__(
        self,
        encoder_input_tokens: Int[Array, "B T"],
        decoder_input_tokens: Int[Array, "B L"],
        decoder_target_tokens: Int[Array, "B L"] | None = None,
        encoder_segment_ids: Int[Array, "B T"] | None = None,
        decoder_segment_ids: Int[Array, "B L"] | None = None,
        encoder_positions: Int[Array, "B T"] | None = None,
        decoder_positions: Int[Array, "B L"] | None = None,
        *,
        enable_dropout: bool = True,
        decode: bool = False,
    ) -> Float[Array, "B L V"]:
        """Logits of the targets under teacher forcing."""
        encoded = self.encode(
            encoder_input_tokens,
            encoder_segment_ids,
            encoder_positions,
            enable_dropout=enable_dropout,
        )
        return self.decode(
            encoded,
            encoder_input_tokens,
            decoder_input_tokens,
            decoder_target_tokens,
            encoder_segment_ids,
            decoder_segment_ids,
            decoder_positions,
            enable_dropout=enable_dropout,
            decode=decode,
            max_decode_length=decoder_input_tokens.shape[1],
        )

    def _refuse(self, point: str, **given: Int[Array, "B _"] | None) -> None:
        """Raises ValueError where packed rows without slots meet a hook that adds to rows.

        T5X's have positions, which rows with slots do not need.
        """
        found = [name for name, x in given.items() if x is not None]
        if point in self.hooks and found:
            raise ValueError(
                f"Found {' and '.join(found)}, of examples that are packed as T5X does it, and a "
                f"hook at {point!r}, which would give all examples of a row one prompt: turn "
                "packing off. Packed by data/packing.py, a row has slots for each example's own "
                "encoder prompt, and no positions."
            )
