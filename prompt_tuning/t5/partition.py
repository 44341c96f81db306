"""Which parameters are trained: labels by name, and the split they imply."""

from collections.abc import Sequence
import re
from typing import Any

import jax

from prompt_tuning.t5 import parameters

TRAINED, FROZEN = "trained", "frozen"


def labels(params: Any, trainable: Sequence[str]) -> Any:
    """A tree of "trained" or "frozen" like `params`, flat or nested.

    A parameter is trained if one of the regexes `trainable` matches all of its
    name, whose parts are joined by "/".
    """
    patterns = [re.compile(pattern) for pattern in trainable]

    def label(path, _):
        name = "/".join(key.key for key in path)
        return TRAINED if any(p.fullmatch(name) for p in patterns) else FROZEN

    return jax.tree_util.tree_map_with_path(label, params)


def split(
    flat: parameters.Flat, trainable: Sequence[str]
) -> tuple[parameters.Flat, parameters.Flat]:
    """(trained, frozen) of a flat dict; raises if nothing is trained."""
    label = labels(flat, trainable)
    trained = {name: x for name, x in flat.items() if label[name] == TRAINED}
    if not trained:
        raise ValueError(
            f"No parameter matches {list(trainable)} (the method's `trainable`). "
            f"Names look like {sorted(flat)[:3]}."
        )
    return trained, {name: x for name, x in flat.items() if name not in trained}
