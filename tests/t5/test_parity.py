"""The original's outputs on the same weights (tests/fixtures/README.md)."""

import functools
import json
import pathlib

from flax import traverse_util
import jax
import numpy as np
import pytest

from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import losses
from tests.t5 import tiny

FOLDER = pathlib.Path(__file__).parents[1] / "fixtures" / "flaxformer_parity"
PROMPT = "encoder/prompt/prompt/prompt"


def _part(fixture, prefix):
    return {
        name.removeprefix(prefix): array
        for name, array in fixture.items()
        if name.startswith(prefix)
    }


@functools.cache
def load(name):
    with np.load(FOLDER / f"{name}.npz") as fixture:
        return dict(fixture)


@functools.cache
def ours(name, dtype):
    """What the original was asked for, from our model with activations of `dtype`."""
    fixture, meta = load(name), json.loads((FOLDER / "meta.json").read_text())[name]
    dims = meta["dims"]
    config = t5_config.T5Config(
        vocab_size=dims["NUM_EMBEDDINGS"],
        d_model=dims["EMBED_DIM"],
        num_heads=dims["NUM_HEADS"],
        head_dim=dims["HEAD_DIM"],
        d_ff=dims["MLP_DIM"],
        num_encoder_layers=dims["NUM_ENCODER_LAYERS"],
        num_decoder_layers=dims["NUM_DECODER_LAYERS"],
        relpos_buckets=meta["relpos_num_buckets"],
        relpos_max_distance=meta["relpos_max_distance"],
        dtype=dtype,
    )
    model = tiny.build(config, encoder_prompt=meta["prompt_length"])
    frozen = _part(fixture, "params/")
    batch = jax.tree.map(jax.numpy.asarray, _part(fixture, "batch/"))

    def loss(prompt):
        params = {"params": traverse_util.unflatten_dict(frozen | {PROMPT: prompt}, sep="/")}
        encoded = model.apply(
            params, batch["encoder_input_tokens"], enable_dropout=False, method="encode"
        )
        logits = model.apply(
            params,
            batch["encoder_input_tokens"],
            batch["decoder_input_tokens"],
            batch["decoder_target_tokens"],
            enable_dropout=False,
        )
        sums = losses.cross_entropy(
            logits, batch["decoder_target_tokens"], batch["decoder_loss_weights"].astype(np.float32)
        )
        return sums.loss, {
            "encoder_outputs": encoded,
            "logits": logits,
            "loss_ce_sum": sums.cross_entropy,
            "weight_sum": sums.tokens,
        }

    (value, outputs), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(fixture["prompt"])
    return outputs | {"loss": value, "grad_prompt": gradient}


def _compared(name, output, array):
    """The part of an output that means something, as float32."""
    array = np.asarray(array, np.float32)
    return array[load(name)["batch/decoder_loss_weights"] > 0] if output == "logits" else array


@pytest.mark.parametrize("name", ["rand_nopad_float32", "rand_pad_float32"])
@pytest.mark.parametrize(
    "output", ["encoder_outputs", "logits", "loss", "loss_ce_sum", "weight_sum", "grad_prompt"]
)
def test_float32_equals_the_original(name, output):
    found = _compared(name, output, ours(name, "float32")[output])
    expected = _compared(name, output, load(name)[f"out/{output}"])
    assert found.shape == expected.shape
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-4 * np.max(np.abs(expected)))


def _token_losses(name, outputs):
    """Cross-entropy of each target token: many numbers, of which an error can be told."""
    logits = np.asarray(outputs["logits"], np.float64)
    targets = load(name)["batch/decoder_target_tokens"][..., None]
    chosen = np.take_along_axis(logits, targets, axis=-1)[..., 0]
    return np.log(np.sum(np.exp(logits), axis=-1)) - chosen


@pytest.mark.parametrize("output", ["encoder_outputs", "logits", "token_losses", "grad_prompt"])
def test_bfloat16_is_as_near_to_float32_as_the_original_is(output):
    name = "rand_nopad_bfloat16"

    def compared(outputs):
        if output == "token_losses":
            return _token_losses(name, outputs)
        return _compared(name, output, outputs[output])

    def error(outputs):
        return np.sqrt(np.mean(np.square(compared(outputs) - compared(ours(name, "float32")))))

    if output == "logits":  # computed in float32, not rounded on the way
        logits = np.asarray(ours(name, "bfloat16")[output])
        assert np.mean(logits == logits.astype("bfloat16").astype(np.float32)) < 0.1
    original = error(_part(load(name), "out/"))
    assert 0 < error(ours(name, "bfloat16")) <= 1.2 * original
