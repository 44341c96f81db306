"""Writes shipped tasks in the layout that SuperGLUE's own download unpacks to.

    python scripts/make_superglue_format.py build/superglue_format
    python -m prompt_tuning.train --gin_file=models/pocket_t5.gin --gin_file=tasks/super_glue.gin \
      --gin.MIXTURE_OR_TASK_NAME=super_glue_rte_v102 --gin.DATA_DIR=build/superglue_format \
      --gin.MODEL_DIR=runs/rte --gin.TRAIN_STEPS=300

The same code path as for the real benchmark then reads, trains and scores them:
- RTE: a King James verse, and a World English one that says the same or does not (verse_paraphrase);
- WiC: a word in two phrases (word_in_context);
- BoolQ: the verses of RTE again, as a passage and a question with another pair of labels.
The test splits keep their labels, which the benchmark's do not have.
"""

import argparse
from collections.abc import Callable
import json
import pathlib

from prompt_tuning.data import shipped
from prompt_tuning.data import tables

SPLITS = {"train": "train", "validation": "val", "test": "test"}


def rte(inputs: str, target: str) -> dict:
    premise, hypothesis = inputs.split(" | ", maxsplit=1)
    label = "entailment" if target == "same" else "not_entailment"
    return {"premise": premise, "hypothesis": hypothesis, "label": label}


def wic(inputs: str, target: str) -> dict:
    word, _, phrases = inputs.partition(": ")
    first, second = phrases.split(" | ", maxsplit=1)
    return {"word": word, "sentence1": first, "sentence2": second, "label": target == "same"}


def boolq(inputs: str, target: str) -> dict:
    passage, statement = inputs.split(" | ", maxsplit=1)
    return {"passage": passage, "question": f"does it say {statement}", "label": target == "same"}


SOURCES: dict[str, tuple[str, Callable[[str, str], dict]]] = {
    "RTE": ("verse_paraphrase", rte),
    "WiC": ("word_in_context", wic),
    "BoolQ": ("verse_paraphrase", boolq),
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=pathlib.Path)
    folder = parser.parse_args().folder
    for task, (source, row_of) in SOURCES.items():
        (folder / task).mkdir(parents=True, exist_ok=True)
        for split, name in SPLITS.items():
            table = shipped.FOLDER / source / f"{split}.tsv"
            rows = [row for _, row in tables.read_table(table, ["inputs", "targets"])]
            lines = [
                json.dumps(row_of(row["inputs"], row["targets"]) | {"idx": number})
                for number, row in enumerate(rows)
            ]
            (folder / task / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
            print(f"{folder / task / name}.jsonl: {len(lines):,} rows")


if __name__ == "__main__":
    main()
