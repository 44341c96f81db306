"""From the start of a process to the end of its first training step: ours, and PEFT's, in turns.

    python scripts/benchmarks/first_step.py --size base --peer_python /path/to/python

Whole processes. Ours is `python -m prompt_tuning.train` with its gin files, its data and a model on
disk: once with an empty compilation cache ("ours_cold"), once more with what that run left there
("ours_warm"). PEFT's loads the same folder, and has neither text to tokenise nor files to write.
One JSON line a system, then one of ratios: above 1, ours is faster.
"""

import argparse
import dataclasses
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

import common
import ours
import peft_child
from prompt_tuning import models
from prompt_tuning.checkpoints import hugging_face
from prompt_tuning.t5 import config as t5_config

DONE = "step 1/1 "  # what training prints when the step has been taken
GIN_FILES = "runs/prompt_finetune", "prompts/uniform", "tasks/files"
VOCABULARY = "pocket_t5"


def main() -> None:
    args = common.parser(__doc__).parse_args()
    config = ours.config_of(args.size, dtype=args.dtype)
    with tempfile.TemporaryDirectory() as folder:
        rounds = _rounds(args, config, pathlib.Path(folder))
    for name, seconds in rounds.items():
        common.show(system=name, **common.summary(seconds))
    ratios = {}
    for mine in ("ours_cold", "ours_warm"):
        compared = {name: rounds[name] for name in rounds if name in ("peft", mine)}
        ratios |= common.ratios(compared, mine)
    common.show(ratios=ratios, settings=vars(args), machine=common.machine())


def _rounds(
    args: argparse.Namespace, config: t5_config.T5Config, folder: pathlib.Path
) -> dict[str, common.Rounds]:
    """Seconds of each system's processes, one a round."""
    vocabulary = models.read_vocabulary(VOCABULARY)
    hugging_face.write_hugging_face(
        folder / "model", config, ours.random_params(config), vocabulary, dtype=args.dtype
    )
    _write_data(folder / "data.tsv", args)
    rounds = {"ours_cold": [], "ours_warm": []} | ({"peft": []} if args.peer_python else {})
    for _ in range(args.rounds):
        shutil.rmtree(folder / "cache", ignore_errors=True)
        for name, seconds in rounds.items():
            run = _peft(args, config, folder) if name == "peft" else _ours(args, folder)
            seconds.append([run])
    return rounds


def _write_data(file: pathlib.Path, args: argparse.Namespace) -> None:
    """A batch of texts that are as long as they can be."""
    text = "word " * args.inputs
    file.write_text("inputs\ttargets\n" + f"{text}\tyes\n" * args.batch)


def _ours(args: argparse.Namespace, folder: pathlib.Path) -> float:
    shutil.rmtree(folder / "run", ignore_errors=True)
    lengths = {"inputs": args.inputs, "targets": args.targets}
    values = {
        "INITIAL_CHECKPOINT_PATH": str(folder / "model"),
        "MODEL_DIR": str(folder / "run"),
        "DATA_FILES": {"train": str(folder / "data.tsv")},
        "TASK_FEATURE_LENGTHS": lengths,
        "BATCH_SIZE": args.batch,
        "PROMPT_LENGTH": args.prompt_length,
        "DROPOUT_RATE": 0.0,
        "DTYPE": args.dtype,
        "TRAIN_STEPS": 1,
        "EVAL_PERIOD": None,
    }
    start = time.perf_counter()
    with subprocess.Popen(
        [
            *(sys.executable, "-m", "prompt_tuning.train"),
            *(f"--gin_file={file}.gin" for file in GIN_FILES),
            *(f"--gin.{name}={value!r}" for name, value in values.items()),
        ],
        stdout=subprocess.PIPE,
        text=True,
        env=common.environment(JAX_COMPILATION_CACHE_DIR=str(folder / "cache")),
    ) as process:
        said = iter(process.stdout.readline, "")
        done = [time.perf_counter() - start for line in said if line.startswith(DONE)]
    if not done:
        raise ChildProcessError("prompt_tuning.train ended without a step; what it said is above.")
    return done[0]


def _peft(args: argparse.Namespace, config: t5_config.T5Config, folder: pathlib.Path) -> float:
    shape = dict(batch=args.batch, inputs=args.inputs, targets=args.targets)
    system = peft_child.system(
        "peft",
        "prompt",
        dataclasses.asdict(config),
        args.peer_python,
        args.peer_pythonpath,
        shape=shape,
        prompt_length=args.prompt_length,
        folder=str(folder / "model"),
    )
    system.start()
    system.stop()
    return system.ready["start_to_first_step_s"]


if __name__ == "__main__":
    main()
