"""Writes the text-to-text tasks of the adaptation stage: FOLDER/adaptation/NAME.tsv.

    python scripts/pocket_t5/make_adaptation.py [--folder build/pocket_t5] [--rows 40000]

Columns `inputs` and `targets`, rows in random order, at most --rows a task and no input
twice. What the tasks are: `adaptation_words.py` and `adaptation_texts.py`; how they are
put: `adaptation_phrasings.py`. Run `make_corpus.py` first (its heldout.txt is kept out here).
"""

import argparse
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from adaptation_material import Material, Row
from adaptation_phrasings import PHRASINGS
from adaptation_texts import TEXT_TASKS
from adaptation_words import WORD_TASKS

LONGEST_INPUT = 60  # words
LONGEST_TARGET = 40
PASSES = 2  # over a task's items, with new phrasings and negatives


def task_rows(
    task: Callable[..., Row | None], items: list, material: Material, count: int
) -> dict[str, str]:
    """Input -> target."""
    rng = random.Random(task.__name__)
    rows: dict[str, str] = {}
    items = list(items)
    for _ in range(PASSES):
        rng.shuffle(items)
        for item in items:
            if len(rows) == count:
                return rows
            row = task(item, material, rng)
            pattern, labels = rng.choice(PHRASINGS[task.__name__])
            if row:
                fields, answer = row
                inputs = pattern.format(**fields)
                target = answer if labels is None else labels[answer]
                if len(inputs.split()) <= LONGEST_INPUT and len(target.split()) <= LONGEST_TARGET:
                    rows.setdefault(inputs, target)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/pocket_t5"))
    parser.add_argument("--rows", type=int, default=40_000)
    arguments = parser.parse_args()
    material = Material(arguments.folder)
    output = arguments.folder / "adaptation"
    output.mkdir(parents=True, exist_ok=True)
    pools = {**WORD_TASKS, **TEXT_TASKS}
    for pool, task in ((pool, task) for pool, tasks in pools.items() for task in tasks):
        name = task.__name__
        rows = list(task_rows(task, getattr(material, pool), material, arguments.rows).items())
        random.Random(name).shuffle(rows)
        lines = ["inputs\ttargets", *("\t".join(row) for row in rows)]
        (output / f"{name}.tsv").write_text("\n".join(lines) + "\n")
        frequent = Counter(target for _, target in rows).most_common(4)
        words = sum(len(inputs.split()) for inputs, _ in rows) / len(rows)
        print(f"{name}: {len(rows)} rows, {words:.0f} words an input; {frequent}", flush=True)


if __name__ == "__main__":
    main()
