"""Writes a SuperGLUE leaderboard submission from one prompt a task.

    python scripts/superglue_submission.py --model t5_xxl --data_dir superglue --out submission \
      --prompt boolq=runs/boolq --prompt cb=runs/cb --prompt copa=runs/copa \
      --prompt multirc=runs/multirc --prompt record=runs/record --prompt rte=runs/rte \
      --prompt wic=runs/wic --prompt wsc=runs/wsc

The folder then holds the eight tasks' files and those of the diagnostics AX-b and AX-g, which RTE's
prompt answers, and submission.zip with all of them, to be uploaded. Labels are ranked, so that every
prediction is one; ReCoRD and WSC are decoded greedily.
"""

import argparse
import json
import pathlib
import zipfile

import prompt_tuning as pt
from prompt_tuning import atomic
from prompt_tuning.checkpoints import learned
from prompt_tuning.data import shipped
from prompt_tuning.data import tasks
from prompt_tuning.data.benchmarks import submission
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import soft_prompt
from prompt_tuning.training import sharding

PROMPTS = tuple(dict.fromkeys(sheet.prompt for sheet in submission.SHEETS))


def predictions(model, prompt_file, task, args) -> list[predict.Prediction]:
    """Of the whole test split, in its order."""
    lengths = args.inputs_length, args.targets_length
    length = len(pt.read_prompt(prompt_file))
    adapted = learned.adapt(model, soft_prompt.SoftPrompt(length), prompt_file)
    layout = sharding.Layout()
    mesh = layout.mesh()
    predictor = predict.Predictor(
        adapted.network,
        model.vocabulary,
        args.batch_size,
        *lengths,
        sharding=sharding.batch_rows(mesh),
        decoder=decoders.RankLabels() if task.label_texts else decoders.Greedy(),
        labels=task.label_texts,
    )
    examples = tasks.load_examples(task, "test", model.vocabulary, *lengths)
    return list(predictor(layout.put_params(adapted.network, adapted.params, mesh), examples))


def named(argument: str) -> tuple[str, str]:
    name, _, path = argument.partition("=")
    if name not in PROMPTS or not path:
        raise argparse.ArgumentTypeError(f"expected TASK=PATH, a task of {', '.join(PROMPTS)}")
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", required=True, help="folder or name of the frozen model")
    parser.add_argument("--prompt", type=named, action="append", default=[], metavar="TASK=PATH")
    parser.add_argument("--data_dir", help="the benchmark's files; without it TFDS has them")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--name_prefix", default="", help="of the tasks' names: taskless_, byt5_")
    parser.add_argument("--inputs_length", type=int, default=512)
    parser.add_argument("--targets_length", type=int, default=32)
    parser.add_argument("--batch_size", type=int, default=32)
    args = parser.parse_args()
    prompts = dict(args.prompt)
    if missing := [name for name in PROMPTS if name not in prompts]:
        parser.error(f"a submission has all tasks: add --prompt for {', '.join(missing)}")
    found = {
        sheet: shipped.find_task(args.name_prefix + sheet.benchmark, data_dir=args.data_dir)
        for sheet in submission.SHEETS
    }
    model = pt.load_model(args.model)
    with (
        atomic.writing(args.out / "submission.zip") as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for sheet, task in found.items():
            rows = predictions(model, prompts[sheet.prompt], task, args)
            text = "".join(f"{json.dumps(line)}\n" for line in sheet.lines(rows))
            (args.out / sheet.file).write_text(text, encoding="utf-8")
            archive.write(args.out / sheet.file, sheet.file)
            print(f"{sheet.file}: {len(rows)} predictions", flush=True)
    print(f"Written to {args.out}")


if __name__ == "__main__":
    main()
