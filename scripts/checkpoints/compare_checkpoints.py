"""Says whether two models, or two prompts, are the same, whatever formats they are in.

    python scripts/checkpoints/compare_checkpoints.py t5_base_hf t5_base_native
    python scripts/checkpoints/compare_checkpoints.py runs/spam prompt.npy --atol 1e-6

Lists names that only one of them has, other shapes, and differing arrays: the largest absolute
difference, and the norm of the difference divided by that of A. The exit code is 0 where names and
shapes agree and no difference is above --atol, and for models T5Config and vocabulary agree as far as
both tell them; else 1. 2 is for what cannot be read.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import sys
from typing import Any

import numpy as np

import common
from prompt_tuning.checkpoints.stored import Checkpoint


def difference(a: Any, b: Any) -> tuple[float, float]:
    """The largest absolute difference, and the relative one in norm; NaN where there is one."""
    a, b = (np.asarray(x, np.float32) for x in (a, b))
    apart = a - b
    largest = float(np.abs(apart).max())
    return largest, float(np.linalg.norm(apart) / (np.linalg.norm(a) or 1)) if largest else 0.0


def misfits(a: Mapping[str, Any], b: Mapping[str, Any]) -> list[str]:
    """Names that only one has, and shapes that differ."""
    lines = [f"only in A: {name}" for name in a if name not in b]
    lines += [f"only in B: {name}" for name in b if name not in a]
    return lines + [
        f"shapes differ: {name}: {list(x.shape)}, {list(b[name].shape)}"
        for name, x in a.items()
        if name in b and x.shape != b[name].shape
    ]


def compare_values(a: Mapping[str, Any], b: Mapping[str, Any], atol: float) -> bool:
    """Prints differences, NaN and the largest first; reads one pair of arrays at a time."""
    pairs = [name for name, x in a.items() if name in b and x.shape == b[name].shape]
    found = {name: difference(a[name], b[name]) for name in pairs}
    apart = {name: numbers for name, numbers in found.items() if numbers[0] != 0}
    if apart:
        rows = sorted(apart.items(), key=lambda row: (not math.isnan(row[1][0]), -row[1][0]))
        common.print_table(
            ["name", "largest difference", "relative"],
            [[name, *(f"{number:.3g}" for number in numbers)] for name, numbers in rows],
        )
    print(f"{len(found) - len(apart)} arrays are equal, {len(apart)} differ")
    return all(largest <= atol for largest, _ in apart.values())


def compare_models(a: Checkpoint, b: Checkpoint) -> list[str]:
    """Where T5Config and vocabulary differ; prints whether the fingerprints agree."""
    fields = [dataclasses.asdict(x.config) for x in (a, b)]
    lines = [
        f"T5Config.{name} differs: {value}, {fields[1][name]}"
        for name, value in fields[0].items()
        if value != fields[1][name]
    ]
    if a.vocabulary is None or b.vocabulary is None:
        print("vocabularies and fingerprints are not compared: give --vocabulary_file")
        return lines
    if a.vocabulary.fingerprint != b.vocabulary.fingerprint:
        lines.append(f"vocabularies differ: {a.vocabulary.name}, {b.vocabulary.name}")
    one, other = (common.frozen(x, "").fingerprint for x in (a, b))
    print(f"fingerprints {'agree' if one == other else 'differ'}: {one}, {other}")
    return lines


def main(argv: Sequence[str] | None = None) -> int:
    parser = common.parser(__doc__)
    for name in ("A", "B"):
        parser.add_argument(name, help="folder, file, gs:// address or model's name")
    parser.add_argument("--atol", type=float, default=0.0, help="differences to overlook (0)")
    common.add_given(parser)
    args = parser.parse_args(argv)
    with common.short_errors(parser):
        given = common.given(args)
        a, b = common.find(args.A, "A", given), common.find(args.B, "B", given)
        lines = misfits(a.arrays, b.arrays)
        close = compare_values(a.arrays, b.arrays, args.atol)
        if a.model and b.model:
            lines += compare_models(a.model, b.model)
    same = close and not lines
    print(*lines, "A and B are the same" if same else "A and B differ", sep="\n")
    return 0 if same else 1


if __name__ == "__main__":
    sys.exit(main())
