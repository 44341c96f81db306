"""The shape of a frozen T5: one dataclass and its published sizes.

What the numbers mean lives here; what they build lives in `network.py`. Gin
files under gin/models/ bind the same fields.
"""

from collections.abc import Mapping
import dataclasses
import difflib
from typing import Any

import jax.numpy as jnp

ACTIVATIONS = ("gelu", "relu")
DTYPES = ("float32", "bfloat16")
MIN_BUCKETS = 4  # half of each side's are exact distances


@dataclasses.dataclass(frozen=True)
class T5Config:
    """Dimensions and switches of a T5 encoder-decoder.

    The defaults are T5 1.1 (and Flan-T5, mT5 and ByT5, which differ in sizes
    only). T5 1.0 is `gated=False, activation="relu", tied_logits=True`; umT5 is
    `relpos_per_layer=True`.

    Attributes:
      vocab_size: V, rows of the embedding table and columns of the logits.
      d_model: D, width of the residual stream.
      num_heads: H.
      head_dim: K, width of one attention head; H * K need not equal D.
      d_ff: F, width of the feed-forward layer.
      num_encoder_layers: layers of the encoder.
      num_decoder_layers: layers of the decoder.
      relpos_buckets: relative-position buckets.
      relpos_max_distance: distance from which all positions share a bucket.
      relpos_per_layer: a relative-position table for each layer, not each stack.
      gated: activation(wi_0 x) * (wi_1 x) rather than activation(wi x).
      activation: "gelu" (tanh approximation) or "relu".
      tied_logits: the embedding table makes the logits, scaled by D ** -0.5.
      dropout_rate: one rate for every dropout of the frozen model.
      dtype: of activations; weights keep the type they are stored in.
    """

    vocab_size: int = 32128
    d_model: int = 512
    num_heads: int = 6
    head_dim: int = 64
    d_ff: int = 1024
    num_encoder_layers: int = 8
    num_decoder_layers: int = 8
    relpos_buckets: int = 32
    relpos_max_distance: int = 128
    relpos_per_layer: bool = False
    gated: bool = True
    activation: str = "gelu"
    tied_logits: bool = False
    dropout_rate: float = 0.0
    dtype: str = "float32"

    def __post_init__(self):
        for field in dataclasses.fields(self):
            value = getattr(self, field.name)
            if field.type is int and not (isinstance(value, int) and 0 < value < 2**31):
                raise ValueError(
                    f"T5Config.{field.name} must be a positive integer, found {value!r}."
                )
            if field.type is bool and not isinstance(value, bool):
                raise ValueError(f"T5Config.{field.name} must be True or False, found {value!r}.")
        if self.relpos_buckets < MIN_BUCKETS:
            raise ValueError(
                f"T5Config.relpos_buckets must be at least {MIN_BUCKETS}, two for either side, "
                f"found {self.relpos_buckets}."
            )
        if self.relpos_max_distance <= self.relpos_buckets // 2:
            raise ValueError(
                "T5Config.relpos_max_distance must be more than the distances that have a bucket each, "
                f"relpos_buckets / 2 = {self.relpos_buckets // 2}, found {self.relpos_max_distance}."
            )
        if self.activation not in ACTIVATIONS:
            raise ValueError(
                f"T5Config.activation must be one of {ACTIVATIONS}, found {self.activation!r}."
            )
        if self.dtype not in DTYPES:
            raise ValueError(f"T5Config.dtype must be one of {DTYPES}, found {self.dtype!r}.")
        if not 0.0 <= self.dropout_rate < 1.0:
            raise ValueError(
                f"T5Config.dropout_rate must be in [0, 1), found {self.dropout_rate!r}."
            )

    @property
    def compute_dtype(self) -> jnp.dtype:
        return jnp.dtype(self.dtype)

    def differences(self, other: "T5Config", *ignored: str) -> list[str]:
        """Where `other` is not as this one says: "d_model: expected 16, found 32"."""
        expected, found = dataclasses.asdict(self), dataclasses.asdict(other)
        return [
            f"{name}: expected {value!r}, found {found[name]!r}"
            for name, value in expected.items()
            if found[name] != value and name not in ignored
        ]

    @classmethod
    def from_dict(cls, fields: Mapping[str, Any], where: str) -> "T5Config":
        """Checks names before values; `where` says which file to look in."""
        known = [field.name for field in dataclasses.fields(cls)]
        for name in fields:
            if name not in known:
                near = difflib.get_close_matches(name, known, n=1)
                hint = f" Did you mean {near[0]!r}?" if near else ""
                raise ValueError(f"{where}: unknown T5Config field {name!r}.{hint}")
        try:
            return cls(**fields)
        except (TypeError, ValueError) as error:
            raise ValueError(f"{where}: {error}") from error


# T5 1.1 (Table 4 of the paper; counts in tests/t5/test_config.py).
SIZES = {
    "small": dict(d_model=512, num_heads=6, d_ff=1024, num_encoder_layers=8, num_decoder_layers=8),
    "base": dict(
        d_model=768, num_heads=12, d_ff=2048, num_encoder_layers=12, num_decoder_layers=12
    ),
    "large": dict(
        d_model=1024, num_heads=16, d_ff=2816, num_encoder_layers=24, num_decoder_layers=24
    ),
    "xl": dict(d_model=2048, num_heads=32, d_ff=5120, num_encoder_layers=24, num_decoder_layers=24),
    "xxl": dict(
        d_model=4096, num_heads=64, d_ff=10240, num_encoder_layers=24, num_decoder_layers=24
    ),
}


def t5_1_1(size: str, **overrides: Any) -> T5Config:
    """The published T5 1.1 of a size: "small", "base", "large", "xl" or "xxl"."""
    if size not in SIZES:
        raise ValueError(f"size must be one of {list(SIZES)}, found {size!r}.")
    return T5Config(**(SIZES[size] | overrides))
