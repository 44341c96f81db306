"""A T5 small enough for tests, with random weights and a byte vocabulary."""

import jax
import numpy as np

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary
from prompt_tuning.t5 import config
from prompt_tuning.t5 import parameters


def tiny_config(**overrides) -> config.T5Config:
    return config.T5Config(
        **(
            dict(
                vocab_size=288,
                d_model=16,
                num_heads=4,
                head_dim=4,
                d_ff=32,
                num_encoder_layers=2,
                num_decoder_layers=2,
            )
            | overrides
        )
    )


def tiny_model(seed: int = 0, **overrides) -> weights.FrozenModel:
    shape = tiny_config(**overrides)
    return weights.FrozenModel(
        "tiny", shape, weights.random_params(shape, seed), vocabulary.ByteVocabulary()
    )


def random_batch(seed: int, rows: int = 8, inputs: int = 12, targets: int = 5) -> dict:
    """Rows of random lengths, padded, in T5X's four arrays."""
    rng = np.random.default_rng(seed)

    def tokens(length):
        x = rng.integers(3, 280, (rows, length)).astype(np.int32)
        lengths = rng.integers(1, length + 1, (rows, 1))
        return np.where(np.arange(length) < lengths, x, 0)

    decoded = tokens(targets)
    shifted = np.pad(decoded, ((0, 0), (1, 0)))[:, :-1]
    return {
        "encoder_input_tokens": tokens(inputs),
        "decoder_input_tokens": shifted,
        "decoder_target_tokens": decoded,
        "decoder_loss_weights": (decoded > 0).astype(np.float32),
    }


# By size: D, layers of each stack, heads, F (T5 1.1, as gin/models/sizes has them).
PAPER = {
    "small": (512, 8, 6, 1024),
    "base": (768, 12, 12, 2048),
    "large": (1024, 24, 16, 2816),
    "xl": (2048, 24, 32, 5120),
    "xxl": (4096, 24, 64, 10240),
}


def paper_model(size: str) -> weights.FrozenModel:
    """A T5 1.1 of the paper, by the shapes of its parameters."""
    width, layers, heads, hidden = PAPER[size]
    shape = config.T5Config(32128, width, heads, 64, hidden, layers, layers)
    params = {
        name: jax.ShapeDtypeStruct(dimensions, np.float32)
        for name, dimensions in parameters.expected_shapes(shape).items()
    }
    return weights.FrozenModel(size, shape, params, vocabulary.ByteVocabulary())
