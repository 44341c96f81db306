"""What ways of decoding are compared with: teacher forcing, and Hugging Face's `generate`."""

import functools
import pathlib

from flax import linen as nn
from flax import traverse_util
import jax
import numpy as np

from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network
from tests.t5 import tiny

FIXTURE = pathlib.Path(__file__).parents[1] / "fixtures" / "hf_generate" / "t5_1_1.npz"
PROMPT = "encoder/prompt/prompt/prompt"
CONFIG = t5_config.T5Config(
    vocab_size=40,
    d_model=16,
    num_heads=2,
    head_dim=8,
    d_ff=24,
    num_encoder_layers=2,
    num_decoder_layers=2,
    relpos_buckets=8,
    relpos_max_distance=20,
)


@functools.cache
def hugging_face(case):
    """Of "plain" or "prompted": model, parameters, inputs, and what was generated."""
    with np.load(FIXTURE) as arrays:
        arrays = traverse_util.unflatten_dict(dict(arrays), sep="/")
    params = traverse_util.flatten_dict(arrays["params"], sep="/")
    if case == "prompted":
        params[PROMPT] = arrays["prompt"]
    model = tiny.build(CONFIG, len(arrays["prompt"]) if case == "prompted" else 0)
    return model, traverse_util.unflatten_dict(params, sep="/"), arrays["inputs"], arrays[case]


def lengths(tokens, eos_id):
    """Of [..., L] tokens: up to and with the first eos, L without one."""
    ends = tokens == eos_id
    return np.where(ends.any(-1), ends.argmax(-1) + 1, tokens.shape[-1])


def forced_log_probs(model, params, inputs, tokens, eos_id):
    """Summed log-probability of [B, L] tokens up to and with eos, without a cache."""
    logits = tiny.applied(model)(params, inputs, tiny.shifted(tokens))
    log_probs = np.asarray(jax.nn.log_softmax(logits))
    chosen = np.take_along_axis(log_probs, np.asarray(tokens)[..., None], axis=-1)[..., 0]
    counted = np.arange(tokens.shape[1]) < lengths(tokens, eos_id)[:, None]
    return np.sum(chosen, axis=1, where=counted)


def encoded_rows(decode):
    """Rows of each call of the encoder, while `decode()` is traced."""
    rows = []

    def record(next_method, args, kwargs, context):
        if isinstance(context.module, network.Encoder) and context.method_name == "__call__":
            rows.append(len(args[0]))
        return next_method(*args, **kwargs)

    with nn.intercept_methods(record):
        jax.eval_shape(decode)
    return rows
