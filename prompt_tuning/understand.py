"""What learned prompts are like: a table on the terminal, and an HTML report with plots.

    python -m prompt_tuning.understand spam=runs/spam verses=runs/verses --model pocket_t5 --out prompts.html
    python -m prompt_tuning.understand runs/spam --model pocket_t5 --task spam --out spam.html
    python -m prompt_tuning.understand rte.npy --embedding_file table.npy --vocabulary_file spiece.model \\
      --labels entailment not_entailment --out rte.html

Nearest vocabulary pieces, beside those of random vectors; how many are distinct, how alike, and whether
they are the labels'; how alike several prompts are; norms, over the training of a run, too; with a model
and a task, the share of attention on the prompt by layer. `understand` is plain Python.
"""

import argparse
from collections.abc import Mapping, Sequence
import pathlib

from prompt_tuning import api
from prompt_tuning import checks
from prompt_tuning import models
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import files as data_files
from prompt_tuning.data import find_task
from prompt_tuning.data import tables as data_tables
from prompt_tuning.data import tasks
from prompt_tuning.prompts import files
from prompt_tuning.understanding import attention
from prompt_tuning.understanding import control as controls
from prompt_tuning.understanding import findings
from prompt_tuning.understanding import subjects
from prompt_tuning.understanding import tables


def understand(
    prompts: Mapping[str, files.Path],
    base: subjects.Base,
    *,
    report_file: files.Path | None = None,
    labels: Sequence[str] | None = None,
    task: tasks.Task | None = None,
    split: str = "validation",
    task_feature_lengths: Mapping[str, int] = api.LENGTHS,
    max_examples: int | None = 256,
    batch_size: int = 32,
    control: str = "norms",
    any_base_model: bool = False,
    seed: int = 0,
) -> findings.Findings:
    """Looks at prompts, and writes a report of what it finds.

    Args:
      prompts: name -> prompt file, folder of one, or MODEL_DIR of a run, of which the best is taken;
        P-Tuning's, WARP's and soft words' among them, of which the input's rows are looked at.
      base: the frozen model, or its table and vocabulary.
      report_file: an HTML file, for which matplotlib is needed; None for no report.
      labels: looked for among the nearest pieces; None for the task's.
      task: whose examples attention is looked at over; None for no look at attention.
      split: of the task.
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens.
      max_examples: a fixed random part of the split; None for all of it.
      batch_size: B, examples at once over all devices.
      control: what random vectors keep of the prompt's rows: "norms", or each dimension's mean and
        standard deviation ("dimensions").
      any_base_model: take prompts that say they were trained on another base model.
      seed: of the control.

    Raises:
      ImportError: matplotlib is not installed.
      ValueError: a prompt does not fit the base, or attention is asked for without a model.
      OSError: nothing can be written where the report is to be; before anything is computed.
    """
    if not prompts:
        raise ValueError("There is nothing to look at: give at least one prompt.")
    if report_file is not None:
        from prompt_tuning.understanding import report  # brings matplotlib

        checks.writable_file(report_file, "report_file (--out)")
        if pathlib.Path(report_file).suffix != ".html":
            raise ValueError(f"report_file (--out) must end in .html, found {report_file}.")
    mass = None
    read = [subjects.read_subject(*named, base, any_base_model) for named in prompts.items()]
    if task is not None:
        if not isinstance(base, weights.FrozenModel):
            raise ValueError(
                "Attention is the model's, and an embedding table is none: give --model, or leave "
                "--task out."
            )
        _ = [subject.method for subject in read]  # attention has a place for
        mass = attention.AttentionMass(
            base,
            task,
            split,
            task_feature_lengths,
            batch_size=batch_size,
            max_examples=max_examples,
        )
        labels = getattr(task, "label_texts", None) if labels is None else labels
    found = findings.find(read, base, labels=labels or (), kind=control, seed=seed, mass=mass)
    if report_file is not None:
        report.write(report_file, found)
    return found


