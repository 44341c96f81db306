"""Compiling is what takes time here, and what methods compute is no matter of how it is optimised."""

import jax
import pytest


@pytest.fixture(scope="package", autouse=True)
def quick_compilation():
    jax.config.update("jax_disable_most_optimizations", True)
    yield
    jax.config.update("jax_disable_most_optimizations", False)
