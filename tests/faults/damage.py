"""Ways to damage a file, drawn from a seeded generator. What has to come of it is the tests' part."""

from collections.abc import Callable, Iterator
import json
import pathlib
import random
import struct
from typing import Any

from flax import serialization

# Of another type or size than whatever stood there. A billion layers must not be made, either.
VALUES = [
    None, True, False, 0, -1, 1, 3, 10**9, 10**30, 2.5, float("nan"), "", "x", "32", [], [1], {},
    {"a": 1}, "\ud83e", "../x", [[]], "long" * 1000,
]  # fmt: skip
LOST, FOLDER = "lost", "a folder"
Content = bytes | str  # or LOST, or FOLDER


def truncated(rng: random.Random, data: bytes) -> bytes:
    return data[: rng.randrange(len(data))] if data else data


def noise(rng: random.Random, data: bytes) -> bytes:
    return rng.randbytes(rng.choice([1, 8, 20, len(data) or 1]))


def flipped(rng: random.Random, data: bytes) -> bytes:
    """Some bits changed: anywhere, or near the beginning or the end, where the headers are."""
    if not data:
        return b"x"
    changed = bytearray(data)
    for _ in range(rng.choice([1, 1, 3, 10])):
        size = rng.choice([len(data), min(len(data), 300)])
        place = rng.randrange(size) if rng.random() < 0.8 else -1 - rng.randrange(size)
        changed[place] ^= rng.randrange(1, 256)
    return bytes(changed)


def revalued(rng: random.Random, data: bytes) -> bytes:
    """JSON, safetensors and msgpack that are well-formed, with one value changed or taken out."""
    if (header := _safetensors_header(data)) is not None:
        text = json.dumps(_changed(rng, json.loads(header))).encode()
        return struct.pack("<Q", len(text)) + text + data[8 + len(header) :]
    try:
        return json.dumps(_changed(rng, json.loads(data))).encode()
    except ValueError:
        pass
    try:
        return serialization.msgpack_serialize(
            _changed(rng, serialization.msgpack_restore(data)), in_place=True
        )
    except Exception:  # it was none of these, or msgpack has no such value
        return flipped(rng, data)


# What leaves no file that could be read, and what may leave one that can.
DESTROYING: dict[str, tuple[int, Callable[[random.Random, bytes], Content]]] = {
    "lost": (1, lambda rng, data: LOST),
    "a folder": (1, lambda rng, data: FOLDER),
    "empty": (1, lambda rng, data: b""),
    "truncated": (3, truncated),
    "noise": (2, noise),
    "an archive": (1, lambda rng, data: b"PK\x03\x04" + rng.randbytes(50)),
    "too deep": (1, lambda rng, data: rng.choice([b"[", b'{"a":']) * 50_000),
}
CHANGING = {"flipped": flipped, "revalued": revalued}


def cases(rng: random.Random, data: bytes, changes: int) -> Iterator[tuple[str, Content]]:
    """(kind, what is to stand in the file's place): all that destroy, and so many changes of a kind."""
    changing = {kind: (changes, change) for kind, change in CHANGING.items()}
    for kind, (times, damage) in (DESTROYING | changing).items():
        for _ in range(times):
            yield kind, damage(rng, data)


def put(file: pathlib.Path, content: Content) -> None:
    """Replaces the file, which readers may still have open: it is not written to."""
    remove(file)
    if content == FOLDER:
        file.mkdir()
    elif content != LOST:
        file.write_bytes(content)


def remove(file: pathlib.Path) -> None:
    if file.is_dir():
        file.rmdir()
    else:
        file.unlink(missing_ok=True)


def _safetensors_header(data: bytes) -> bytes | None:
    size = struct.unpack("<Q", data[:8])[0] if len(data) > 8 else len(data)
    return data[8 : 8 + size] if size < len(data) and data[8:9] == b"{" else None


def _changed(rng: random.Random, tree: Any) -> Any:
    """With one node changed or taken out."""
    path = rng.choice(list(_paths(tree)))
    if not path:
        return rng.choice(VALUES)
    parent = tree
    for key in path[:-1]:
        parent = parent[key]
    if rng.random() < 0.2:
        del parent[path[-1]]
    else:
        parent[path[-1]] = rng.choice(VALUES)
    return tree


def _paths(tree: Any, path: tuple = ()) -> Iterator[tuple]:
    yield path
    children = {dict: lambda: tree.items(), list: lambda: enumerate(tree)}.get(type(tree), tuple)
    for key, child in children():
        yield from _paths(child, (*path, key))
