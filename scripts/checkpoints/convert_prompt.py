"""Writes a prompt in another form: NumPy's, safetensors, or PEFT's for Hugging Face.

    python scripts/checkpoints/convert_prompt.py runs/spam spam.npy --to numpy
    python scripts/checkpoints/convert_prompt.py spam.npy spam_peft --to peft --base_model t5_base_hf
    python scripts/checkpoints/convert_prompt.py T5X/checkpoint_1150000 spam.safetensors \\
      --to safetensors

IN is a prompt file, a folder of them, a run's MODEL_DIR (its best prompt), a PEFT adapter, or a T5X
checkpoint with a prompt in it. OUT is not there yet: a file, for PEFT a folder. Only safetensors holds a
decoder's prompt, and what the prompt was trained for.
"""

from collections.abc import Sequence
import os
import pathlib

import numpy as np

import common
from prompt_tuning import models
from prompt_tuning.checkpoints import peft
from prompt_tuning.prompts import files

FORMS = ("numpy", "safetensors", "peft")
SUFFIX = ".safetensors"


def encoder_prompt(prompts: files.Prompts, to: str) -> np.ndarray:
    """The encoder's prompt, if it is the only one."""
    if list(prompts.arrays) != [files.parameter("encoder")]:
        raise ValueError(
            f"--to {to}: expected the encoder's prompt alone, found {', '.join(prompts.arrays)}: "
            "--to safetensors holds them all."
        )
    return prompts.arrays[files.parameter("encoder")]


def base_model(prompts: files.Prompts, given: str | None) -> str:
    """The Hugging Face name or folder of the model that the prompt is for, of the prompt's width."""
    name = given or prompts.about.get("base_model")
    if name is None:
        raise ValueError(
            "--to peft needs --base_model: a model's name at Hugging Face or its folder."
        )
    if os.path.isdir(name) or name in models.SHIPPED:
        found = common.find_model(name, "--base_model")
        if found.format != "hugging_face":
            raise ValueError(
                f"--base_model: PEFT needs a model in Hugging Face's format, found "
                f"{common.FORMATS[found.format]} at {name}: convert_checkpoint.py makes one."
            )
        width = found.model.config.d_model
        files.check_prompt(encoder_prompt(prompts, "peft"), "IN", width=width)
    return name


def check_name(out: pathlib.Path, to: str) -> None:
    if (out.suffix == SUFFIX) != (to == "safetensors"):
        raise ValueError(
            f"OUT: {out.name} with --to {to}: names end in {SUFFIX} for --to safetensors, and only "
            "then, since readers go by it."
        )


def write(out: pathlib.Path, prompts: files.Prompts, to: str, base: str | None) -> None:
    if to == "safetensors":
        files.write_prompts(out, prompts.arrays, prompts.about)
    elif to == "numpy":
        files.write_prompt(out, encoder_prompt(prompts, to))
    else:
        prompt = encoder_prompt(prompts, to)
        peft.write_adapter(out, prompt, base_model=base_model(prompts, base))


def main(argv: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__)
    parser.add_argument("path", metavar="IN")
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--to", required=True, choices=FORMS)
    parser.add_argument(
        "--base_model",
        metavar="NAME_OR_FOLDER",
        help="of the frozen model in Hugging Face's format, for PEFT; without it what IN says",
    )
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        check_name(args.out, args.to)
        prompts = common.find_prompts(args.path, "IN")
        with common.new(args.out) as partial:
            write(partial, prompts, args.to, args.base_model)
    shapes = ", ".join(f"{name} {list(x.shape)}" for name, x in prompts.arrays.items())
    print(f"{args.out}: {shapes}")


if __name__ == "__main__":
    main()
