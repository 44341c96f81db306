"""Writes one variable of a model, a T5X checkpoint or a prompt as a float32 array, NumPy's .npy.

    python scripts/checkpoints/extract_variable.py MODEL token_embedder/embedding embedding.npy
    python scripts/checkpoints/extract_variable.py T5X/checkpoint_1150000 \\
      encoder/prompt/prompt/prompt prompt.npy

Names are T5X's, in every format; "target/" in front may stay. inspect_checkpoint.py lists them.
"""

from collections.abc import Iterable, Sequence
import difflib
import pathlib

import numpy as np

import common


def known(name: str, names: Iterable[str]) -> str:
    """`name` without T5X's "target/", if there is such a variable."""
    name, names = name.strip("/").removeprefix("target/"), list(names)
    if name in names:
        return name
    near = difflib.get_close_matches(name, names, n=5, cutoff=0.5) or names[:5]
    raise ValueError(f"NAME: there is no variable {name!r}. Near it: {', '.join(near)}.")


def main(argv: Sequence[str] | None = None) -> None:
    parser = common.parser(__doc__)
    parser.add_argument("path", metavar="PATH", help="folder, file, gs:// address or model's name")
    parser.add_argument("name", metavar="NAME", help="of the variable")
    parser.add_argument(
        "out", metavar="OUT", type=pathlib.Path, help="a file that is not there yet"
    )
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        arrays = common.find(args.path, "PATH").arrays
        name = known(args.name, arrays)
        with common.new(args.out) as partial, open(partial, "wb") as file:
            np.save(file, np.asarray(arrays[name], np.float32), allow_pickle=False)
    print(f"{args.out}: {name} {list(arrays[name].shape)}")


if __name__ == "__main__":
    main()
