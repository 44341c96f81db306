"""Puts a prompt and the frozen model that it is for into one T5X checkpoint, to be served by T5X.

    python scripts/checkpoints/build_t5x_checkpoint.py t5_base_hf runs/spam served --step 1150000

BASE is a model in any format, PROMPT a prompt file, a folder of them, a run's MODEL_DIR or a PEFT
adapter. The checkpoint is OUT/checkpoint_STEP, where OUT is not there yet; it has no optimizer state.
Values stay as they are. A prompt that says which model it was trained on is refused on any other.
"""

from collections.abc import Sequence
import pathlib

import common
from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints.stored import Checkpoint
from prompt_tuning.methods import method
from prompt_tuning.prompts import files


def check(prompts: files.Prompts, base: Checkpoint, args) -> None:
    """Raises ValueError unless the prompts fit the model and, if they say so, are its own."""
    for prompt in prompts.arrays.values():
        files.check_prompt(prompt, args.prompt, width=base.config.d_model)
    if "fingerprint" not in prompts.about or args.any_base_model:
        return
    if base.vocabulary is None:
        raise ValueError(
            f"BASE: {args.base} brings no vocabulary, without which it cannot be told whether PROMPT "
            "belongs to it: give --vocabulary_file, or --any_base_model."
        )
    method.check_base(
        common.frozen(base, args.base), prompts.about, f"PROMPT: {args.prompt}", "--any_base_model"
    )


def main(argv: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__)
    parser.add_argument("base", metavar="BASE", help="folder, gs:// address or model's name")
    parser.add_argument("prompt", metavar="PROMPT")
    parser.add_argument("out", metavar="OUT", type=pathlib.Path)
    parser.add_argument("--step", type=int, required=True, metavar="N", help="T5X's training step")
    parser.add_argument(
        "--any_base_model", action="store_true", help="a prompt of another model, too"
    )
    common.add_given(parser)
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        base = common.find_model(args.base, "BASE", common.given(args)).model
        prompts = common.find_prompts(args.prompt, "PROMPT")
        check(prompts, base, args)
        with common.new(args.out) as folder:
            t5x.write_t5x(folder, args.step, {**base.params, **prompts.arrays})
    print(f"{args.out}/checkpoint_{args.step}: {', '.join(prompts.arrays)} and {args.base}")


if __name__ == "__main__":
    main()
