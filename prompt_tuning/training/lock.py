"""One run at a time in a folder."""

from collections.abc import Iterator
import contextlib
import fcntl
import logging
import os
import pathlib
import platform

import jax

from prompt_tuning import checks

NAME = ".lock"
log = logging.getLogger(__name__)


class InUseError(OSError):
    """Another run writes to the folder."""


@contextlib.contextmanager
def held(folder: pathlib.Path) -> Iterator[None]:
    """Keeps `folder`, which is made, from other runs; of several processes the first does so.

    The operating system lets go of it when the process ends, however that ends, so there is no lock
    to remove. Disks that several machines share have it where they support flock (NFS 4, Lustre,
    Filestore); mounted buckets know of this machine's processes only.

    Raises InUseError at once if another has it.
    """
    if jax.process_index() > 0:
        yield
        return
    checks.writable(folder, "MODEL_DIR")
    with open(folder / NAME, "a+", encoding="utf-8") as file:
        _take(file, folder)
        file.truncate(0)
        file.write(f"process {os.getpid()} on {platform.node()}")
        file.flush()
        yield


def _take(file, folder: pathlib.Path) -> None:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        file.seek(0)
        raise InUseError(
            f"MODEL_DIR {folder} is in use by {file.read() or 'another process'}: wait for it, end it, "
            "or give another MODEL_DIR."
        ) from None
    except OSError as error:
        log.warning("%s cannot be locked (%s): see to it that no other run uses it.", folder, error)
