"""What a sweep saves: N members in one compiled step, and the same N one after another, in turns.

    python scripts/benchmarks/sweep.py --size small --members 4

A step is one step of every member. One JSON line a system, with the time of one member's step, then
one of ratios: above 1, together is faster. Both have the frozen weights once and every member's own
prompt and optimizer state; runs that are really alone also load and compile once each, which is not
counted.
"""

import dataclasses

import common
import compare
import ours

SYSTEMS = ("together", "one_by_one")


def main() -> None:
    arguments = common.parser(__doc__)
    compare.add_turns(arguments)
    ours.add_execution(arguments)
    arguments.add_argument("--members", type=int, default=4, help="N, prompts in the sweep")
    arguments.add_argument("--dropout", type=float, default=0.0)
    args = arguments.parse_args()
    if args.members < 1:
        arguments.error(f"--members must be at least 1, found {args.members}.")
    config = ours.config_of(args.size, dtype=args.dtype, dropout_rate=args.dropout)
    settings = {
        "config": dataclasses.asdict(config),
        "execution": ours.execution(args),
        "shape": {"batch": args.batch, "inputs": args.inputs, "targets": args.targets},
        "prompt_length": args.prompt_length,
        "members": args.members,
    }
    systems = [
        common.System(
            name,
            "sweep_ours.py",
            settings | {"mode": name},
            environment=common.environment(XLA_PYTHON_CLIENT_PREALLOCATE="false"),
        )
        for name in SYSTEMS
    ]
    reports = common.take_turns(
        systems,
        rounds=args.rounds,
        steps=args.steps,
        warm_up=args.warm_up,
        one_at_a_time=args.one_at_a_time,
    )
    for report in reports:
        common.show(**report, member_step_s=round(report["median_s"] / args.members, 5))
    compared = {system.name: system.rounds for system in systems}
    common.show(
        ratios=common.ratios(compared, "together"), settings=vars(args), machine=common.machine()
    )


if __name__ == "__main__":
    main()
