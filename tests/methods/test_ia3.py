"""IA3: what it scales, and what every method must hold."""

import dataclasses

import numpy as np
import pytest

from prompt_tuning.methods import ia3
from tests import models
from tests.methods import adding

METHOD = ia3.IA3()
GATED = dict(num_heads=2, head_dim=5)  # H * K is not D
PLAIN = dict(gated=False, activation="relu", tied_logits=True)


@pytest.fixture(scope="module")
def base():
    return models.tiny_model(**GATED)


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def test_it_starts_as_the_frozen_model(base, batch):
    found = adding.logits(base, METHOD, *adding.trained(base, METHOD), batch)
    np.testing.assert_allclose(found, adding.plain_logits(base, batch), rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("shape", [GATED, PLAIN], ids=["gated", "plain"])
def test_it_scales_what_kernels_give(batch, shape):
    """Computed beside the kernels, and as kernels that it was merged into."""
    base = models.tiny_model(**shape)
    learned, frozen = adding.trained(base, METHOD, scale=0.5)
    merged = dict(base.params)
    for name, scale in learned.items():
        place = name.removesuffix("/added/scale")
        if place.endswith("/mlp"):  # rows of the next kernel
            merged[f"{place}/wo/kernel"] = merged[f"{place}/wo/kernel"] * scale[:, None]
        else:
            merged[f"{place}/kernel"] = merged[f"{place}/kernel"] * scale
    changed = [n.split("/")[-2] for n in merged if not np.array_equal(merged[n], base.params[n])]
    assert {n: changed.count(n) for n in changed} == {"key": 6, "value": 6, "wo": 4}
    found = adding.logits(base, METHOD, learned, frozen, batch)
    expected = adding.plain_logits(dataclasses.replace(base, params=merged), batch)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("size", ["small", "xl"])
def test_count(size):
    """2 H K + F for each encoder layer, 4 H K + F for each decoder layer."""
    base = models.paper_model(size)
    config = base.config
    joined, hidden = config.num_heads * config.head_dim, config.d_ff
    encoder, decoder = config.num_encoder_layers, config.num_decoder_layers
    expected = encoder * (2 * joined + hidden) + decoder * (4 * joined + hidden)
    adding.check_count(base, METHOD, expected)


def test_steps_train_it(base, batch):
    adding.check_step(base, METHOD, batch)


def test_files(base, batch, tmp_path):
    adding.check_files(base, METHOD, batch, tmp_path)


def test_files_of_another_shape_are_refused(base, tmp_path):
    METHOD.write(base, adding.trained(base, METHOD)[0], tmp_path, {})
    wider = models.tiny_model(d_ff=40)
    with pytest.raises(ValueError, match=r"does not fit IA3: .*expected \[40\], found \[32\]"):
        METHOD.read(wider, tmp_path)


def test_decoding_padding_and_packing(base, batch):
    adding.check_decoding(base, METHOD, batch)
    adding.check_padding(base, METHOD, batch)
    adding.check_packed(base, METHOD)


def test_activations_stay_in_their_type(batch):
    base, exact = (models.tiny_model(dtype=dtype) for dtype in ("bfloat16", "float32"))
    learned, frozen = adding.trained(base, METHOD, scale=0.3)
    found = adding.logits(base, METHOD, learned, frozen, batch)
    expected = adding.logits(exact, METHOD, learned, frozen, batch)
    assert not np.array_equal(found, expected)
    np.testing.assert_allclose(found, expected, atol=0.1 * np.abs(expected).max())
