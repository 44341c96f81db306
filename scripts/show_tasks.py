"""Shows what a task looks like to the model: examples as text and as tokens, lengths, truncation.

    python scripts/show_tasks.py spam
    python scripts/show_tasks.py super_glue_boolq_v102 --data_dir superglue --lengths 512 8

--vocabulary is a SentencePiece model, or "bytes" for ByT5's; without it that of the shipped T5.
"""

import argparse

import numpy as np

from prompt_tuning import models
from prompt_tuning.data import find_task
from prompt_tuning.data import tasks
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.data.examples import DataError

PERCENTILES = (0, 50, 90, 95, 99, 100)
WHOLE = 1 << 20  # longer than any example


def read_vocabulary(path: str | None) -> vocabularies.Vocabulary:
    if path is None:
        return models.PretrainedModel("pocket_t5").describe().vocabulary
    if path == "bytes":
        return vocabularies.ByteVocabulary()
    return vocabularies.SentencePieceVocabulary(path)


def members(task: tasks.Task) -> list[tasks.ExamplesTask]:
    """The task, or all tasks of a mixture. A text has no examples to show."""
    if isinstance(task, tasks.MixtureTask):
        return [part for member in task.tasks.values() for part in members(member)]
    return [task] if isinstance(task, tasks.ExamplesTask) else []


def show(task: tasks.ExamplesTask, vocabulary: vocabularies.Vocabulary, args) -> None:
    examples = tasks.load_examples(task, args.split, vocabulary, WHOLE, WHOLE)
    print(f"\n== {task.name}, {args.split}: {len(examples):,} examples")
    limits = dict(zip(("inputs", "targets"), args.lengths))
    for side, limit in limits.items():
        lengths = getattr(examples, side).lengths
        shares = ", ".join(
            f"{percentile}%: {length:.0f}"
            for percentile, length in zip(PERCENTILES, np.percentile(lengths, PERCENTILES))
        )
        print(f"{side} in tokens: {shares}; longer than {limit}: {np.mean(lengths > limit):.1%}")
    for i in range(min(args.count, len(examples))):
        print(f"\n-- {examples.ids[i]}")
        for side, limit in limits.items():
            tokens = getattr(examples, side)[i]
            pieces = " ".join(vocabulary.piece(int(token)) for token in tokens[:limit])
            print(f"{side} ({len(tokens)} tokens): {examples.fields[i][side]}")
            print(f"  {pieces}{' ...' if len(tokens) > limit else ''}")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task", help="MIXTURE_OR_TASK_NAME")
    parser.add_argument("--module", help="MIXTURE_OR_TASK_MODULE")
    parser.add_argument("--data_dir", help="a folder with a benchmark's files")
    parser.add_argument("--tfds_data_dir")
    parser.add_argument("--vocabulary")
    parser.add_argument("--split", default="train")
    parser.add_argument("--count", type=int, default=2, help="examples to show")
    parser.add_argument(
        "--lengths", type=int, nargs=2, default=[512, 62], metavar=("INPUTS", "TARGETS")
    )
    args = parser.parse_args()
    try:
        task = find_task.find_task(
            args.task, args.module, data_dir=args.data_dir, tfds_data_dir=args.tfds_data_dir
        )
        shown = [member for member in members(task) if args.split in member.splits]
        if not shown:
            raise DataError(
                f"{task.name} has no examples in {args.split!r}, only in {list(task.splits)}"
            )
        for member in shown:
            show(member, read_vocabulary(args.vocabulary), args)
    except (DataError, OSError) as error:
        parser.error(str(error))


if __name__ == "__main__":
    main()
