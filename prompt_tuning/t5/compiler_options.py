"""What XLA is told of a program beyond what it computes; jax.jit's `compiler_options`."""

from collections.abc import Iterable
import functools

import jax

# Of XLA for CPUs, its library of fused products.
_NO_FUSED_PRODUCTS = {"xla_cpu_experimental_ynn_fusion_type": ""}


def for_decoding(devices: Iterable[jax.Device]) -> dict[str, str]:
    """Of decoding, on these devices.

    A CPU's fused products arrange their kernel anew each time, which takes longer than a product of
    few rows, as decoding has (scripts/benchmarks/NOTES.md). Steps keep them: without, their numbers
    depend on how many cores there are. An XLA that has no such option is told nothing.
    """
    platforms = {device.platform for device in devices}
    return _NO_FUSED_PRODUCTS if platforms == {"cpu"} and _is_known() else {}


@functools.cache
def _is_known() -> bool:
    """Whether this XLA has the option."""
    try:
        jax.jit(lambda x: x, compiler_options=_NO_FUSED_PRODUCTS).lower(0).compile()
    except jax.errors.JaxRuntimeError:
        return False
    return True
