"""Greedy generation: ours, and PEFT's, in turns.

    python scripts/benchmarks/generate.py --size base --peer_python /path/to/python

One JSON line a system, then one of ratios: above 1, ours is faster. Every text has exactly
`--targets` tokens, and tokens are those.
"""

import dataclasses

import common
import compare
import ours
import peft_child


def main() -> None:
    arguments = common.parser(__doc__)
    compare.add_turns(arguments)
    ours.add_execution(arguments)
    args = arguments.parse_args()
    config = ours.config_of(args.size, dtype=args.dtype)
    settings = dict(
        shape=dict(batch=args.batch, inputs=args.inputs, targets=args.targets),
        prompt_length=args.prompt_length,
    )
    execution = ours.execution(args)
    systems = [ours.system("ours", "generate", config, execution=execution, **settings)]
    if args.peer_python:
        peer = args.peer_python, args.peer_pythonpath
        fields = dataclasses.asdict(config)
        systems.append(peft_child.system("peft", "generate", fields, *peer, **settings))
    compare.compare(systems, args, ours="ours", tokens=args.batch * args.targets)


if __name__ == "__main__":
    main()
