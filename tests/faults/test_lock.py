"""Two processes in one MODEL_DIR."""

import subprocess
import time

import pytest

from prompt_tuning.training import lock

SECONDS = 300


def test_a_second_run_is_refused_and_a_killed_one_is_not_in_the_way(tmp_path, training_command):
    endless = training_command(tmp_path, "--gin.TRAIN_STEPS=1000000")
    with subprocess.Popen(endless, stdout=subprocess.DEVNULL) as first:
        try:
            while not list(tmp_path.glob("checkpoints/*/SHA256SUMS")):
                assert first.poll() is None
                time.sleep(0.05)
            second = subprocess.run(endless, capture_output=True, text=True, timeout=SECONDS)
            assert second.returncode == 1
            assert f"MODEL_DIR {tmp_path} is in use by process {first.pid} on" in second.stderr
            assert first.poll() is None
        finally:
            first.kill()
    assert (tmp_path / lock.NAME).exists()  # which is no lock without its process
    with lock.held(tmp_path):
        pass


def test_one_process_holds_a_folder_once(tmp_path):
    with lock.held(tmp_path / "new"):
        with pytest.raises(lock.InUseError, match="is in use by process"):
            with lock.held(tmp_path / "new"):
                pass
    with lock.held(tmp_path / "new"):
        pass


def test_a_disk_without_locks_is_used_with_a_warning(tmp_path, monkeypatch, caplog):
    def refuse(*_):
        raise OSError("Operation not supported")

    monkeypatch.setattr(lock.fcntl, "flock", refuse)
    with lock.held(tmp_path):
        assert "cannot be locked" in caplog.text
