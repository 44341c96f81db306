"""A frozen T5 goes from useless to good at a task: run by scripts/demo.sh, which installs what it needs.

Trains a prompt on the model that ships with the project, then tunes all of the model for comparison,
and shows test scores, predictions, the prompt's nearest vocabulary neighbours and learning curves.
"""

import argparse
import json
import pathlib
import time

from matplotlib import pyplot

import measure_tasks
import prompt_tuning as pt
from prompt_tuning.data import tables
from prompt_tuning.data import shipped
from prompt_tuning.prompts import neighbors


def learning_curve(run: pathlib.Path) -> tuple[list[int], list[float]]:
    """Steps and validation accuracies that a run logged."""
    lines = [json.loads(line) for line in (run / "scalars.jsonl").read_text().splitlines()]
    points = {line["step"]: line["eval/accuracy"] for line in lines if "eval/accuracy" in line}
    return list(points), list(points.values())


def plot(runs: dict[str, pathlib.Path], levels: dict[str, float], file: pathlib.Path) -> None:
    figure, axes = pyplot.subplots(figsize=(7, 4.5))
    for name, run in runs.items():
        axes.plot(*learning_curve(run), marker="o", label=name)
    for style, (name, level) in zip((":", "--"), levels.items()):
        axes.axhline(level, color="gray", linestyle=style, label=f"{name} (test)")
    axes.set(xlabel="step", ylabel="validation accuracy (%)", ylim=(0, 100))
    axes.legend()
    figure.tight_layout()
    figure.savefig(file, dpi=120)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--task", default="gloss_category", choices=list(measure_tasks.LENGTHS))
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/demo"))
    args = parser.parse_args()
    out, started = args.out / args.task, time.monotonic()
    model = pt.load_model("pocket_t5")
    lengths = measure_tasks.LENGTHS[args.task]

    print(f"1/3  The frozen model alone, on the test split of {args.task}")
    scores = {"majority class": measure_tasks.majority(args.task)}
    scores["frozen model, no prompt"] = measure_tasks.frozen(model, args.task, out / "frozen")[
        "accuracy"
    ]
    runs = {}
    for number, (method, name) in enumerate(
        {"prompt": "prompt tuning", "model": "model tuning"}.items(), 2
    ):
        print(f"{number}/3  {name.capitalize()}, {args.steps} steps")
        runs[name] = out / method
        scores[name] = measure_tasks.run(model, args.task, method, 0, args.steps, runs[name])[
            "accuracy"
        ]

    prompt = pt.read_prompt(runs["prompt tuning"])
    rows = [
        row
        for _, row in tables.read_table(
            shipped.FOLDER / args.task / "test.tsv", ["inputs", "targets"]
        )
    ][:8]
    predictions = pt.predict(
        model, prompt, [row["inputs"] for row in rows], task_feature_lengths=lengths
    )
    print("\nSome test examples (target, what the prompted model says, input):")
    for row, prediction in zip(rows, predictions):
        print(f"  {row['targets']:<10} {prediction:<10} {row['inputs'][:90]}")
    print("\nNearest vocabulary pieces of the prompt's first rows (cosine similarity):")
    print(neighbors.format_table(neighbors.nearest(prompt[:10], model.table, model.vocabulary)))

    curve = out / "learning_curve.png"
    plot(runs, {name: scores[name] for name in list(scores)[:2]}, curve)
    parameters = sum(x.size for x in model.params.values())
    trained = {
        "prompt tuning": f"{prompt.size:,} numbers",
        "model tuning": f"{parameters:,} numbers",
    }
    print(f"\nTest accuracy on {args.task} (%), after {time.monotonic() - started:.0f} s:")
    for name, value in scores.items():
        print(f"  {name:<26} {value:5.1f}   {trained.get(name, '')}")
    print(
        f"\nThe prompt: {runs['prompt tuning'] / 'best'}   learning curves: {curve}   everything: {args.out}/"
    )


if __name__ == "__main__":
    main()
