"""Files that are written whole or not at all. What goes into them is the writer's business."""

import contextlib
from collections.abc import Iterator
import os
import pathlib
import shutil
import uuid


@contextlib.contextmanager
def writing(path: str | os.PathLike) -> Iterator[pathlib.Path]:
    """Gives a name to write to; at the end, if nothing was raised, that file takes the name `path`.

    Folders are made, and what was written is on the disk before it gets its name. Two processes may
    write the same file at once: one of them wins.

    Raises OSError, naming the file, where the disk is full or refuses.
    """
    path = pathlib.Path(path)
    partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield partial
        with open(partial, "rb") as file:
            os.fsync(file.fileno())
        os.replace(partial, path)
    except OSError as error:
        raise OSError(f"{path} cannot be written: {error}") from error
    finally:
        with contextlib.suppress(OSError):  # there is none, or what it lies on is gone
            partial.unlink()


def copy(source: str | os.PathLike, path: str | os.PathLike) -> None:
    """Copies a file to `path`, unless it is that very file. Raises OSError as `writing` does."""
    if pathlib.Path(source).resolve() != pathlib.Path(path).resolve():
        with writing(path) as partial:
            shutil.copyfile(source, partial)
