"""A training step of each method, in turns: what it costs beside prompt tuning.

    python scripts/benchmarks/methods.py --size small

One JSON line a method, then one of ratios: above 1, prompt tuning is faster. All have the same examples:
what a method's own rows cost is part of it. `flops` is XLA's count, memory is `temporaries_mib`, `peak_rss_mib`
and, on an accelerator, `device.peak_mib`.
"""

import common
import compare
import methods_ours
import ours

BASELINE = "soft_prompt"


def main() -> None:
    arguments = common.parser(__doc__)
    compare.add_turns(arguments)
    ours.add_execution(arguments)
    arguments.add_argument("--dropout", type=float, default=0.0)
    arguments.add_argument(
        "--methods", default=",".join(methods_ours.METHODS), help="by commas; all of them"
    )
    args = arguments.parse_args()
    names = args.methods.split(",")
    if unknown := [name for name in names if name not in methods_ours.METHODS]:
        arguments.error(f"--methods: {unknown} are none of {', '.join(methods_ours.METHODS)}.")
    if BASELINE not in names:
        arguments.error(f"--methods must have {BASELINE}, which the ratios are of.")
    config = ours.config_of(args.size, dtype=args.dtype, dropout_rate=args.dropout)
    settings = {
        "shape": dict(batch=args.batch, inputs=args.inputs, targets=args.targets),
        "prompt_length": args.prompt_length,
    }
    systems = [
        methods_ours.system(
            name, config, execution=ours.execution(args, full=name == "model_tuning"), **settings
        )
        for name in names
    ]
    compare.compare(systems, args, ours=BASELINE, tokens=args.batch * (args.inputs + args.targets))


if __name__ == "__main__":
    main()
