"""Shows what lies at a path: a model in any format, prompts, or a run.

    python scripts/checkpoints/inspect_checkpoint.py pocket_t5
    python scripts/checkpoints/inspect_checkpoint.py runs/spam
    python scripts/checkpoints/inspect_checkpoint.py gs://bucket/t5_1_1_base/checkpoint_1000000

Of a model it prints T5Config, the vocabulary, and names, shapes and types of the parameters, which it
does not read. --fingerprint reads a corner of each, --values one after the other.
"""

from collections.abc import Sequence

import numpy as np

import common
from prompt_tuning.checkpoints.stored import Checkpoint, StoredArray
from prompt_tuning.prompts import files


def statistics(x: StoredArray) -> list[str]:
    """Mean, standard deviation and norm."""
    values = np.asarray(x, np.float32)
    found = values.mean(dtype=np.float64), values.std(dtype=np.float64), np.linalg.norm(values)
    return [f"{number:.4g}" for number in found]


def show_model(model: Checkpoint, args) -> None:
    params, vocabulary = model.params, model.vocabulary
    if args.fingerprint and vocabulary is None:
        raise ValueError(
            f"--fingerprint: {args.path} brings no vocabulary, which is part of it: give "
            "--vocabulary_file."
        )
    dtypes = sorted({str(x.dtype) for x in params.values()})
    ids = f"{vocabulary.name}, {vocabulary.vocab_size:,} ids" if vocabulary else "not in it"
    print(f"{model.config}\nvocabulary: {ids}")
    print(f"parameters: {sum(x.size for x in params.values()):,}, {', '.join(dtypes)}")
    if args.fingerprint:
        print(f"fingerprint: {common.frozen(model, '').fingerprint}")
    heads = ["name", "shape", "type", *(("mean", "std", "norm") if args.values else ())]
    rows = [
        [name, str(list(x.shape)), str(x.dtype), *(statistics(x) if args.values else ())]
        for name, x in params.items()
    ]
    common.print_table(heads, rows)


def show_prompts(prompts: files.Prompts) -> None:
    for name, prompt in prompts.arrays.items():
        norms = np.linalg.norm(prompt, axis=1)
        print(
            f"{name} {list(prompt.shape)}, row norms: mean {norms.mean():.4g}, "
            f"min {norms.min():.4g}, max {norms.max():.4g}"
        )
    for about, text in prompts.about.items():
        print(f"{about}: {text}")


def main(argv: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__)
    parser.add_argument("path", metavar="PATH", help="folder, file, gs:// address or model's name")
    parser.add_argument(
        "--values", action="store_true", help="mean, std and norm of each parameter"
    )
    parser.add_argument("--fingerprint", action="store_true", help="tells base models apart")
    common.add_given(parser)
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        found = common.find(args.path, "PATH", common.given(args))
        print(f"{found.path}: {common.FORMATS.get(found.format, 'prompts')}")
        if found.model:
            show_model(found.model, args)
        if found.prompts:
            show_prompts(found.prompts)


if __name__ == "__main__":
    main()
