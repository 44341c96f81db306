"""What XLA is told of a program beyond what it computes; jax.jit's `compiler_options`."""

import functools

import jax

# Of XLA for CPUs, its library of fused products: as fast as its other kernels where products are large.
_NO_FUSED_PRODUCTS = {"xla_cpu_experimental_ynn_fusion_type": ""}


@functools.cache
def for_decoding() -> dict[str, str]:
    """Of programs whose products have a row for each example, as decoding token by token has.

    A CPU's fused products arrange a kernel anew for every product, which takes longer than the product
    of a few rows (scripts/benchmarks/NOTES.md). An XLA that has no such option is told nothing.
    """
    if jax.default_backend() != "cpu":
        return {}
    try:
        jax.jit(lambda x: x, compiler_options=_NO_FUSED_PRODUCTS).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return {}
    return _NO_FUSED_PRODUCTS
