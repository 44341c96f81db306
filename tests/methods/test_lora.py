"""LoRA: what it adds to kernels, and what every method must hold."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.methods import lora
from tests import models
from tests.methods import adding

ALL = lora.LoRA(rank=2, projections=("query", "key", "value", "out", "wi_0", "wi_1", "wo"))
METHODS = {"queries and values": lora.LoRA(rank=3), "all": ALL}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture(scope="module")
def base():
    return models.tiny_model()


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def test_it_starts_as_the_frozen_model(base, batch):
    found = adding.logits(base, ALL, *adding.trained(base, ALL), batch)
    np.testing.assert_array_equal(found, adding.plain_logits(base, batch))


def test_it_starts_as_the_authors_code_does(base):
    """Kaiming's uniform with a = sqrt(5), which is within 1 / sqrt(I)."""
    learned, _ = adding.trained(base, ALL)
    for name, a in learned.items():
        if name.endswith("/added/a"):
            bound = a.shape[0] ** -0.5
            assert 0.6 * bound < np.abs(a).max() <= bound


def test_it_is_a_low_rank_change_of_kernels(base, batch):
    """Computed beside the kernels, and as kernels that it was merged into."""
    learned, frozen = adding.trained(base, ALL, scale=0.1)
    merged = dict(base.params)
    for name in learned:
        if name.endswith("/added/a"):
            kernel = name.removesuffix("added/a") + "kernel"
            change = learned[name] @ learned[name.removesuffix("a") + "b"]
            merged[kernel] = merged[kernel] + ALL.alpha / ALL.rank * change
    assert sum(not np.array_equal(merged[n], base.params[n]) for n in merged) == 2 * 7 + 2 * 11
    found = adding.logits(base, ALL, learned, frozen, batch)
    expected = adding.plain_logits(dataclasses.replace(base, params=merged), batch)
    adding.check_close(found, expected)


@pytest.mark.parametrize("size", ["small", "xl"])
def test_count(size):
    """r (I + O) for each projection; six of [D, H K] kernels a pair of layers: q and v of three."""
    base = models.paper_model(size)
    config = base.config
    joined = config.num_heads * config.head_dim
    encoder, decoder = config.num_encoder_layers, config.num_decoder_layers
    expected = 8 * (config.d_model + joined) * 2 * (encoder + 2 * decoder)
    adding.check_count(base, lora.LoRA(), expected)


@each_method
def test_steps_train_it(base, batch, method):
    adding.check_step(base, method, batch)


def test_files(base, batch, tmp_path):
    adding.check_files(base, ALL, batch, tmp_path)


def test_decoding_padding_and_packing(base, batch):
    adding.check_decoding(base, ALL, batch)
    adding.check_padding(base, ALL, batch)
    adding.check_packed(base, ALL)


def test_another_scale_is_refused(base, tmp_path):
    lora.LoRA(alpha=8.0).write(base, adding.trained(base, lora.LoRA())[0], tmp_path, {})
    with pytest.raises(ValueError, match="was trained with alpha 8.0, found 16.0"):
        lora.LoRA().read(base, tmp_path)


def test_another_rank_is_refused(base, tmp_path):
    lora.LoRA(rank=2).write(base, adding.trained(base, lora.LoRA(rank=2))[0], tmp_path, {})
    with pytest.raises(
        ValueError, match=r"does not fit LoRA: .*expected \[16, 8\], found \[16, 2\]"
    ):
        lora.LoRA().read(base, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(rank=0), "LoRA.rank must be at least 1, found 0"),
        (dict(projections=("q",)), "LoRA.projections must be some of .*query.*found"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        lora.LoRA(**change)


def test_scanned_layers_are_refused(base):
    from prompt_tuning.t5 import execution

    scanned = dataclasses.replace(base, execution=execution.Execution(scan_layers=True))
    network = lora.LoRA().network(scanned)
    batch = models.random_batch(0)
    with pytest.raises(ValueError, match="adds to every layer.*set Execution.scan_layers to False"):
        network.init(
            jax.random.key(0), batch["encoder_input_tokens"], batch["decoder_input_tokens"]
        )
