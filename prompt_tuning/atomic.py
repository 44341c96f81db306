"""Files that are written whole or not at all. What goes into them is the writer's business."""

import contextlib
from collections.abc import Iterator
import os
import pathlib
import uuid


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a name to write to; at the end, if nothing was raised, that file takes the name `path`.

    Folders are made, and what was written is on the disk before it gets its name. Two processes may
    write the same file at once: one of them wins.
    """
    path = pathlib.Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    finally:
        partial.unlink(missing_ok=True)
