"""Options that a compiler has are given to it, and change no result."""

from unittest import mock

import jax
import numpy as np
import pytest

from prompt_tuning.t5 import compiler_options


@pytest.fixture
def asked_anew():
    compiler_options._is_known.cache_clear()
    yield
    compiler_options._is_known.cache_clear()


def test_products_of_a_few_rows_stay_the_same():
    rng = np.random.default_rng(0)
    x, kernel = (rng.normal(size=shape).astype(np.float32) for shape in ((8, 300), (300, 700)))
    multiply = jax.jit(
        lambda x, y: x @ y, compiler_options=compiler_options.for_decoding(jax.devices())
    )
    np.testing.assert_allclose(multiply(x, kernel), x @ kernel, rtol=1e-4, atol=1e-4)


def test_a_compiler_without_the_option_is_told_nothing(monkeypatch, asked_anew):
    monkeypatch.setattr(compiler_options, "_NO_FUSED_PRODUCTS", {"xla_cpu_no_such_option": ""})
    assert compiler_options.for_decoding(jax.devices("cpu")) == {}


@pytest.mark.parametrize("platform", ["gpu", "tpu"])
def test_no_option_of_a_cpu_reaches_another_platform(platform):
    device = mock.Mock(spec=jax.Device, platform=platform)
    assert compiler_options.for_decoding([device]) == {}
