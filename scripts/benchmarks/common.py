"""Systems that take turns: each in a process of its own, all warm, one computing at a time.

A child builds, takes its first step and answers `{"ready": {...}}`; then it takes steps when it is
told to, and reports at the end. One JSON line each way:

    {"steps": 3}   ->  {"seconds": [0.71, 0.70, 0.70]}
    {"report": 1}  ->  {"report": {...}}

Only the standard library is imported here: peers' Pythons lack ours.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
import contextlib
import dataclasses
import json
import os
import pathlib
import platform
import resource
import statistics
import subprocess
import sys
import time
from typing import Any, NamedTuple

FOLDER = pathlib.Path(__file__).parent
Settings = Mapping[str, Any]
Rounds = Sequence[Sequence[float]]  # a turn's seconds, step by step, in each round


class Served(NamedTuple):
    """What a child gives to `serve`.

    Attributes:
      step: one step, finished when it returns.
      report: what is to be told of it at the end, called once.
    """

    step: Callable[[], Any]
    report: Callable[[], dict[str, Any]]


def serve(build: Callable[[dict[str, Any]], Served]) -> None:
    """The child's main: `build(settings)`, a first step, then what the parent asks for.

    Whatever else is printed goes to standard error.
    """
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)

    def answer(**value):
        print(json.dumps(value), file=answers)

    start = time.perf_counter()
    served = build(json.loads(sys.argv[1]))
    built = time.perf_counter()
    served.step()
    answer(
        ready={
            "build_s": round(built - start, 3),
            "first_step_s": round(time.perf_counter() - built, 3),
        }
    )
    for line in sys.stdin:
        command = json.loads(line)
        if "steps" in command:
            answer(seconds=[_timed(served.step) for _ in range(command["steps"])])
        else:
            answer(report={"peak_rss_mib": _peak_rss_mib()} | served.report())


def _timed(step: Callable[[], Any]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def _peak_rss_mib() -> int:
    unit = 2**20 if sys.platform == "darwin" else 2**10  # macOS counts bytes, Linux KiB
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // unit


@dataclasses.dataclass
class System:
    """One of the systems that are compared.

    Attributes:
      name: in what is printed.
      script: the child, a file of this folder.
      settings: for the child.
      python: runs it.
      environment: of the child.
      about: what its parent knows of it, printed with the rest; where "matrix_flops" of a step is
        among it, its rate is too.
    """

    name: str
    script: str
    settings: Settings
    python: str = sys.executable
    environment: Mapping[str, str] = dataclasses.field(default_factory=lambda: dict(os.environ))
    about: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    ready: dict[str, Any] = dataclasses.field(default_factory=dict)
    rounds: list[list[float]] = dataclasses.field(default_factory=list)
    _child: subprocess.Popen | None = None

    def start(self) -> None:
        """Returns when the first step has been taken. Raises ChildProcessError."""
        started = time.perf_counter()
        self._child = subprocess.Popen(
            [self.python, str(FOLDER / self.script), json.dumps(dict(self.settings))],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=dict(self.environment),
        )
        ready = self._read()["ready"]
        seconds = round(time.perf_counter() - started, 2)
        self.ready = self.ready or ready | {"start_to_first_step_s": seconds}

    def warm_up(self, steps: int) -> None:
        self._ask(steps=steps)

    def turn(self, steps: int) -> None:
        self.rounds.append(self._ask(steps=steps)["seconds"])

    def report(self) -> dict[str, Any]:
        """What the child tells of itself, and the step times so far."""
        return {
            "system": self.name,
            **self.about,
            **self._ask(report=1)["report"],
            **self.ready,
            **summary(self.rounds),
        }

    def stop(self) -> None:
        if self._child is not None:
            self._child.stdin.close()
            self._child.wait()
            self._child.stdout.close()
            self._child = None

    def _ask(self, **command: int) -> dict[str, Any]:
        print(json.dumps(command), file=self._child.stdin, flush=True)
        return self._read()

    def _read(self) -> dict[str, Any]:
        line = self._child.stdout.readline()
        if not line:
            raise ChildProcessError(
                f"{self.name}: {self.python} {self.script} ended with code {self._child.wait()}; "
                "what it said is above."
            )
        return json.loads(line)


def take_turns(
    systems: Sequence[System], *, rounds: int, steps: int, warm_up: int, one_at_a_time: bool = False
) -> list[dict[str, Any]]:
    """The systems' reports, in their order.

    Args:
      systems: which start one after the other.
      rounds: in each of which every system has one turn.
      steps: of a turn.
      warm_up: steps before a process's first turn.
      one_at_a_time: a process for every turn, for devices that do not hold all systems at once.
    """
    with contextlib.ExitStack() as stack:
        for system in systems:
            stack.callback(system.stop)
        if one_at_a_time:
            return _in_their_own_processes(systems, rounds, steps, warm_up)
        for system in systems:
            system.start()
            system.warm_up(warm_up)
        for _ in range(rounds):
            for system in systems:
                system.turn(steps)
        return [system.report() for system in systems]


def _in_their_own_processes(
    systems: Sequence[System], rounds: int, steps: int, warm_up: int
) -> list[dict[str, Any]]:
    reports = {}
    for _ in range(rounds):
        for system in systems:
            system.start()
            system.warm_up(warm_up)
            system.turn(steps)
            reports[system.name] = system.report()
            system.stop()
    return list(reports.values())


def summary(rounds: Rounds) -> dict[str, float]:
    """Of all steps of all rounds, in seconds."""
    seconds = _flat(rounds)
    return {
        "median_s": round(statistics.median(seconds), 5),
        "min_s": round(min(seconds), 5),
        "max_s": round(max(seconds), 5),
        "steps": len(seconds),
    }


def ratios(systems: Mapping[str, Rounds], ours: str) -> dict[str, dict[str, Any]]:
    """How many times faster than each other system `ours` is: by medians, by minima, by round."""
    mine = systems[ours]
    return {
        f"{name}/{ours}": {
            "median": _ratio(statistics.median, _flat(rounds), _flat(mine)),
            "min": _ratio(min, _flat(rounds), _flat(mine)),
            "rounds": [_ratio(statistics.median, *both) for both in zip(rounds, mine)],
        }
        for name, rounds in systems.items()
        if name != ours
    }


def _flat(rounds: Rounds) -> list[float]:
    return [seconds for times in rounds for seconds in times]


def _ratio(of: Callable[[Sequence[float]], float], theirs: list[float], mine: list[float]) -> float:
    return round(of(theirs) / of(mine), 3)


def machine() -> dict[str, Any]:
    """What the numbers hold for. Only Linux says which CPU it is, and which of its cores are ours."""
    about = pathlib.Path("/proc/cpuinfo")
    cpu = [
        line.split(":", 1)[1].strip()
        for line in (about.read_text().splitlines() if about.exists() else ())
        if line.startswith("model name")
    ]
    ours = hasattr(os, "sched_getaffinity")
    return {
        "cpu": cpu[0] if cpu else platform.machine(),
        "cores": len(os.sched_getaffinity(0)) if ours else os.cpu_count(),
        "load": round(os.getloadavg()[0], 2),
        "python": platform.python_version(),
    }


def show(**line: Any) -> None:
    print(json.dumps(line), flush=True)


def environment(pythonpath: str | None = None, **variables: str) -> dict[str, str]:
    """This process's; a peer's has its own PYTHONPATH, or none, so that it never imports ours."""
    values = dict(os.environ) | variables
    if pythonpath is not None:
        values.pop("PYTHONPATH", None)
        values |= {"PYTHONPATH": pythonpath} if pythonpath else {}
    return values


def parser(description: str) -> argparse.ArgumentParser:
    """The arguments that all benchmarks have."""
    arguments = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    arguments.add_argument("--size", default="small", help="tiny (for tests), small ... xxl")
    arguments.add_argument("--batch", type=int, default=8)
    arguments.add_argument("--inputs", type=int, default=128, help="tokens, without the prompt")
    arguments.add_argument("--targets", type=int, default=16, help="tokens of the decoder")
    arguments.add_argument("--prompt_length", type=int, default=100)
    arguments.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    arguments.add_argument("--rounds", type=int, default=5, help="turns of each system")
    arguments.add_argument("--peer_python", help="a Python with torch, transformers and peft")
    arguments.add_argument("--peer_pythonpath", default="", help="its PYTHONPATH")
    return arguments
