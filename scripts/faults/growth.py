"""What a long run holds while it runs: memory, open files, threads."""

from collections.abc import Iterator, Sequence
import json
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time
from typing import Any


def watch(
    arguments: Sequence[str], run: pathlib.Path, *, seconds: float
) -> Iterator[dict[str, Any]]:
    """Yields {"step", "rss_mib", "files", "threads"} of a training process, until it ends.

    Args:
      arguments: of `prompt_tuning.train`, but for MODEL_DIR; train.log_period tells how often a step
        is known.
      run: its MODEL_DIR.
      seconds: between two looks.

    Raises ChildProcessError if training fails.
    """
    command = [sys.executable, "-m", "prompt_tuning.train", *arguments, f"--gin.MODEL_DIR={run}"]
    with tempfile.TemporaryFile("w+") as said:
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=said) as process:
            while process.poll() is None:
                if (step := last_step(run)) and (held := _held(process.pid)):
                    yield {"step": step, **held}
                time.sleep(seconds)
        if process.returncode:
            said.seek(0)
            raise ChildProcessError(f"Training ended with {process.returncode}: {said.read()}")


def _held(pid: int) -> dict[str, int] | None:
    """None of a process that is ending, which holds no memory any more."""
    folder = pathlib.Path("/proc", str(pid))
    try:
        status = (folder / "status").read_text()
        files = len(list((folder / "fd").iterdir()))
    except OSError:
        return None
    numbers = [re.search(rf"{name}:\s+(\d+)", status) for name in ("VmRSS", "Threads")]
    if None in numbers:
        return None
    kib, threads = (int(found[1]) for found in numbers)
    return {"rss_mib": kib // 1024, "files": files, "threads": threads}


def last_step(run: pathlib.Path) -> int:
    """The last that a whole line of scalars.jsonl tells of; 0 before there is one."""
    try:
        with open(run / "scalars.jsonl", "rb") as file:
            file.seek(max(0, file.seek(0, 2) - 4096))
            lines = [line for line in file.read().splitlines(keepends=True) if line.endswith(b"\n")]
        return json.loads(lines[-1])["step"]
    except (FileNotFoundError, IndexError):
        return 0


def summary(samples: Sequence[dict[str, Any]], last_step: int) -> dict[str, Any]:
    """What was held in the second and in the last quarter of a run, medians: saves come and go."""
    second = [x for x in samples if 0.25 <= x["step"] / last_step < 0.5]
    last = [x for x in samples if x["step"] / last_step >= 0.75]
    names = ("rss_mib", "files", "threads")
    return {
        name: [statistics.median(x[name] for x in part) for part in (second, last)]
        for name in names
    }


def plot(samples: Sequence[dict[str, Any]], file: pathlib.Path) -> None:
    """Draws memory and counts over steps; needs matplotlib (the [demo] extra)."""
    import matplotlib

    matplotlib.use("agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(2, 1, sharex=True, figsize=(8, 5))
    steps = [x["step"] for x in samples]
    axes[0].plot(steps, [x["rss_mib"] for x in samples])
    axes[0].set(ylabel="resident memory, MiB", ylim=(0, None))
    for name, label in (("files", "open files"), ("threads", "threads")):
        axes[1].plot(steps, [x[name] for x in samples], label=label)
    axes[1].set(xlabel="step", ylim=(0, None))
    axes[1].legend()
    figure.savefig(file, dpi=120)
    pyplot.close(figure)
