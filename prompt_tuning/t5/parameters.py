"""Parameters by name: flat dicts, `{"encoder/prompt/prompt/prompt": array}`, and the tree they make.

Everything outside the network handles parameters in the flat form, so that names are keys. Which of
them are trained is training/partition.py's part.
"""

from collections.abc import Mapping
from typing import Any

from flax import traverse_util

Flat = dict[str, Any]


def flatten(tree: Mapping[str, Any]) -> Flat:
    return traverse_util.flatten_dict(tree, sep="/")


def unflatten(flat: Mapping[str, Any]) -> dict[str, Any]:
    """The nested dict that `model.apply` takes."""
    return traverse_util.unflatten_dict(dict(flat), sep="/")
