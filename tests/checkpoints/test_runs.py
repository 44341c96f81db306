"""A run's own checkpoints: small, several kept, and whole or absent."""

import dataclasses
import pathlib
import shutil
import subprocess
import tempfile

import hypothesis
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import sealing
from prompt_tuning.training import optimizers
from prompt_tuning.training import step as training_step

NAME = "encoder/prompt/prompt/prompt"


def make_state(seed=0, step=0, shape=(100, 768)):
    prompt = jax.random.normal(jax.random.key(seed), shape)
    optimizer = optimizers.freeze(optimizers.short_run_adafactor(1000), (NAME,))
    state = training_step.TrainState.create({NAME: prompt}, optimizer)
    # Accumulators of noise, which do not compress as zeros would.
    noise = lambda x: jax.random.normal(jax.random.key(7), x.shape) if x.ndim else x
    step = jnp.asarray(step, jnp.int32)
    return dataclasses.replace(state, step=step, optimizer=jax.tree.map(noise, state.optimizer))


def test_what_base_and_a_hundred_rows_take(tmp_path):
    checkpoints = runs.RunCheckpoints(tmp_path)
    checkpoints.save(make_state(step=1), {"config": "x" * 5000})
    checkpoints.close()
    size = sum(file.stat().st_size for file in tmp_path.rglob("*") if file.is_file())
    assert 100 * 768 * 4 < size < 750_000  # the prompt, its accumulator, and little else


def test_what_is_saved_is_restored_and_the_last_are_kept(tmp_path):
    save(tmp_path, 1, 2, 3)
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["2", "3"]
    found = runs.RunCheckpoints(tmp_path)
    assert found.notes() == {"step": 3}
    restored = found.restore(make_state(9, 9, (3, 4)))
    jax.tree.map(np.testing.assert_array_equal, restored, make_state(3, 3, (3, 4)))


def test_a_save_of_another_optimizer_is_named(tmp_path):
    save(tmp_path, 4)
    optimizer = optimizers.freeze(optimizers.adamw(0.1), (NAME,))
    other = training_step.TrainState.create({NAME: jnp.zeros((3, 4))}, optimizer)
    with pytest.raises(ValueError, match=rf"(?s){tmp_path}/4 cannot be restored.*OPTIMIZER"):
        runs.RunCheckpoints(tmp_path).restore(other)


def save(folder, *steps):
    checkpoints = runs.RunCheckpoints(folder)
    for step in steps:
        checkpoints.save(make_state(step, step, (3, 4)), {"step": step})
    checkpoints.close()


def files_of(folder):
    return sorted(path for path in folder.rglob("*") if path.is_file())


@pytest.fixture(scope="module")
def saved(tmp_path_factory):
    """Saves of steps 1 and 2."""
    folder = tmp_path_factory.mktemp("saved")
    save(folder, 1, 2)
    return folder


DAMAGE = {
    "deleted": lambda file: file.unlink(),
    "truncated": lambda file: file.write_bytes(file.read_bytes()[:-1]),
    "emptied": lambda file: file.write_bytes(b""),
    "flipped": lambda file: file.write_bytes(flipped(file.read_bytes())),
}


def flipped(content, position=None):
    position = len(content) // 2 if position is None else position
    return content[:position] + bytes([content[position] ^ 1]) + content[position + 1 :]


@pytest.mark.parametrize("damage", DAMAGE)
def test_any_damaged_file_is_named_and_the_save_before_it_used(saved, tmp_path, caplog, damage):
    """Every file of the newest save, one by one, its list of checksums among them."""
    names = [file.relative_to(saved) for file in files_of(saved / "2") if file.stat().st_size]
    assert len(names) > 8
    for number, name in enumerate(names):
        folder = tmp_path / str(number) / "checkpoints"
        shutil.copytree(saved, folder)
        DAMAGE[damage](folder / name)
        caplog.clear()
        assert runs.newest_whole(folder) == 1, name
        # A checksum that is altered speaks of the file that it is of.
        assert str(folder / name if name.name != sealing.SEAL else folder / "2") in caplog.text
        assert (folder.parent / runs.DAMAGED / "2").is_dir() and not (folder / "2").exists()
    assert runs.RunCheckpoints(folder).notes() == {"step": 1}


@hypothesis.given(hypothesis.strategies.data())
@hypothesis.settings(max_examples=50)
def test_any_flipped_bit_is_found(saved, data):
    with tempfile.TemporaryDirectory() as folder:
        copy = pathlib.Path(folder, "2")
        shutil.copytree(saved / "2", copy)
        assert sealing.problem(copy) is None
        file = data.draw(hypothesis.strategies.sampled_from(files_of(copy)))
        content = file.read_bytes()
        if content:
            at = data.draw(hypothesis.strategies.integers(0, len(content) - 1))
            file.write_bytes(flipped(content, at))
            assert sealing.problem(copy) is not None


def test_without_a_whole_save_nothing_is_begun_anew(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    for step in "12":
        (folder / step / "notes" / "metadata").write_text("{half")
    with pytest.raises(ValueError, match=r"(?s)No save in .* is whole: .*2/notes/metadata .*begin"):
        runs.RunCheckpoints(folder)
    assert (folder / "1").is_dir() and (folder / "2").is_dir()


def test_saves_whose_checksums_are_all_lost_are_not_begun_anew(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    for seal in folder.glob("*/" + sealing.SEAL):
        seal.unlink()
    with pytest.raises(ValueError, match="No save in .* is whole: .*SHA256SUMS is missing"):
        runs.RunCheckpoints(folder)
    assert (folder / "1").is_dir() and (folder / "2").is_dir()


def test_hidden_files_of_a_file_system_do_no_damage(saved, tmp_path):
    shutil.copytree(saved, tmp_path / "checkpoints")
    (tmp_path / "checkpoints/2/state/.nfs0001").write_text("")
    assert runs.newest_whole(tmp_path / "checkpoints") == 2


def test_a_disk_that_cannot_be_read_is_no_save(saved, tmp_path, monkeypatch):
    shutil.copytree(saved, tmp_path / "checkpoints")
    checksum = sealing._checksum

    def fails(path):
        if "/2/" in str(path):
            raise OSError(5, "Input/output error")
        return checksum(path)

    monkeypatch.setattr(sealing, "_checksum", fails)
    assert runs.newest_whole(tmp_path / "checkpoints") == 1


def test_what_is_saved_stays_as_it_is_for_the_same_step(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved, folder)
    before = {file: file.read_bytes() for file in files_of(folder)}
    checkpoints = runs.RunCheckpoints(folder)
    checkpoints.save(make_state(9, 2, (3, 4)), {"step": "another"})
    checkpoints.close()
    assert {file: file.read_bytes() for file in files_of(folder)} == before


def test_a_first_save_that_was_not_finished_is_no_save(saved, tmp_path):
    folder = tmp_path / "checkpoints"
    shutil.copytree(saved / "1", folder / "1")
    (folder / "1" / sealing.SEAL).unlink()
    assert runs.RunCheckpoints(folder).notes() is None


def test_other_tools_can_check_a_save(saved):
    command = ["sha256sum", "--check", "--quiet", sealing.SEAL]
    assert subprocess.run(command, cwd=saved / "2", check=False).returncode == 0


def test_one_save_is_too_few_to_keep(tmp_path):
    with pytest.raises(ValueError, match="train.keep must be at least 2, found 1"):
        runs.RunCheckpoints(tmp_path, keep=1)


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_no_save_is_no_notes(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert runs.RunCheckpoints(tmp_path / folder).notes() is None
