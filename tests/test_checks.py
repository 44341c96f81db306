"""What entry points check of their arguments, by name."""

import pytest

from prompt_tuning import checks


def test_numbers():
    checks.numbers("train", train_steps=1, seed=0, patience=None, other=-1)
    with pytest.raises(ValueError, match="train.patience must be at least 1, found 0"):
        checks.numbers("train", patience=0)
    with pytest.raises(ValueError, match="train.seed must be at least 0, found -1"):
        checks.numbers("train", seed=-1)


def test_a_buckets_address_is_no_folder():
    with pytest.raises(ValueError, match="MODEL_DIR must be a folder.*gs://runs/a.*mount"):
        checks.mounted("gs://runs/a", "MODEL_DIR")
    checks.mounted("/mnt/runs/a", "MODEL_DIR")


def test_what_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        OSError, match="MODEL_DIR: nothing can be written in .*file .File exists.: give"
    ):
        checks.writable(tmp_path / "file", "MODEL_DIR")
    with pytest.raises(IsADirectoryError, match="OUTPUT_FILE: .* is a folder: give a file in it"):
        checks.writable_file(tmp_path, "OUTPUT_FILE")
    checks.writable_file(tmp_path / "new" / "file", "OUTPUT_FILE")
    assert list((tmp_path / "new").iterdir()) == []
