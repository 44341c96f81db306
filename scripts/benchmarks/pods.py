"""T5 1.1 of every size on TPU slices, by the real compiler: what fits, how fast it can be at best.

    python scripts/benchmarks/pods.py                          # all cells, a JSON line each, then the table
    python scripts/benchmarks/pods.py --sizes xxl --slices v5e:2x2 --int8_weights

A chip's batch stays the same on every slice, so that the time of a step tells how cost grows with
chips. Weights lie whole on every chip where they take less than half of it, else divided among all.
"""

import argparse
import json

import jax

from prompt_tuning import compile as compiling
from prompt_tuning import models
from prompt_tuning.methods import soft_prompt
from prompt_tuning.planning import chips
from prompt_tuning.planning import reports
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import execution as executions
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding

SLICES = ("v5e:2x2", "v5e:2x4", "v5e:4x4", "v6e:2x4", "v5p:2x2x2", "v5p:2x2x4", "v5e:16x16")
PROMPT = soft_prompt.SoftPrompt(100, initializers.Uniform())


def cell(size: str, topology: str, args: argparse.Namespace) -> dict:
    """What one chip does in a step, as a line of the table."""
    execution = executions.Execution(
        scan_layers=True, remat_policy=args.remat_policy, int8_weights=args.int8_weights
    )
    config = t5_config.t5_1_1(size, dtype="bfloat16")
    model = models.NewModel(config, "pocket_t5", execution=execution).describe()
    chip, devices = chips.slice_of(topology)
    whole = sum(x.size for x in model.params.values()) * (1 if args.int8_weights else 2)
    layout = sharding.Layout(shard_frozen=whole > chip.memory / 2)
    batch_size = args.batch_per_chip * len(devices)
    found = compiling.compile_run(
        model,
        PROMPT,
        topology=topology,
        task_feature_lengths={"inputs": args.inputs, "targets": args.targets},
        batch_size=batch_size,
        optimizer=optimizers.adafactor(),
        layout=layout,
        which=tuple(args.programs),
    )
    line = {
        "size": size,
        "slice": topology,
        "chips": len(devices),
        "batch": batch_size,
        "weights": "divided" if layout.shard_frozen else "whole",
    }
    return line | {name: _numbers(report, batch_size) for name, report in found.items()}


def _numbers(report: reports.Report, batch_size: int) -> dict:
    if report.does_not_fit:
        return {"fits": False, "why": report.does_not_fit}
    return {
        "fits": True,
        "arguments_gib": round(report.arguments / reports.GIB, 2),
        "temporaries_gib": round(report.temporaries / reports.GIB, 2),
        "tflop": round(report.flops / 1e12, 3),
        "hbm_gb": round(report.memory_bytes / 1e9, 2),
        "links_gb": round(report.link_bytes / 1e9, 4),
        "roofline_ms": round(report.roofline_s * 1e3, 1),
        "bound_by": max(report.seconds, key=report.seconds.get),
        "examples_per_s": round(batch_size / report.roofline_s, 1),
        "compile_s": round(report.compile_s, 1),
    }


def table(lines: list[dict], program: str) -> str:
    """Markdown, a row a cell."""
    head = (
        "| size | slice | batch | weights | GiB a chip: arguments + temporaries | TFLOP | HBM GB | "
        "links GB | at least, ms | bound by | examples/s/chip, at most | compiled in |"
    )
    rows = [head, "|---" * 3 + "|---" + "|--:" * 5 + "|---" + "|--:" * 2 + "|"]
    for line in lines:
        x = line[program]
        where = f"| {line['size']} | {line['slice']} | {line['batch']} | {line['weights']} |"
        if not x["fits"]:
            rows.append(f"{where} does not fit: {x['why']} " + "|" * 8)
            continue
        rows.append(
            f"{where} {x['arguments_gib']} + {x['temporaries_gib']} | {x['tflop']} | {x['hbm_gb']} | "
            f"{x['links_gb']} | {x['roofline_ms']} | {x['bound_by']} | "
            f"{x['examples_per_s'] / line['chips']:.1f} | {x['compile_s']} s |"
        )
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", nargs="+", default=list(t5_config.SIZES))
    parser.add_argument("--slices", nargs="+", default=list(SLICES))
    parser.add_argument("--batch_per_chip", type=int, default=8)
    parser.add_argument("--inputs", type=int, default=512)
    parser.add_argument("--targets", type=int, default=16)
    parser.add_argument("--programs", nargs="+", default=["train"], choices=["train", "predict"])
    parser.add_argument("--int8_weights", action="store_true")
    parser.add_argument("--remat_policy", choices=executions.REMAT_POLICIES, default="full")
    args = parser.parse_args()
    jax.config.update("jax_platforms", "cpu")
    lines = []
    for size in args.sizes:
        for topology in args.slices:
            lines.append(cell(size, topology, args))
            print(json.dumps(lines[-1]), flush=True)
    for program in args.programs:
        print(f"\n{program}\n\n{table(lines, program)}")


if __name__ == "__main__":
    main()
