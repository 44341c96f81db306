"""Checksums of a folder that is complete: what is missing, cut short or altered since is found.

`sha256sum -c SHA256SUMS` in such a folder checks it too.
"""

import hashlib
import os
import pathlib

from prompt_tuning import atomic

SEAL = "SHA256SUMS"
_BLOCK = 2**20


def seal(folder: pathlib.Path) -> None:
    """Writes the checksums of all files of `folder`, which nobody changes from here on."""
    with atomic.writing(folder / SEAL) as partial:
        partial.write_text(_sums(folder), encoding="utf-8")


def is_sealed(folder: pathlib.Path) -> bool:
    """Whether `folder` was complete once."""
    return (folder / SEAL).is_file()


def problem(folder: pathlib.Path) -> str | None:
    """What is wrong with a folder, by file; None if it is as it was sealed.

    Hidden files, which file systems and tools leave, do not count.
    """
    try:
        return _problem(folder)
    except OSError as error:
        return f"{folder} cannot be read: {error}"


def _problem(folder: pathlib.Path) -> str | None:
    if not is_sealed(folder):
        return f"{folder / SEAL} is missing: it was never finished, or the file is lost"
    kept, found = (folder / SEAL).read_bytes().decode(errors="replace"), _sums(folder)
    if kept == found:
        return None
    for line in kept.splitlines():
        _, _, name = line.partition("  ")
        if f"  {name}\n" not in found:
            return f"{folder / name} is missing"
        if f"{line}\n" not in found:
            return f"{folder / name} does not have the checksum that {SEAL} has for it"
    return f"{folder / SEAL} is not whole"


def _sums(folder: pathlib.Path) -> str:
    files = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    names = sorted(str(x) for x in files if x.name != SEAL and not x.name.startswith("."))
    return "".join(f"{_checksum(folder / name)}  {name}\n" for name in names)


def _checksum(path: str | os.PathLike) -> str:
    checksum = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(_BLOCK):
            checksum.update(block)
    return checksum.hexdigest()
