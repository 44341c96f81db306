"""A run's own checkpoints: small, several kept, and whole or absent."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import runs
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
    checkpoints = runs.RunCheckpoints(tmp_path, keep=2)
    for step in (1, 2, 3):
        checkpoints.save(make_state(step, step, (3, 4)), {"step": step})
    checkpoints.close()
    assert sorted(path.name for path in tmp_path.iterdir() if path.is_dir()) == ["2", "3"]
    assert runs.latest_notes(tmp_path) == {"step": 3}
    found = runs.RunCheckpoints(tmp_path).restore(make_state(9, 9, (3, 4)))
    jax.tree.map(np.testing.assert_array_equal, found, make_state(3, 3, (3, 4)))


def test_a_save_of_another_optimizer_and_a_damaged_one_are_named(tmp_path):
    checkpoints = runs.RunCheckpoints(tmp_path)
    checkpoints.save(make_state(step=4, shape=(3, 4)), {"step": 4})
    checkpoints.close()
    optimizer = optimizers.freeze(optimizers.adamw(0.1), (NAME,))
    other = training_step.TrainState.create({NAME: jnp.zeros((3, 4))}, optimizer)
    with pytest.raises(ValueError, match=rf"(?s){tmp_path}/4 cannot be restored.*OPTIMIZER"):
        runs.RunCheckpoints(tmp_path).restore(other)
    (tmp_path / "4/notes/metadata").write_text("{half")
    with pytest.raises(ValueError, match=rf"(?s){tmp_path}/4 cannot be restored.*delete it"):
        runs.latest_notes(tmp_path)


@pytest.mark.parametrize("folder", ["absent", "empty"])
def test_no_save_is_no_notes(tmp_path, folder):
    (tmp_path / "empty").mkdir()
    assert runs.latest_notes(tmp_path / folder) is None
