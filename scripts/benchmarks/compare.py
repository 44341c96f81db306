"""What train_step.py and generate.py have in common: systems that take turns, lines and ratios."""

import argparse
from collections.abc import Sequence

import common

MATRIX = "matrix"  # the system that only multiplies matrices, as fast as the device can


def add_turns(arguments: argparse.ArgumentParser) -> None:
    """The arguments that `compare` reads besides."""
    arguments.add_argument("--steps", type=int, default=2, help="timed steps of a turn")
    arguments.add_argument("--warm_up", type=int, default=2, help="steps before the first turn")
    arguments.add_argument("--one_at_a_time", action="store_true", help="a process for every turn")


def compare(
    systems: Sequence[common.System], args: argparse.Namespace, *, ours: str, tokens: int
) -> None:
    """Prints a line a system, and one of ratios.

    Args:
      systems: where one is MATRIX, how much of its rate the others reach is told too.
      args: of `parser` and `add_turns`.
      ours: the system that the ratios are of.
      tokens: of a step.
    """
    options = dict(rounds=args.rounds, steps=args.steps, warm_up=args.warm_up)
    reports = common.take_turns(systems, one_at_a_time=args.one_at_a_time, **options)
    speed = {x["system"]: x["matrix_flops"] / x["median_s"] for x in reports if "matrix_flops" in x}
    for report in reports:
        name = report["system"]
        if name != MATRIX:
            report["tokens_per_s"] = round(tokens / report["median_s"], 1)
        if name in speed:
            report["matrix_tflops_per_s"] = round(speed[name] / 1e12, 3)
            if MATRIX in speed:
                report["fraction_of_matrix_rate"] = round(speed[name] / speed[MATRIX], 3)
        common.show(**report)
    compared = {system.name: system.rounds for system in systems if system.name != MATRIX}
    common.show(ratios=common.ratios(compared, ours), settings=vars(args), machine=common.machine())
