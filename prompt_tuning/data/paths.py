"""One path or several, and what tells files' contents apart."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

PathLike = str | os.PathLike
Paths = PathLike | Sequence[PathLike]


def expand(paths: Paths) -> list[Path]:
    """One path or several as a list; one with a `*` becomes the files it matches, or stays if there
    are none.
    """
    expanded = []
    for path in map(Path, [paths] if isinstance(paths, PathLike) else paths):
        matching = sorted(path.parent.glob(path.name)) if "*" in path.name else []
        expanded += matching or [path]
    return expanded


def file_hash(path: PathLike) -> str:
    """SHA-256 of a file's bytes, in hex."""
    return hashlib.sha256(Path(path).read_bytes()).hexdigest()
