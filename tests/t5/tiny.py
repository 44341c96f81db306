"""A T5 small enough to run in milliseconds, with noise in every weight."""

from flax import traverse_util
import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.prompts import prompt
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network

# No two dimensions are equal, and H * K is not D.
CONFIG = t5_config.T5Config(
    vocab_size=40,
    d_model=12,
    num_heads=2,
    head_dim=5,
    d_ff=20,
    num_encoder_layers=1,
    num_decoder_layers=2,
    relpos_buckets=8,
    relpos_max_distance=14,
)


def build(config=CONFIG, encoder_prompt=0, decoder_prompt=0, location="front"):
    """A model with prompts of these lengths, 0 for none."""
    lengths = {"encoder/embedding": encoder_prompt, "decoder/embedding": decoder_prompt}

    def hook(length):
        return lambda: prompt.PromptEmbedding(length, jax.nn.initializers.zeros, location)

    return network.T5(config, {point: hook(length) for point, length in lengths.items() if length})


def shapes(model):
    """Every collection that `init` makes, as flat {name: shape and dtype}."""
    tokens = jnp.ones((1, 2), jnp.int32)
    variables = jax.eval_shape(
        lambda key: model.init(key, tokens, tokens, tokens, enable_dropout=False), jax.random.key(0)
    )
    return {
        name: traverse_util.flatten_dict(collection, sep="/")
        for name, collection in variables.items()
    }


def random_params(model, seed=0):
    rng = np.random.default_rng(seed)

    def noise(name, array):
        values = rng.normal(0, 0.4, array.shape).astype(np.float32)
        return values + 1 if name.endswith("scale") else values

    flat = {name: noise(name, array) for name, array in sorted(shapes(model)["params"].items())}
    return traverse_util.unflatten_dict(flat, sep="/")


def tokens(seed, lengths, width, config=CONFIG):
    """Random ids above the special ones, with padding behind each length."""
    ids = np.random.default_rng(seed).integers(3, config.vocab_size, (len(lengths), width))
    return np.where(np.arange(width) < np.array(lengths)[:, None], ids, 0).astype(np.int32)


def shifted(targets):
    """Decoder inputs of teacher forcing: the start id, then the targets."""
    return np.pad(targets, ((0, 0), (1, 0)))[:, :-1]


def applied(model, method=None):
    """`model.apply` of one method, compiled, without dropout."""
    return jax.jit(
        lambda params, *inputs: model.apply(
            {"params": params}, *inputs, enable_dropout=False, method=method
        )
    )
