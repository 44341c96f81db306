"""Examples per second where inputs are as long as SuperGLUE's: each arrangement, and PEFT.

    python scripts/benchmarks/lengths.py --peer_python /path/to/python

PEFT pads each batch to its longest example. One JSON line a system, then one of ratios: above 1,
bucketed is faster. All systems see the same batches (mixture_lengths.py), and each the same ones in
every turn. The columns per example that are told lack PEFT's prompt, and that of padded rows.
"""

import argparse
import dataclasses

import common
import lengths_ours
import ours

BASELINE = "bucketed"


def main() -> None:
    arguments = common.parser(__doc__)
    arguments.set_defaults(batch=32, inputs=512, rounds=3)
    arguments.add_argument("--batches", type=int, default=4, help="different ones, all in a turn")
    arguments.add_argument(
        "--each_task_alike", action="store_true", help="tasks drawn alike, not by their sizes"
    )
    arguments.add_argument(
        "--all_at_once", action="store_true", help="all processes live at once: takes their memory"
    )
    arguments.add_argument("--systems", default="padded,bucketed,packed", help="of ours, by commas")
    arguments.add_argument("--groups", type=int, default=8, help="Bucketed.groups")
    arguments.add_argument("--counts", type=int, default=8, help="Packed.counts")
    args = arguments.parse_args()
    if unknown := set(args.systems.split(",")) - set(lengths_ours.ARRANGEMENTS):
        arguments.error(
            f"--systems: {sorted(unknown)} are none of {list(lengths_ours.ARRANGEMENTS)}."
        )
    if BASELINE not in args.systems.split(","):
        arguments.error(f"--systems must have {BASELINE}, which the ratios are of.")
    systems = _systems(args)
    reports = common.take_turns(
        systems,
        rounds=args.rounds,
        steps=args.batches,
        warm_up=args.batches,
        one_at_a_time=not args.all_at_once,
    )
    for system, report in zip(systems, reports):
        seconds = sum(sum(times) for times in system.rounds)
        examples = args.batch * args.batches * args.rounds
        common.show(**report, examples_per_s=round(examples / seconds, 3))
    # A turn is always of the same batches: its whole time tells.
    turns = {system.name: [[sum(times)] for times in system.rounds] for system in systems}
    common.show(
        ratios=common.ratios(turns, BASELINE), settings=vars(args), machine=common.machine()
    )


def _systems(args: argparse.Namespace) -> list[common.System]:
    config = ours.config_of(args.size, dtype=args.dtype)
    settings = {
        "config": dataclasses.asdict(config),
        "shape": {"batch": args.batch, "inputs": args.inputs, "targets": args.targets},
        "prompt_length": args.prompt_length,
        "batches": args.batches,
        "each_task_alike": args.each_task_alike,
    }
    options = {"bucketed": {"groups": args.groups}, "packed": {"counts": args.counts}}
    systems = [
        common.System(
            name,
            "lengths_ours.py",
            settings | {"mode": name, "options": options.get(name, {})},
            environment=common.environment(XLA_PYTHON_CLIENT_PREALLOCATE="false"),
        )
        for name in args.systems.split(",")
    ]
    if args.peer_python:
        environment = common.environment(args.peer_pythonpath)
        systems.append(
            common.System("peft", "lengths_peft.py", settings, args.peer_python, environment)
        )
    return systems


if __name__ == "__main__":
    main()
