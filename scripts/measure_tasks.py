"""Prompt tuning beside model tuning, the frozen model and the majority class, on test splits.

    python scripts/measure_tasks.py --tasks gloss_category spam --seeds 0 1 2

Each run keeps the prompt (or model) that was best on validation and scores it once on the whole test
split. Prints one JSON line a run and a table at the end. Runs that are found in --out are not done
again. TF-IDF with logistic regression, for the same splits, is scripts/pocket_t5/tfidf_baseline.py.
"""

import argparse
import collections
import json
import pathlib
import statistics

import prompt_tuning as pt
from prompt_tuning import eval as evaluation
from prompt_tuning import train
from prompt_tuning.data import shipped
from prompt_tuning.data import tables
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import model_tuning
from prompt_tuning.training import optimizers

LENGTHS = {
    "gloss_category": {"inputs": 48, "targets": 4},
    "spam": {"inputs": 128, "targets": 4},
    "verse_paraphrase": {"inputs": 96, "targets": 4},
    "word_in_context": {"inputs": 48, "targets": 4},
}
METHODS = ("prompt", "model")


def majority(task_name: str) -> float:
    """Test accuracy, in percent, of the label that is most frequent in training."""
    columns = {
        split: [
            row["targets"]
            for _, row in tables.read_table(
                shipped.FOLDER / task_name / f"{split}.tsv", ["targets"]
            )
        ]
        for split in ("train", "test")
    }
    label, _ = collections.Counter(columns["train"]).most_common(1)[0]
    return 100 * columns["test"].count(label) / len(columns["test"])


def run(model, task_name: str, method: str, seed: int, steps: int, folder: pathlib.Path) -> dict:
    """Trains and returns the test scores of what was best on validation."""
    task, lengths = pt.shipped_task(task_name), LENGTHS[task_name]
    options = dict(model_dir=folder, task_feature_lengths=lengths, seed=seed, eval_period=50)
    if method == "prompt":
        pt.train_prompt(model, task, steps=steps, **options)
        return pt.score(model, pt.read_prompt(folder), task, task_feature_lengths=lengths)
    train.train(
        model,
        model_tuning.ModelTuning(),
        task,
        train_steps=steps,
        optimizer=optimizers.adamw(
            optimizers.warmup_cosine(1e-3, warmup_steps=min(10, steps // 2), steps=steps),
            weight_decay=0.0,
        ),
        save_period=steps,
        **options,
    )
    tuned = pt.load_model(folder / "best")
    return pt.score(tuned, None, task, task_feature_lengths=lengths)


def frozen(model, task_name: str, folder: pathlib.Path) -> dict:
    return evaluation.evaluate(
        model,
        methods.Method(),
        pt.shipped_task(task_name),
        output_dir=folder,
        split="test",
        task_feature_lengths=LENGTHS[task_name],
    )


def measured(file: pathlib.Path, measure) -> dict:
    """What `file` says, or what `measure()` gives, which is then written there."""
    if not file.exists():
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(measure()))
    return json.loads(file.read_text())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="pocket_t5", help="folder or name of the frozen model")
    parser.add_argument("--tasks", nargs="+", default=list(LENGTHS), choices=list(LENGTHS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--seeds", nargs="+", type=int, default=[0, 1, 2])
    parser.add_argument("--steps", type=int, default=600)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("runs/measure"))
    args = parser.parse_args()
    model = pt.load_model(args.model)
    table = []
    for task in args.tasks:
        row = [task, f"{majority(task):.1f}"]
        scores = measured(
            args.out / task / "frozen.json", lambda: frozen(model, task, args.out / task / "frozen")
        )
        row.append(f"{scores['accuracy']:.1f}")
        for method in args.methods:
            accuracies = []
            for seed in args.seeds:
                folder = args.out / task / f"{method}_{args.steps}_{seed}"
                scores = measured(
                    folder.with_suffix(".json"),
                    lambda: (
                        {"steps": args.steps} | run(model, task, method, seed, args.steps, folder)
                    ),
                )
                print(
                    json.dumps({"task": task, "method": method, "seed": seed} | scores), flush=True
                )
                accuracies.append(scores["accuracy"])
            spread = statistics.stdev(accuracies) if len(accuracies) > 1 else 0.0
            row.append(f"{statistics.mean(accuracies):.1f} ± {spread:.1f}")
        table.append(row)
    print("| task | majority | frozen | " + " | ".join(args.methods) + " |")
    print("|---|" + "--:|" * (2 + len(args.methods)))
    for row in table:
        print("| " + " | ".join(row) + " |")


if __name__ == "__main__":
    main()
