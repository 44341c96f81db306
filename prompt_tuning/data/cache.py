"""Arrays on disk under an identity, so that text is tokenised once, by whichever machine can.

An identity is a JSON-able dict of everything the arrays depend on: kind, task definition, source
files' hashes, vocabulary, lengths. A file is an `.npz` (numpy opens it as it is) that ends in the
SHA-256 of what stands before.
"""

import hashlib
import io
import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path

import numpy as np

from prompt_tuning import atomic
from prompt_tuning.data.examples import DataError, Examples, Ragged, Report
from prompt_tuning.data.paths import PathLike

Arrays = Mapping[str, np.ndarray]
_DIGEST = 32  # bytes of SHA-256 at the end of a file
_IDENTITY = "identity.json"


class CacheError(DataError):
    """A cache file that is damaged, belongs to something else, or cannot be written."""


def short_hash(value: object) -> str:
    """Twelve hex digits that tell JSON-able values apart in file names."""
    return hashlib.sha256(json.dumps(value).encode()).hexdigest()[:12]


def save_arrays(path: PathLike, arrays: Arrays, identity: Mapping) -> None:
    """Writes the file whole or not at all."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays, **{_IDENTITY: _to_bytes(identity)})
    payload = buffer.getvalue()
    try:
        with atomic.writing(path) as partial:
            partial.write_bytes(payload + hashlib.sha256(payload).digest())
    except OSError as error:
        raise CacheError(f"cache file {error}: change the cache folder") from error


def load_arrays(path: PathLike, identity: Mapping) -> dict[str, np.ndarray]:
    """Reads a file back. Raises CacheError if it is damaged or if an entry of `identity` differs
    from the file's.
    """
    content = Path(path).read_bytes()
    payload, digest = content[:-_DIGEST], content[-_DIGEST:]
    if hashlib.sha256(payload).digest() != digest:
        raise CacheError(
            f"cache file {path} is damaged (checksum): delete it to have it built again"
        )
    with np.load(io.BytesIO(payload), allow_pickle=False) as file:
        arrays = dict(file)
    found = json.loads(arrays.pop(_IDENTITY).tobytes())
    differing = [key for key, value in _plain(identity).items() if found.get(key) != value]
    if differing:
        raise CacheError(
            f"cache file {path} was made for something else ({', '.join(differing)} differ)"
        )
    return arrays


def cached_arrays(
    cache_dir: PathLike | None, name: str, identity: Mapping, build: Callable[[], Arrays]
) -> Arrays:
    """The arrays of `identity` from the cache, or built and put there; damaged and stale files are
    named and replaced.
    """
    if cache_dir is None:
        return build()
    path = Path(cache_dir) / f"{name}.npz"
    if path.exists():
        try:
            return load_arrays(path, identity)
        except CacheError as error:
            logging.warning("%s; building it again", error)
    arrays = build()
    save_arrays(path, arrays, identity)
    return arrays


def cached_examples(
    cache_dir: PathLike | None, identity: Mapping, build: Callable[[], Examples]
) -> Examples:
    """The examples of `identity` from the cache, or built and put there.

    The file's name comes from the entries that any machine knows (task, split, vocabulary,
    lengths), so that a stale file is replaced, and a machine without the source finds what another
    made: it leaves out what it cannot know.
    """
    known = [
        identity[key] for key in ("task", "split", "vocabulary", "inputs_length", "targets_length")
    ]
    name = f"{_file_name(identity['task'])}-{_file_name(identity['split'])}-{short_hash(known)}"
    return _examples(
        cached_arrays(cache_dir, name, {"kind": "examples 1", **identity}, lambda: _arrays(build()))
    )


def cached_splits(cache_dir: PathLike, task: str) -> list[str]:
    """Splits of a task of which the folder has examples, for whatever vocabulary and lengths."""
    form = re.compile(rf"{re.escape(_file_name(task))}-([^-]+)-[0-9a-f]{{12}}\.npz")
    names = (form.fullmatch(path.name) for path in sorted(Path(cache_dir).glob("*.npz")))
    return list(dict.fromkeys(match[1] for match in names if match))


def _file_name(text: str) -> str:
    return re.sub(r"[^\w.]", "_", text)


def _arrays(examples: Examples) -> Arrays:
    text = {"ids": examples.ids, "fields": examples.fields, "report": asdict(examples.report)}
    return {
        "inputs": examples.inputs.values,
        "inputs_offsets": examples.inputs.offsets,
        "targets": examples.targets.values,
        "targets_offsets": examples.targets.offsets,
        "text.json": _to_bytes(text),
    }


def _examples(arrays: Arrays) -> Examples:
    text = json.loads(arrays["text.json"].tobytes())
    return Examples(
        ids=text["ids"],
        inputs=Ragged(arrays["inputs"], arrays["inputs_offsets"]),
        targets=Ragged(arrays["targets"], arrays["targets_offsets"]),
        fields=text["fields"],
        report=Report(**text["report"] | {"first_skipped": tuple(text["report"]["first_skipped"])}),
    )


def _plain(value: Mapping) -> dict:
    """As JSON gives it back, tuples as lists, so that identities compare equal."""
    return json.loads(json.dumps(value))


def _to_bytes(value: object) -> np.ndarray:
    return np.frombuffer(json.dumps(value).encode(), np.uint8)
