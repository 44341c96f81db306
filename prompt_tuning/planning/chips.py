"""TPU chips by their published rates, and slices of them without a TPU.

Rates are those of Google Cloud's documentation of each TPU version, of one chip: dense bfloat16
arithmetic, HBM, and the inter-chip links (all of a chip's together).
"""

import dataclasses
import math
import os
import re

import jax

GB = 1e9


@dataclasses.dataclass(frozen=True)
class Chip:
    """What one chip can do.

    Attributes:
      memory: bytes of HBM that a program can have.
      flops: bfloat16 operations a second.
      memory_rate: bytes a second from and to HBM.
      link_rate: bytes a second to other chips.
    """

    memory: int
    flops: float
    memory_rate: float
    link_rate: float


CHIPS = {
    "v4": Chip(32 * 2**30, 275e12, 1228 * GB, 300 * GB),
    "v5e": Chip(16 * 2**30, 197e12, 819 * GB, 200 * GB),
    "v5p": Chip(95 * 2**30, 459e12, 2765 * GB, 600 * GB),
    "v6e": Chip(32 * 2**30, 918e12, 1640 * GB, 448 * GB),
}

# Of a slice: its axes, the most chips along one, and in all, which is a pod. With three axes a long one
# is of cubes of 4x4x4, joined by switches.
_SHAPES = {"v4": (3, 256, 4096), "v5e": (2, 16, 256), "v5p": (3, 560, 8960), "v6e": (2, 16, 256)}

_ONE_CHIP = ("v5e:1x1", "v6e:1x1")  # its host has no other; the compiler takes a host to have 2x2
_OPTIONS = {"v4": {"chip_config_name": "megacore"}}  # both cores of a chip are one device

# So that the compiler's library asks no cloud what machine this is, and does not warn of it.
_NO_TPU_HERE = {
    "TPU_SKIP_MDS_QUERY": "1",
    "TPU_WORKER_HOSTNAMES": "localhost",
    "TPU_ACCELERATOR_TYPE": "v5litepod-4",
    "TPU_STDERR_LOG_LEVEL": "3",
    "ALLOW_MULTIPLE_LIBTPU_LOAD": "1",  # compiling holds no device, so several may
}


def slice_of(topology: str) -> tuple[Chip, list[jax.Device]]:
    """The chip and the devices of a slice such as "v5e:4x4" or "v5p:2x2x2".

    They can be compiled for, by the real compiler (libtpu), and hold no arrays.

    Raises ValueError if there is no such slice, or no compiler.
    """
    version = topology.split(":")[0]
    if version not in CHIPS or ":" not in topology:
        raise ValueError(
            f"TOPOLOGY must be one of {', '.join(CHIPS)} and its chips, such as v5e:4x4 or "
            f"v5p:2x2x2, found {topology!r}."
        )
    _check_shape(topology)
    options = dict(_OPTIONS.get(version, {}))
    if topology in _ONE_CHIP:
        options["chips_per_host_bounds"] = (1, 1, 1)
    for name, value in _NO_TPU_HERE.items():
        os.environ.setdefault(name, value)
    try:
        from jax.experimental import topologies

        described = topologies.get_topology_desc(topology, "tpu", **options)
        return CHIPS[version], list(described.devices)
    except Exception as error:  # whatever the plugin raises where it is missing or refuses
        raise ValueError(
            f"TOPOLOGY {topology}: the TPU compiler gives no such slice ({error}). It is in the "
            'package libtpu: pip install ".[tpu]".'
        ) from error


def _check_shape(topology: str) -> None:
    """The compiler does not: it aborts the process, or compiles for chips that nobody has."""
    version, shape = topology.split(":", 1)
    axes, longest, most = _SHAPES[version]
    chips = [int(x) for x in shape.split("x")] if re.fullmatch(r"[0-9]+(x[0-9]+)*", shape) else []
    if len(chips) != axes or not 0 < min(chips) <= max(chips) <= longest or math.prod(chips) > most:
        raise ValueError(
            f"TOPOLOGY must be {axes} axes of 1 to {longest} chips for {version}, such as "
            f"{version}:{'x'.join('2' * axes)}, and {most} chips at most, found {topology!r}."
        )
