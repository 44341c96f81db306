"""A run that is killed again and again, and ends as the one that never was.

Each process gets SIGKILL at a random moment: by the clock, which meets starting, compiling and
evaluating, or when it touches its files (victim.py), which meets saving and renaming. Then the same
command is given again, until the run is finished; until there were enough kills, the next run is begun.
"""

from collections.abc import Iterator, Sequence
import contextlib
import pathlib
import signal
import subprocess
import sys
import time
from typing import Any

import jax
import numpy as np
import orbax.checkpoint as ocp
import safetensors

from prompt_tuning.checkpoints import sealing

import growth

VICTIM = pathlib.Path(__file__).with_name("victim.py")
RUN = "run"  # each in a folder of its own, so that their configurations are the same text
SEED = 0
SECONDS = 600  # after which a process hangs


class DifferentError(AssertionError):
    """A killed run did not end as the one that was not."""


def kill(
    arguments: Sequence[str], folder: pathlib.Path, *, kills: int, save_period: int
) -> Iterator[dict[str, Any]]:
    """Yields a report of each kill.

    Args:
      arguments: of `prompt_tuning.train`, but for MODEL_DIR.
      folder: where the runs are made.
      kills: how many.
      save_period: the runs' own.

    Raises DifferentError.
    """
    rng = np.random.default_rng(SEED)
    start = time.monotonic()
    never = folder / "never" / RUN
    _go_on(arguments, never)
    seconds = time.monotonic() - start
    touches = int(never.with_suffix(".touches").read_text())
    done = 0
    while done < kills:
        run = folder / f"after_{done}_kills" / RUN
        while done < kills:
            by_clock = rng.random() < 0.5
            moment = rng.uniform(0, seconds) if by_clock else rng.integers(1, touches + 1)
            before = _last_save(run)
            if not _killed(arguments, run, moment, by_clock):
                break
            done += 1
            lost = growth.last_step(run) - _last_save(run)
            if lost > save_period or _last_save(run) < before:
                raise DifferentError(
                    f"{run}: a kill cost {lost} steps, of saves every {save_period}."
                )
            yield {
                "kill": done,
                "by": "clock" if by_clock else "touch",
                "at": round(float(moment), 2),
                "saved": _last_save(run),
                "steps_lost": lost,
                "in": _interrupted(run),
            }
        _go_on(arguments, run)
        compare(never, run)


def _start(arguments: Sequence[str], run: pathlib.Path, number: int) -> subprocess.Popen[str]:
    run.parent.mkdir(parents=True, exist_ok=True)
    return subprocess.Popen(
        [sys.executable, VICTIM, str(number), run, *arguments, f"--gin.MODEL_DIR={RUN}"],
        cwd=run.parent,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def _go_on(arguments: Sequence[str], run: pathlib.Path) -> None:
    """To the end."""
    if _killed(arguments, run, SECONDS, by_clock=True):
        raise DifferentError(f"{run} hangs.")


def _killed(arguments: Sequence[str], run: pathlib.Path, moment: float, by_clock: bool) -> bool:
    """Whether the process was still there at that moment."""
    with _start(arguments, run, 0 if by_clock else int(moment)) as process:
        try:
            said, _ = process.communicate(timeout=moment if by_clock else SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            said, _ = process.communicate()
            if not by_clock:
                raise DifferentError(f"{run} hangs: {said}") from None
    if process.returncode not in (0, -signal.SIGKILL):
        raise DifferentError(f"{run} does not go on: {said}")
    return process.returncode == -signal.SIGKILL


def _last_save(run: pathlib.Path) -> int:
    saves = (run / "checkpoints").glob("*/" + sealing.SEAL)
    return max((int(save.parent.name) for save in saves), default=0)


def _interrupted(run: pathlib.Path) -> str:
    """What the kill left undone, as far as files tell."""
    saves = [path for path in run.glob("checkpoints/*") if path.is_dir()]
    if any(not path.name.isdigit() for path in saves):
        return "saving"
    if any(not sealing.is_sealed(path) for path in saves):
        return "sealing"
    if any(path.name.count(".") > 1 and path.name.startswith(".") for path in run.rglob(".*")):
        return "writing a file"
    return "training" if growth.last_step(run) > _last_save(run) else "between"


def compare(expected: pathlib.Path, found: pathlib.Path) -> None:
    """Raises DifferentError unless two finished runs hold the same, bit for bit.

    Losses and scores by step, what was learned at every save, and the last save: trained arrays,
    optimizer's state, step, notes.
    """
    files = [path.relative_to(expected) for path in expected.rglob("*") if path.is_file()]
    learned = [path for path in files if path.parts[0] in ("best", "numpy_checkpoints")]
    for name in [pathlib.Path("scalars.jsonl"), *learned]:
        if _content(expected / name) != _content(found / name):
            raise DifferentError(f"{found / name} is not {expected / name}.")
    save = f"checkpoints/{_last_save(expected)}"
    if (expected / save / "notes/metadata").read_text() != (
        found / save / "notes/metadata"
    ).read_text():
        raise DifferentError(f"{found / save} has other notes than {expected / save}.")
    with contextlib.closing(ocp.StandardCheckpointer()) as checkpointer:
        states = [
            checkpointer.restore(run.absolute() / save / "state") for run in (expected, found)
        ]
    jax.tree.map(np.testing.assert_array_equal, *states)


def _content(file: pathlib.Path) -> object:
    if file.suffix != ".safetensors":
        return file.read_bytes()
    with safetensors.safe_open(file, "numpy") as opened:  # whose header has no fixed order
        return opened.metadata(), {
            name: opened.get_tensor(name).tobytes() for name in opened.keys()
        }
