"""The long form of tests/faults: many kills, and a long run whose memory is watched.

    python scripts/soak.py --kills 200
    python scripts/soak.py --steps 10000 --evaluations 100 --plot memory.png

A tiny T5 of random weights learns the shipped task; one JSON line a kill, or one of what was held.
"""

import argparse
import json
import pathlib
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).with_name("faults")))

import growth  # noqa: E402
import kills  # noqa: E402

SAVE_PERIOD, KILLED_STEPS = 4, 24
SIZES = dict(vocab_size=4096, d_model=16, num_heads=2, head_dim=8, d_ff=32)
SIZES |= dict(num_encoder_layers=1, num_decoder_layers=1)
SETTINGS = {
    **{f"T5Config.{name}": value for name, value in SIZES.items()},
    "DTYPE": "float32",
    "TASK_FEATURE_LENGTHS": {"inputs": 32, "targets": 4},
    "BATCH_SIZE": 8,
    "PROMPT_LENGTH": 4,
    "DROPOUT_RATE": 0.1,
    "train.max_eval_examples": 16,
    "train.log_period": 1,
}
FILES = "models/random_t5_1_1.gin", "tasks/spam.gin", "prompts/uniform.gin"


def arguments(steps: int, eval_period: int, save_period: int) -> list[str]:
    """Of `prompt_tuning.train`, but for MODEL_DIR."""
    periods = {"EVAL_PERIOD": eval_period, "train.save_period": save_period, "TRAIN_STEPS": steps}
    files = [f"--gin_file={file}" for file in FILES]
    return files + [f"--gin.{name}={value}" for name, value in (SETTINGS | periods).items()]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=0)
    parser.add_argument("--steps", type=int, default=0, help="of the run that is watched")
    parser.add_argument("--evaluations", type=int, default=100, help="in these steps")
    parser.add_argument("--plot", type=pathlib.Path, help="of memory, files and threads, as .png")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if args.kills:
            _kill(args, pathlib.Path(folder, "kills"))
        if args.steps:
            _watch(args, pathlib.Path(folder, "run"))


def _kill(args: argparse.Namespace, folder: pathlib.Path) -> None:
    given = arguments(KILLED_STEPS, 6, SAVE_PERIOD)
    reports = []
    for report in kills.kill(given, folder, kills=args.kills, save_period=SAVE_PERIOD):
        reports.append(report)
        print(json.dumps(report), flush=True)
    total = {where: sum(x["in"] == where for x in reports) for where in {x["in"] for x in reports}}
    most = max(report["steps_lost"] for report in reports)
    print(json.dumps({"kills": len(reports), "in": total, "most_steps_lost": most, "different": 0}))


def _watch(args: argparse.Namespace, run: pathlib.Path) -> None:
    period = args.steps // args.evaluations
    given = arguments(args.steps, period, period)
    samples = list(growth.watch(given, run, seconds=0.5))
    if args.plot:
        growth.plot(samples, args.plot)
    print(json.dumps({"steps": args.steps, **growth.summary(samples, args.steps)}))


if __name__ == "__main__":
    main()
