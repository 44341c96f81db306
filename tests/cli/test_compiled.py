"""Compiled programs are kept where that helps and is safe, and a run finds those of the one before."""

import os
import subprocess

import jax
import pytest

from prompt_tuning.cli import compiled
from tests import processes


@pytest.fixture
def kept_in(monkeypatch, tmp_path):
    """`kept_in(backend, processes)`: the folder, from the user's cache folder on."""
    before = jax.config.jax_compilation_cache_dir
    jax.config.update("jax_compilation_cache_dir", None)

    def keep(backend, count=1):
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        monkeypatch.setattr(jax, "default_backend", lambda: backend)
        monkeypatch.setattr(jax, "process_count", lambda: count)
        compiled.keep()
        folder = jax.config.jax_compilation_cache_dir
        return folder and os.path.relpath(folder, tmp_path)

    yield keep
    jax.config.update("jax_compilation_cache_dir", before)


def test_accelerators_keep_programs_in_the_user_s_cache(kept_in):
    assert kept_in("tpu") == "prompt_tuning/compiled"


def test_a_folder_that_the_user_names_stays(kept_in, tmp_path):
    jax.config.update("jax_compilation_cache_dir", str(tmp_path / "named"))
    assert kept_in("gpu") == "named"


@pytest.mark.parametrize("backend, count", [("cpu", 1), ("tpu", 2)])
def test_nothing_is_kept_where_it_would_do_harm(kept_in, backend, count):
    assert kept_in(backend, count) is None


def test_a_second_run_compiles_nothing_that_the_first_did_not(tmp_path, training_command):
    folder = tmp_path / "kept"
    settings = {"JAX_COMPILATION_CACHE_DIR": str(folder)} | {
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_DISABLE_MOST_OPTIMIZATIONS": "1",
    }
    kept = []
    for run in ("first", "second"):
        subprocess.run(
            training_command(tmp_path / run, "--gin.TRAIN_STEPS=1"),
            check=True,
            cwd=processes.REPOSITORY,
            env=os.environ | settings,
        )
        kept.append(sorted(path.name for path in folder.iterdir()))
    assert any("train_step" in name for name in kept[0])
    assert kept[1] == kept[0]