def main(argv: Sequence[str] | None = None) -> None:
    """The command line; exits with 1, and a line, where something is wrong with what it was given."""
    parser = _parser()
    args = parser.parse_args(argv)
    try:
        found = understand(
            _named(args.prompts),
            _base(args),
            report_file=args.out,
            labels=args.labels,
            task=args.task and _task(args),
            split=args.split,
            task_feature_lengths=dict(zip(("inputs", "targets"), args.lengths)),
            max_examples=args.max_examples,
            batch_size=args.batch_size,
            control=args.control,
            any_base_model=args.any_base_model,
            seed=args.seed,
        )
    except (ValueError, OSError, ImportError) as error:
        parser.exit(1, f"Error: {' '.join(str(error).split())}\n")
    print(*tables.texts(found), sep="\n\n")
    print(f"\nControl: {controls.KINDS[found.control]}.\nReport: {args.out}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m prompt_tuning.understand",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "prompts",
        nargs="+",
        metavar="[NAME=]PROMPT_FILE",
        help="a prompt in any form, or the MODEL_DIR of a run; the report calls it NAME",
    )
    parser.add_argument("--out", required=True, metavar="FILE", help="the report, .html")
    base = parser.add_mutually_exclusive_group(required=True)
    base.add_argument("--model", metavar="PATH", help="as INITIAL_CHECKPOINT_PATH")
    base.add_argument(
        "--embedding_file", metavar="FILE", help=".npy table [V, D], in place of a model"
    )
    parser.add_argument(
        "--vocabulary_file",
        metavar="FILE",
        help="with --embedding_file, or a model that brings none (T5X): a SentencePiece model, a "
        'shipped model\'s name for its own, or "bytes" for ByT5',
    )
    parser.add_argument(
        "--extra_ids", type=int, metavar="N", help="sentinels behind its pieces (100; bytes: 0)"
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "bfloat16"),
        default="float32",
        help="of the model's weights in memory (float32)",
    )
    parser.add_argument(
        "--labels", nargs="+", help="texts to look for among the neighbours (the task's)"
    )
    parser.add_argument(
        "--control", choices=list(controls.KINDS), default="norms", help="what it keeps (norms)"
    )
    parser.add_argument("--seed", type=int, default=0, help="of the control")
    parser.add_argument("--any_base_model", action="store_true", help="take prompts of another")
    look = parser.add_argument_group("attention")
    look.add_argument(
        "--task",
        help="as MIXTURE_OR_TASK_NAME, or a table (.tsv, .csv, .jsonl) with columns inputs and targets",
    )
    look.add_argument("--split", default="validation", help="of a task by name (validation)")
    look.add_argument("--data_dir", metavar="FOLDER", help="with a benchmark's files")
    look.add_argument(
        "--lengths",
        nargs=2,
        type=int,
        metavar=("T", "L"),
        default=list(api.LENGTHS.values()),
        help="tokens of inputs and targets, longer ones are cut (%(default)s)",
    )
    look.add_argument("--max_examples", type=int, default=256, metavar="N", help="at most (256)")
    look.add_argument("--batch_size", type=int, default=32, metavar="B", help="at once (32)")
    return parser


def _named(given: Sequence[str]) -> dict[str, str]:
    """Paths by name; one that is there as it stands has no name but itself."""
    found = {}
    for text in given:
        name, separator, path = text.partition("=")
        if not separator or pathlib.Path(text).exists():
            name, path = text, text
        if name in found:
            raise ValueError(f"Two prompts are called {name!r}: give them as NAME=PATH.")
        found[name] = path
    return found


def _base(args: argparse.Namespace) -> subjects.Base:
    if args.model is not None:
        return models.PretrainedModel(
            args.model,
            args.dtype,
            vocabulary_file=args.vocabulary_file,
            extra_ids=args.extra_ids,
        ).load()
    if args.vocabulary_file is None:
        raise ValueError("--embedding_file needs its vocabulary: give --vocabulary_file.")
    return subjects.read_embeddings(args.embedding_file, args.vocabulary_file, args.extra_ids)


def _task(args: argparse.Namespace) -> tasks.Task:
    path = pathlib.Path(args.task)
    if data_tables.is_table(path):
        return data_files.FilesTask(path.name, {args.split: str(path)})
    return find_task.find_task(args.task, data_dir=args.data_dir)


if __name__ == "__main__":
    main()
