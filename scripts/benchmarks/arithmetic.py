"""How much arithmetic a training step needs, by the model's dimensions alone.

Products of matrices, which are nearly all of it; two operations for each multiply-add, as the rates
of devices are told. Computing something again (rematerialisation) is not needed, so it is not counted.
"""

from typing import NamedTuple

from prompt_tuning.t5 import config as t5_config


class Products(NamedTuple):
    """Multiply-adds of an example's forward pass."""

    weights: int = 0  # of activations with weights
    activations: int = 0  # of activations with each other

    def __add__(self, other: "Products") -> "Products":
        return Products(self.weights + other.weights, self.activations + other.activations)

    def times(self, count: int) -> "Products":
        return Products(self.weights * count, self.activations * count)


def step_flops(
    config: t5_config.T5Config, *, batch: int, inputs: int, targets: int, prompt_length: int | None
) -> int:
    """Of forward and backward.

    Backward, a product of activations has two gradients, one with a weight has one where only a
    prompt is trained. What no prompt has reached yet needs none: in the first layers queries, keys
    and values of text, and of the decoder all before its first cross-attention.

    Args:
      config: the model's.
      batch: B.
      inputs: S, the encoder's rows, those of a prompt included.
      targets: L.
      prompt_length: P, where only a prompt is trained; None where all weights are.
    """
    projection = config.d_model * config.num_heads * config.head_dim
    feed_forward = (3 if config.gated else 2) * config.d_model * config.d_ff
    encoder_layer = _self_attention(config, inputs) + Products(inputs * feed_forward)
    decoder_layer = _self_attention(config, targets) + Products(targets * feed_forward)
    decoder_layer += _cross_attention(config, targets, inputs)
    forward = encoder_layer.times(config.num_encoder_layers)
    forward += decoder_layer.times(config.num_decoder_layers)
    forward += Products(targets * config.d_model * config.vocab_size)
    backward = forward.weights + 2 * forward.activations
    if prompt_length is None:
        backward += forward.weights
    else:
        backward -= (3 * (inputs - prompt_length) + 5 * targets) * projection
    return 2 * batch * (sum(forward) + backward)


def _self_attention(config: t5_config.T5Config, rows: int) -> Products:
    inner = config.num_heads * config.head_dim
    return Products(4 * rows * config.d_model * inner, 2 * rows * rows * inner)


def _cross_attention(config: t5_config.T5Config, queries: int, keys: int) -> Products:
    """The cheaper of two ways: keys and values are projected, or, for few queries, these are taken
    to the keys' space instead, and sums back from there."""
    width, inner = config.d_model, config.num_heads * config.head_dim
    ends = Products(2 * queries * width * inner)
    projected = Products(2 * keys * width * inner, 2 * queries * keys * inner)
    taken = Products(2 * queries * width * inner, 2 * queries * keys * config.num_heads * width)
    return ends + min(projected, taken, key=sum)
