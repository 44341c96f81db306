"""What every entry point checks of its arguments, before anything is read or compiled.

What a task, a method or a layout must be is checked by its own class.
"""

from collections.abc import Mapping
from typing import Any

COUNTS = (
    *("train_steps", "batch_size", "accumulate", "keep", "max_examples"),
    *("eval_period", "max_eval_examples", "patience", "save_period", "log_period"),
)
LEAST = {"seed": 0} | dict.fromkeys(COUNTS, 1)


def numbers(where: str, **arguments: Any) -> None:
    """Raises ValueError where one that is in `LEAST` is less; None is no number."""
    for name, least in LEAST.items():
        value = arguments.get(name)
        if value is not None and value < least:
            raise ValueError(f"{where}.{name} must be at least {least}, found {value}.")


def feature_lengths(lengths: Mapping[str, int]) -> tuple[int, int]:
    """(T, L) of TASK_FEATURE_LENGTHS, checked."""
    if set(lengths) != {"inputs", "targets"} or min(lengths.values()) < 1:
        raise ValueError(
            'TASK_FEATURE_LENGTHS must be {"inputs": T, "targets": L}, two positive numbers of '
            f"tokens, found {dict(lengths)}."
        )
    return lengths["inputs"], lengths["targets"]
