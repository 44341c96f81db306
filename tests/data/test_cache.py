import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning.data.cache import (
    CacheError,
    cached_arrays,
    cached_examples,
    load_arrays,
    save_arrays,
)
from prompt_tuning.data.examples import Report
from tests.data.helpers import numbered_examples

IDENTITY = {
    "task": "t",
    "split": "train",
    "vocabulary": "v",
    "inputs_length": 4,
    "targets_length": 4,
}
ARRAYS = {"a": np.arange(50, dtype=np.int32)}


@pytest.fixture
def path(tmp_path):
    save_arrays(
        tmp_path / "x.npz", ARRAYS, IDENTITY | {"sources": [["a.tsv", "123"]], "labels": ("a", "b")}
    )
    return tmp_path / "x.npz"


def build_fails():
    pytest.fail("built again")


def test_arrays_come_back(path):
    loaded = load_arrays(path, IDENTITY | {"labels": ("a", "b")})
    assert loaded.keys() == ARRAYS.keys()
    assert loaded["a"].dtype == np.int32 and np.array_equal(loaded["a"], ARRAYS["a"])


def test_numpy_reads_the_file_as_it_is(path):
    assert np.array_equal(np.load(path)["a"], ARRAYS["a"])


def test_what_the_reader_does_not_know_is_not_compared(path):
    load_arrays(path, IDENTITY)
    with pytest.raises(CacheError, match=r"x.npz was made for something else \(sources differ\)"):
        load_arrays(path, IDENTITY | {"sources": [["a.tsv", "456"]]})
    with pytest.raises(CacheError, match=r"\(inputs_length differ\)"):
        load_arrays(path, IDENTITY | {"inputs_length": 5})


@pytest.mark.parametrize("place", [0, 0.3, 0.6, 0.999])
def test_one_flipped_bit_is_found(path, place):
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(CacheError, match="x.npz is damaged"):
        load_arrays(path, IDENTITY)


@pytest.mark.parametrize("kept", [0, 10, 200, -1])
def test_a_truncated_file_is_found(path, kept):
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(CacheError, match="damaged"):
        load_arrays(path, IDENTITY)


def test_a_damaged_file_is_named_and_replaced(path, caplog):
    path.write_bytes(path.read_bytes()[:-5])
    built = cached_arrays(path.parent, "x", IDENTITY, lambda: {"a": np.ones(3)})
    assert built["a"].tolist() == [1, 1, 1]
    assert "x.npz is damaged" in caplog.text and "building it again" in caplog.text
    assert cached_arrays(path.parent, "x", IDENTITY, build_fails)["a"].tolist() == [1, 1, 1]


@pytest.mark.parametrize("step", ["pathlib.Path.write_bytes", "os.replace"])
def test_a_failed_write_leaves_the_old_file_and_nothing_else(path, monkeypatch, step):
    before = path.read_bytes()

    def no_space(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(step, no_space)
    with pytest.raises(
        CacheError, match="x.npz cannot be written: .*No space left on device: change the"
    ):
        save_arrays(path, {"a": np.zeros(1)}, IDENTITY)
    assert path.read_bytes() == before and list(path.parent.iterdir()) == [path]


def test_a_cache_folder_that_is_a_file_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(
        CacheError, match="cache file .* cannot be written: .*change the cache folder"
    ):
        save_arrays(tmp_path / "file" / "x.npz", ARRAYS, IDENTITY)


def test_examples_come_back_whole(tmp_path):
    examples = numbered_examples(5)
    object.__setattr__(
        examples, "report", Report(rows_read=7, rows_skipped=2, first_skipped=("a", "b"))
    )
    examples.fields[0]["inputs"] = "tab\t ä ⁇ \u2028"
    first = cached_examples(tmp_path, IDENTITY, lambda: examples)
    again = cached_examples(tmp_path, IDENTITY, build_fails)
    for loaded in (first, again):
        assert (loaded.ids, loaded.fields, loaded.report) == (
            examples.ids,
            examples.fields,
            examples.report,
        )
        for side in ("inputs", "targets"):
            assert np.array_equal(getattr(loaded, side).values, getattr(examples, side).values)
            assert np.array_equal(getattr(loaded, side).offsets, getattr(examples, side).offsets)


def test_other_lengths_and_splits_have_files_of_their_own(tmp_path):
    for change in ({}, {"split": "test"}, {"inputs_length": 9}, {"vocabulary": "w"}):
        cached_examples(tmp_path, IDENTITY | change, lambda: numbered_examples(2))
    assert len(list(tmp_path.iterdir())) == 4
    cached_examples(tmp_path, IDENTITY, build_fails)


def test_a_changed_source_replaces_the_file(tmp_path):
    cached_examples(tmp_path, IDENTITY | {"sources": 1}, lambda: numbered_examples(2))
    assert (
        len(cached_examples(tmp_path, IDENTITY | {"sources": 2}, lambda: numbered_examples(3))) == 3
    )
    assert len(list(tmp_path.iterdir())) == 1


def test_a_cache_is_read_without_tensorflow(tmp_path):
    cached_examples(tmp_path, IDENTITY, lambda: numbered_examples(2))
    script = (
        "import sys\n"
        "sys.modules['tensorflow'] = sys.modules['seqio'] = None\n"
        "from prompt_tuning.data import batches, files, metrics, mixtures, text\n"
        "from prompt_tuning.data.cache import cached_examples\n"
        f"print(len(cached_examples({str(tmp_path)!r}, {IDENTITY!r}, lambda: 1 / 0)))\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.stdout == "2\n", done.stderr
