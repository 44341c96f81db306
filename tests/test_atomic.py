"""A file appears whole or not at all."""

import pytest

from prompt_tuning import atomic


def test_what_was_there_stays_until_the_new_file_is_whole(tmp_path):
    file = tmp_path / "folder" / "file"
    with atomic.writing(file) as partial:
        partial.write_text("first")
        assert not file.exists()
    with pytest.raises(RuntimeError, match="half way"), atomic.writing(file) as partial:
        partial.write_text("sec")
        raise RuntimeError("half way")
    assert file.read_text() == "first"
    assert [p.name for p in file.parent.iterdir()] == ["file"]
