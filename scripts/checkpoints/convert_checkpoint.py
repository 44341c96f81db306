"""Writes a model in another format: the project's own, Hugging Face's or T5X's.

    python scripts/checkpoints/convert_checkpoint.py t5_base_hf t5_base --to native --dtype bfloat16
    python scripts/checkpoints/convert_checkpoint.py T5X/checkpoint_1100000 t5_base_hf \\
      --to hugging_face --vocabulary_file sentencepiece.model
    python scripts/checkpoints/convert_checkpoint.py t5_base t5_base_t5x --to t5x --step 1100000

OUT is a folder that is not there yet; T5X's checkpoint is OUT/checkpoint_STEP. One array, or one part
of a model's safetensors files, is in memory at a time. Without --dtype values stay exactly as they are.
What a T5X checkpoint does not tell is as in T5X's published models, unless --relpos_max_distance and
--activation say otherwise. Prompts in it are convert_prompt.py's part.
"""

from collections.abc import Mapping, Sequence
import pathlib
from typing import Any

import common
from prompt_tuning.checkpoints import hugging_face
from prompt_tuning.checkpoints import native
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints import t5x_config
from prompt_tuning.checkpoints.stored import Checkpoint
from prompt_tuning.t5.config import DTYPES

WRITERS = {"native": native.write_native, "hugging_face": hugging_face.write_hugging_face}


def stored_dtype(params: Mapping[str, Any]) -> str:
    """Of all parameters, or float32, which holds all that can be stored."""
    dtypes = {str(x.dtype) for x in params.values()}
    return dtypes.pop() if len(dtypes) == 1 and dtypes <= {*DTYPES} else "float32"


def write(folder: pathlib.Path, model: Checkpoint, args) -> None:
    dtype = args.dtype or stored_dtype(model.params)
    params = {name: x.astype(dtype) for name, x in model.params.items()}
    if args.to == "t5x":
        t5x.write_t5x(folder, args.step, params)
    else:
        WRITERS[args.to](folder, model.config, params, model.vocabulary, dtype=dtype)


def check(found: common.Found, given: common.Given, args) -> None:
    """Raises ValueError for what the format needs and nothing gives, and for what is no use."""
    if found.format != "t5x" and given.config:
        raise ValueError(
            f"--{' and --'.join(given.config)}: expected a T5X checkpoint, which does not tell, found "
            f"{common.FORMATS[found.format]} at {args.path}, which does: leave it out."
        )
    if args.to == "t5x" and args.step is None:
        raise ValueError("--to t5x needs --step, the number of training steps behind the model.")
    if args.to != "t5x" and found.model.vocabulary is None:
        raise ValueError(f"IN: {args.path} brings no vocabulary: give --vocabulary_file.")


def note_untold(found: common.Found, given: common.Given, args) -> None:
    """Prints what IN does not tell and nobody gave, and what OUT will not tell."""
    untold = {name: getattr(found.model.config, name) for name in t5x_config.UNTOLD}
    assumed = {name: value for name, value in untold.items() if name not in given.config}
    if found.format == "t5x" and assumed:
        print(
            f"Not in IN, and taken from T5X's published models: {assumed}. Otherwise give "
            f"--{' and --'.join(assumed)}."
        )
    if args.to == "t5x":
        print(f"Not in OUT, whose readers must know it: {untold}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__)
    parser.add_argument("path", metavar="IN", help="folder, gs:// address or model's name")
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--to", required=True, choices=common.FORMATS)
    parser.add_argument("--dtype", choices=DTYPES, help="on disk; without it that of IN")
    parser.add_argument("--step", type=int, metavar="N", help="of the T5X checkpoint")
    common.add_given(parser)
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        given = common.given(args)
        found = common.find_model(args.path, "IN", given)
        check(found, given, args)
        note_untold(found, given, args)
        with common.new(args.out) as folder:
            write(folder, found.model, args)
    print(f"{args.out}: {common.FORMATS[args.to]}")


if __name__ == "__main__":
    main()
