"""Real processes of one JAX program on this machine, which share its virtual devices."""

from collections.abc import Callable
import importlib
import os
import pathlib
import socket
import subprocess
import sys
import time
import traceback

import jax

REPOSITORY = pathlib.Path(__file__).parents[1]
DEVICES = 8
SECONDS = 300


def run(
    count: int,
    function: Callable[..., None],
    *arguments: str | os.PathLike | int,
    devices: int = DEVICES,
) -> None:
    """Calls a module's `function` in each of `count` processes, with `arguments` as texts.

    As soon as one process fails the others are ended, for they would wait for ever.
    """
    shared = free_address(), str(devices // count), str(count)
    call = [function.__module__, function.__name__, *map(str, arguments)]
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.processes", *shared, str(index), *call], cwd=REPOSITORY
        )
        for index in range(count)
    ]
    try:
        assert _exit_codes(processes) == [0] * count
    finally:
        for process in processes:
            process.kill()
            process.wait()


def free_address() -> str:
    """HOST:PORT on this machine where nobody listens."""
    with socket.socket() as free:
        free.bind(("localhost", 0))
        return f"localhost:{free.getsockname()[1]}"


def _exit_codes(processes: list[subprocess.Popen]) -> list[int | None]:
    """Of all when all are done; else with None for those that run when one fails or time is up."""
    end = time.monotonic() + SECONDS
    while True:
        codes = [process.poll() for process in processes]
        if None not in codes or any(codes) or time.monotonic() > end:
            return codes
        time.sleep(0.05)


def main(
    address: str, devices: str, count: str, index: str, module: str, name: str, *arguments: str
) -> None:
    """What each process runs."""
    jax.config.update("jax_num_cpu_devices", int(devices))
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.config.update("jax_disable_most_optimizations", True)  # compiling is all that takes time
    jax.distributed.initialize(address, int(count), int(index))
    try:
        getattr(importlib.import_module(module), name)(*arguments)
    except Exception:
        traceback.print_exc()
        os._exit(1)  # an ordinary end would wait for the other processes


if __name__ == "__main__":
    main(*sys.argv[1:])
