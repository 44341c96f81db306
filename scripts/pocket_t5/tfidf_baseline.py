"""Majority class and TF-IDF + logistic regression on the shipped labelled tasks.

    python scripts/pocket_t5/tfidf_baseline.py [--tasks prompt_tuning/assets/tasks]

Prints one JSON line a task, with accuracies on the test split. Words and pairs of words
of the whole input (pair tasks get no feature of their own); the regularisation is chosen
on the validation split. What a prompt is worth is read beside these figures. Needs
scikit-learn (the `[test]` extra).
"""

import argparse
import csv
import json
from collections import Counter
from pathlib import Path

from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline

REGULARISATIONS = (0.1, 1.0, 10.0, 100.0)


def read_split(file: Path) -> tuple[list[str], list[str]]:
    with open(file, encoding="utf-8", newline="") as lines:
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    return [row["inputs"] for row in rows], [row["targets"] for row in rows]


def baselines(task: Path) -> dict[str, object]:
    """Test accuracies of the most frequent training label and of the linear model."""
    train, validation, test = (
        read_split(task / f"{split}.tsv") for split in ("train", "validation", "test")
    )
    models = [_model(regularisation).fit(*train) for regularisation in REGULARISATIONS]
    model = max(models, key=lambda model: model.score(*validation))
    majority, _ = Counter(train[1]).most_common(1)[0]
    return {
        "task": task.name,
        "test_rows": len(test[1]),
        "majority": round(test[1].count(majority) / len(test[1]), 4),
        "tfidf_logistic_regression": round(model.score(*test), 4),
        "regularisation": model[-1].C,
    }


def _model(regularisation: float):
    features = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True)
    return make_pipeline(features, LogisticRegression(C=regularisation, max_iter=2000))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--tasks", type=Path, default=Path("prompt_tuning/assets/tasks"))
    for task in sorted(path for path in parser.parse_args().tasks.iterdir() if path.is_dir()):
        print(json.dumps(baselines(task)), flush=True)


if __name__ == "__main__":
    main()
