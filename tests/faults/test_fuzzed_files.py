"""Damaged prompts, adapters and checkpoints, really read: refused by name, or the arrays they were.

What destroys a file is refused, unless its reader does not need the file: then what it gives is what
it gave before, bit for bit. A changed bit among the numbers, or in a vocabulary, cannot be seen
without a checksum, which these formats lack; names, shapes and types are right all the same, and a
prompt's numbers finite. (T5X's older chunks have a checksum, gzip's.) A run's own saves are sealed
with checksums, see tests/checkpoints/test_runs.py.
"""

import contextlib
import io
import json
import os
import pathlib
import pickle
import random
import shutil

import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import peft
from prompt_tuning.checkpoints import stored
from prompt_tuning.checkpoints import t5x
from prompt_tuning.prompts import files
from tests.faults import damage
from tests.faults.subjects import ENCODER, FIXTURES, PROMPT, SUBJECTS, Arrays, read_params


@contextlib.contextmanager
def telling(where: str):
    """What no reader may raise, and what it gave that it may not, with the case it came from."""
    try:
        yield
    except Exception as error:
        raise AssertionError(f"{where}: {error!r:.800}") from error


def assert_refusal(error: Exception, folder: pathlib.Path, name: str) -> None:
    """It is an error of ours, not a parser's, and names what it is about."""
    ours = (stored.CheckpointError, FileNotFoundError, IsADirectoryError)
    assert type(error) is ValueError or isinstance(error, ours)
    assert str(folder) in str(error) and name in str(error) and len(str(error)) < 20_000


def same_form(found: Arrays, original: Arrays) -> bool:
    return {name: x.shape for name, x in found.items()} == {
        name: x.shape for name, x in original.items()
    } and all(jnp.issubdtype(x.dtype, jnp.floating) for x in found.values())


def same(found: Arrays, original: Arrays) -> bool:
    return same_form(found, original) and all(
        np.array_equal(x, original[name]) for name, x in found.items()
    )


@pytest.mark.parametrize("name", SUBJECTS)
def test_damage(tmp_path, name):
    if name == "of_torch":
        pytest.importorskip("torch")
    subject, rng = SUBJECTS[name], random.Random(name)
    folder = tmp_path / name
    subject.make(folder)
    original = subject.read(folder)
    number = 0
    for file in subject.needed + subject.optional:
        data = (folder / file).read_bytes()
        for kind, content in damage.cases(rng, data, subject.changes):
            number += 1  # another path each time, since TensorStore remembers what it read
            folder = folder.rename(tmp_path / f"{name}_{number}")
            damage.put(folder / file, content)
            with telling(f"{kind} {file}, {content!r:.300}"):
                try:
                    found = subject.read(folder)
                except Exception as error:
                    # What is not there, and the database's own files, go by other names.
                    named = (
                        kind in damage.DESTROYING and kind != damage.LOST and "orbax" not in name
                    )
                    assert_refusal(error, folder, pathlib.Path(file).name if named else "")
                else:
                    destroyed = kind in damage.DESTROYING
                    assert same(found, original) if destroyed else same_form(found, original)
                    # All that can be cut off is the end of a last line.
                    assert not destroyed or kind == "truncated" or file in subject.optional
        damage.put(folder / file, data)
    assert same(subject.read(folder.rename(tmp_path / "whole")), original)


@pytest.mark.parametrize(
    "name, depth",
    [("native", "num_encoder_layers"), ("hugging_face", "num_layers"), ("in_parts", "num_layers")],
)
def test_layers_are_not_made_of_a_wrong_number(tmp_path, name, depth):
    SUBJECTS[name].make(tmp_path)
    config = json.loads((tmp_path / "config.json").read_text())
    (config["t5"] if name == "native" else config)[depth] = 10**9
    (tmp_path / "config.json").write_text(json.dumps(config))
    with pytest.raises(stored.CheckpointError, match=rf"{tmp_path}.* layers, but there are \d+"):
        SUBJECTS[name].read(tmp_path)


def write_adapter(folder, prompt):
    peft.write_adapter(folder, prompt, base_model="x")


@pytest.mark.parametrize("bad", [np.nan, np.inf])
@pytest.mark.parametrize(
    "write",
    [
        lambda folder, prompt: files.write_prompt(folder / files.file_name("encoder"), prompt),
        lambda folder, prompt: files.write_prompts(folder / files.DESCRIBED, {ENCODER: prompt}, {}),
        write_adapter,
        lambda folder, prompt: t5x.write_t5x(folder, 1, {ENCODER: prompt}),
    ],
)
def test_prompts_of_no_numbers_are_refused_in_every_form(tmp_path, write, bad):
    prompt = PROMPT.copy()
    prompt[1, 2] = bad
    write(tmp_path, prompt)
    path = tmp_path / "checkpoint_1" if (tmp_path / "checkpoint_1").exists() else tmp_path
    with pytest.raises(ValueError, match=f"PROMPT_FILE {path}.*finite .* 1 that"):
        files.read_prompts(path)


class Trap:
    """What runs when it is unpickled: makes a folder."""

    def __init__(self, folder):
        self.folder = str(folder)

    def __reduce__(self):
        return os.mkdir, (self.folder,)


def pickles(trap: Trap) -> dict[str, bytes]:
    """By where each lies in a folder."""
    numpy, archive = io.BytesIO(), io.BytesIO()
    array = np.array([trap], dtype=object)
    np.save(numpy, array, allow_pickle=True)
    np.savez(archive, array)
    encoder, plain = files.file_name("encoder"), pickle.dumps(trap)
    return {
        f"plain/{encoder}": plain,
        f"array/{encoder}": numpy.getvalue(),
        f"archive/{encoder}": archive.getvalue(),
        f"described/{files.DESCRIBED}": plain,
        f"adapter/{peft.WEIGHTS}": plain,
        "adapter_of_old/adapter_model.bin": plain,
        "model/pytorch_model.bin": plain,
        "t5x/checkpoint": plain,
    }


def test_nothing_is_unpickled(tmp_path):
    sprung = tmp_path / "sprung"
    for name, content in pickles(Trap(sprung)).items():
        path = tmp_path / name
        path.parent.mkdir()
        if name.startswith("adapter"):
            shutil.copy(FIXTURES / "peft" / "adapter_1" / peft.CONFIG, path.parent)
        if name.startswith("model"):
            shutil.copy(FIXTURES / "hf_models" / "t5_v1_1_bin" / "config.json", path.parent)
        path.write_bytes(content)
        readers = [read_params] if name.startswith(("model", "t5x")) else [files.read_prompts]
        if "/" + files.file_name("encoder") in name:
            readers.append(lambda _: files.read_array(path, "EMBEDDING_FILE", in_place=True))
        for read in readers:
            with pytest.raises((ValueError, FileNotFoundError), match=str(path.parent)):
                read(path.parent)
            assert not sprung.exists()
    pickle.loads(pickle.dumps(Trap(sprung)))
    assert sprung.is_dir()  # so would they all have done
