"""A training step: ours, and peers', in turns.

    python scripts/benchmarks/train_step.py --size small --peer_python /path/to/python

One JSON line a system, then one of ratios: above 1, ours is faster. Full tuning gets inputs that are
longer by the prompt, so that encoders see equally many rows. Tokens are inputs and targets, without
the prompt.
"""

import argparse
import dataclasses

import arithmetic
import common
import compare
import ours
import peft_child

SYSTEMS = ("ours", "ours_full", "matrix", "peft", "peft_full", "original", "original_metrics")


def main() -> None:
    arguments = common.parser(__doc__)
    compare.add_turns(arguments)
    ours.add_execution(arguments)
    arguments.add_argument("--dropout", type=float, default=0.0)
    arguments.add_argument("--original_python", help="a Python with T5X, Flaxformer, the original")
    arguments.add_argument("--original_pythonpath", default="", help="its PYTHONPATH")
    arguments.add_argument(
        "--systems",
        help=f"by commas, of {', '.join(SYSTEMS)}; all of ours and of the peers given, but for "
        "peft_full and original_metrics (T5X's gradient metrics on)",
    )
    args = arguments.parse_args()
    names = _names(args, arguments)
    systems = [_system(name, args) for name in names]
    compare.compare(systems, args, ours="ours", tokens=args.batch * (args.inputs + args.targets))


def _names(args: argparse.Namespace, arguments: argparse.ArgumentParser) -> list[str]:
    """The systems asked for; ends the program where one is unknown, or lacks its Python."""
    pythons = {"peft": args.peer_python, "original": args.original_python}
    if args.systems is None:
        return [
            "ours",
            "ours_full",
            "matrix",
            *(name for name, python in pythons.items() if python),
        ]
    names = args.systems.split(",")
    for name in names:
        if name not in SYSTEMS:
            arguments.error(f"--systems: {name!r} is none of {', '.join(SYSTEMS)}.")
        peer = name.split("_")[0]
        if peer in pythons and not pythons[peer]:
            flag = "--peer_python" if peer == "peft" else "--original_python"
            arguments.error(f"--systems has {name}: give {flag}.")
    if "ours" not in names:
        arguments.error("--systems must have ours, which the ratios are of.")
    return names


def _system(name: str, args: argparse.Namespace) -> common.System:
    config = ours.config_of(args.size, dtype=args.dtype, dropout_rate=args.dropout)
    if name == compare.MATRIX:
        return ours.system(name, name, config)
    full = name.endswith("_full")
    rows = args.inputs + args.prompt_length
    shape = dict(batch=args.batch, inputs=rows if full else args.inputs, targets=args.targets)
    settings = dict(shape=shape, prompt_length=args.prompt_length)
    mode = "full" if full else "prompt"
    if name.startswith("original"):
        system = _original(name, args, settings)
    elif name.startswith("peft"):
        peer = args.peer_python, args.peer_pythonpath
        system = peft_child.system(name, mode, dataclasses.asdict(config), *peer, **settings)
    else:
        execution = ours.execution(args, full=full)
        system = ours.system(name, mode, config, execution=execution, **settings)
    needed = arithmetic.step_flops(
        config, **(shape | {"inputs": rows}), prompt_length=None if full else args.prompt_length
    )
    return dataclasses.replace(system, about={"matrix_flops": needed})


def _original(name: str, args: argparse.Namespace, settings: common.Settings) -> common.System:
    settings = settings | {"size": args.size, "dtype": args.dtype, "dropout": args.dropout}
    return common.System(
        name,
        "original_child.py",
        settings | {"weight_metrics": name == "original_metrics"},
        args.original_python,
        common.environment(args.original_pythonpath, XLA_PYTHON_CLIENT_PREALLOCATE="false"),
    )


if __name__ == "__main__":
    main()
