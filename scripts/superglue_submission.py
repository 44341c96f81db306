r"""Writes a SuperGLUE leaderboard submission from one prompt a task.

    python scripts/superglue_submission.py --model t5_xxl --data_dir superglue --out submission \
      --prompt boolq=runs/boolq --prompt cb=runs/cb --prompt copa=runs/copa \
      --prompt multirc=runs/multirc --prompt record=runs/record --prompt rte=runs/rte \
      --prompt wic=runs/wic --prompt wsc=runs/wsc

The folder then holds the eight tasks' files and those of the diagnostics AX-b and AX-g, which RTE's
prompt answers, and submission.zip with all of them, to be uploaded. Labels are ranked, so that every
prediction is one; ReCoRD and WSC are decoded greedily. T5X's weights need their --vocabulary_file, and
--extra_ids 0 where it has the sentinels in it, as cc_all.32000.100extra has.
"""

import argparse
import dataclasses
import json
import pathlib
import zipfile

from checkpoints import common
import prompt_tuning as pt
from prompt_tuning import models
from prompt_tuning import atomic
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import examples
from prompt_tuning.data import tasks
from prompt_tuning.data.benchmarks import submission
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import learned
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files as prompt_files
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import network
from prompt_tuning.training import sharding

STACKS = ("encoder", "decoder")
PROMPTS = tuple(dict.fromkeys(sheet.prompt for sheet in submission.SHEETS))


@dataclasses.dataclass(frozen=True)
class Part:
    """A task's part, with all that can be wrong about it already read."""

    sheet: submission.Sheet
    task: tasks.ExamplesTask
    examples: examples.Examples
    adapted: learned.Adapted


def method_of(prompt: str, location: str) -> soft_prompt.SoftPrompt:
    """The method that takes the prompts found there, whatever their lengths and stacks."""
    found = prompt_files.read_prompts(model_dirs.find_learned(prompt)).arrays
    lengths = {stack: len(found.get(prompt_files.parameter(stack), ())) for stack in STACKS}
    return soft_prompt.SoftPrompt(
        lengths["encoder"], location=location, decoder_length=lengths["decoder"]
    )


def prepare(sheet: submission.Sheet, model: weights.FrozenModel, prompt: str, args) -> Part:
    method = method_of(prompt, args.location)
    task = pt.find_task(
        args.name_prefix + sheet.benchmark,
        data_dir=args.data_dir,
        tfds_data_dir=args.tfds_data_dir,
    )
    lengths = args.inputs_length, args.targets_length
    test = tasks.load_examples(task, "test", model.vocabulary, *lengths)
    return Part(sheet, task, test, learned.adapt(model, method, prompt))


def lines(part: Part, model: weights.FrozenModel, args) -> list[str]:
    """The file's lines, for the whole test split."""
    layout = sharding.Layout(args.model_parallel)
    mesh, adapted, labels = layout.mesh(), part.adapted, part.task.label_texts
    predictor = predict.Predictor(
        adapted.network,
        model.vocabulary,
        args.batch_size,
        args.inputs_length,
        args.targets_length,
        mesh=mesh,
        decoder=decoders.RankLabels() if labels else decoders.Greedy(),
        labels=labels,
    )
    params = layout.put_params(adapted.network, adapted.params, mesh)
    predictions = list(predictor(params, part.examples))
    return [json.dumps(line) for line in part.sheet.lines(predictions, model.vocabulary)]


def placed(args) -> weights.FrozenModel:
    """The frozen model on its devices, once for all tasks."""
    layout = sharding.Layout(args.model_parallel)
    mesh = layout.mesh()
    described = models.PretrainedModel(
        args.model, args.dtype, vocabulary_file=args.vocabulary_file, extra_ids=args.extra_ids
    )
    model = layout.bind(described.load(), mesh)
    params = layout.put_params(network.T5(model.config), model.params, mesh)
    return dataclasses.replace(model, params=params)


def named(argument: str) -> tuple[str, str]:
    name, _, path = argument.partition("=")
    if name not in PROMPTS or not path:
        raise argparse.ArgumentTypeError(f"expected TASK=PATH, a task of {', '.join(PROMPTS)}")
    return name, path


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--model", required=True, help="folder, gs:// address or name of the frozen model"
    )
    common.add_vocabulary(parser)
    parser.add_argument("--dtype", default="float32", choices=t5_config.DTYPES)
    parser.add_argument(
        "--model_parallel", type=int, default=1, help="devices that share each frozen weight"
    )
    parser.add_argument(
        "--prompt",
        type=named,
        action="append",
        default=[],
        metavar="TASK=PATH",
        help="one for each task: a prompt file, a folder of an encoder and a decoder prompt, or a "
        "run's MODEL_DIR, of which the best is taken",
    )
    parser.add_argument("--data_dir", help="the benchmark's files; without it TFDS has them")
    parser.add_argument("--tfds_data_dir")
    parser.add_argument("--location", default="front", help="of encoder prompts in the input")
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--name_prefix", default="", help="of the tasks' names: taskless_, byt5_")
    parser.add_argument("--inputs_length", type=int, default=512)
    parser.add_argument("--targets_length", type=int, default=32)
    parser.add_argument("--batch_size", type=int, default=32)
    args = parser.parse_args()
    prompts = dict(args.prompt)
    if missing := [name for name in PROMPTS if name not in prompts]:
        parser.error(f"a submission has all tasks: add --prompt for {', '.join(missing)}")
    try:
        model = placed(args)
        parts = [prepare(sheet, model, prompts[sheet.prompt], args) for sheet in submission.SHEETS]
    except (ValueError, OSError) as error:
        parser.error(str(error))
    with (
        atomic.writing(args.out / "submission.zip") as partial,
        zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive,
    ):
        for part in parts:
            found = lines(part, model, args)
            archive.writestr(part.sheet.file, "".join(f"{line}\n" for line in found))
            print(f"{part.sheet.file}: {len(found)} lines", flush=True)
    with zipfile.ZipFile(args.out / "submission.zip") as archive:
        archive.extractall(args.out)
    print(f"Written to {args.out}")


if __name__ == "__main__":
    main()
