import gzip
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data import text
from prompt_tuning.data.batches import Batches, eval_batches
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.objectives import PrefixLM, SpanCorruption
from prompt_tuning.data.text import TextRows, load_tokens
from prompt_tuning.data.vocabulary import EOS_ID, ByteVocabulary

VOCABULARY = ByteVocabulary(extra_ids=100)


class Whole:
    """An objective that hides nothing: inputs are the chunk."""

    def __init__(self, chunk_length: int):
        self.chunk_length = chunk_length

    def __call__(self, tokens, rng):
        return tokens, tokens[:1]


def _flipped(data: bytes) -> bytes:
    """With every bit of some bytes in the middle turned."""
    middle = len(data) // 2
    return (
        data[:middle]
        + bytes(255 - byte for byte in data[middle : middle + 50])
        + data[middle + 50 :]
    )


def stream(length: int) -> np.ndarray:
    return np.arange(10, 10 + length, dtype=np.int32)


def test_documents_are_joined_by_eos_over_files_and_blank_lines(tmp_path, letters):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\n  \ntwo\n")
    (tmp_path / "b.txt").write_bytes("drei ä".encode())
    tokens = load_tokens([tmp_path / "a.txt", tmp_path / "b.txt"], letters)
    expected = [i for word in ("one", "two", "drei ä") for i in [*letters.encode(word), EOS_ID]]
    assert tokens.tolist() == expected and tokens.dtype == np.int32


C4 = [
    {"text": "A first\nline — and more.", "timestamp": "2019-04-25T12:57:54Z", "url": "http://a"},
    {"text": " ", "timestamp": "2019-04-25T12:57:54Z", "url": "http://b"},
    {"text": "Two.", "timestamp": "2019-04-25T12:57:54Z", "url": "http://c"},
]


@pytest.mark.parametrize("compressed", [True, False])
@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_lines_as_c4_has_them(tmp_path, letters, suffix, compressed):
    content = "\n".join(map(json.dumps, C4)).encode() + b"\n"
    for shard in range(2):
        name = f"c4-train.0000{shard}-of-00002{suffix}"
        if compressed:
            (tmp_path / f"{name}.gz").write_bytes(gzip.compress(content))
        else:
            (tmp_path / name).write_bytes(content)
    tokens = load_tokens(tmp_path / "c4-train.*", letters)
    assert tokens.tolist() == [
        i
        for text in 2 * ["A first\nline — and more.", "Two."]
        for i in [*letters.encode(text), EOS_ID]
    ]


@pytest.mark.parametrize(
    "row, message",
    [
        (b'{"text": "broken', "row 2: not JSON"),
        (b'["text"]', "row 2: a JSON object is needed, found list"),
        (b'{"txt": "x"}', "row 2: no column 'text'; found 'txt'"),
        (b'{"text": null}', "row 2: column 'text' holds None"),
        (b'{"text": "\\ud800"}', "row 2: not UTF-8"),
        (b"\xff", "row 2: not UTF-8"),
    ],
)
def test_bad_json_lines_are_named_by_row(tmp_path, letters, row, message):
    file = tmp_path / "c4.json.gz"
    file.write_bytes(gzip.compress(b'{"text": "fine"}\n' + row + b"\n"))
    with pytest.raises(DataError, match=f"c4.json.gz, {message}"):
        load_tokens(file, letters)


@pytest.mark.parametrize("damage", [lambda data: data[:-20], lambda data: b"no gzip", _flipped])
def test_damaged_archives_are_named(tmp_path, letters, damage):
    file = tmp_path / "a.txt.gz"
    lines = np.random.default_rng(0).integers(0, 10**9, 2000)
    file.write_bytes(damage(gzip.compress("\n".join(map(str, lines)).encode())))
    with pytest.raises(DataError, match=r"a.txt.gz, after row \d+: cannot be read"):
        load_tokens(file, letters)


def test_bad_utf8_and_missing_or_empty_files_are_named(tmp_path, letters):
    (tmp_path / "bad.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(DataError, match="bad.txt, row 2: not UTF-8"):
        load_tokens(tmp_path / "bad.txt", letters)
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match="no text in .*empty.txt"):
        load_tokens(tmp_path / "empty.txt", letters)
    with pytest.raises(DataError, match="no text files: check DATA_FILES"):
        load_tokens([], letters)
    with pytest.raises(DataError, match="no text file .*nowhere.txt: check DATA_FILES"):
        load_tokens(tmp_path / "nowhere.txt", letters)


def test_text_is_tokenised_once_and_again_when_it_changes(tmp_path, letters, monkeypatch):
    file, cache = tmp_path / "a.txt", tmp_path / "cache"
    file.write_text("one")
    first = load_tokens(file, letters, cache)
    with monkeypatch.context() as patch:
        patch.setattr(text, "_tokenise", lambda *_: pytest.fail("tokenised again"))
        assert load_tokens(file, letters, cache).tolist() == first.tolist()
    file.write_text("another")
    assert letters.decode(load_tokens(file, letters, cache)) == "another"


@given(st.integers(5, 80), st.integers(1, 5), st.integers(0, 2**32))
def test_an_epoch_visits_every_token_at_most_once_and_nearly_all(length, chunk, seed):
    rows = TextRows(stream(length), Whole(chunk), seed)
    for epoch in range(3):
        visited = np.concatenate(
            [rows.row(epoch * len(rows) + i).inputs[:-1] for i in range(len(rows))]
        )
        assert len(set(visited.tolist())) == len(visited) == length // chunk * chunk
        assert set(visited.tolist()) <= set(stream(length).tolist())


def test_epochs_cut_the_text_at_different_places():
    rows = TextRows(stream(1000), Whole(50), seed=0)
    starts = [
        {int(rows.row(epoch * 20 + i).inputs[0]) % 50 for i in range(20)} for epoch in range(5)
    ]
    assert all(len(cut) == 1 for cut in starts) and len(set.union(*starts)) > 1


@given(st.integers(0, 10**6), st.integers(0, 2**32))
def test_rows_depend_on_seed_and_index_alone(index, seed):
    objective = SpanCorruption(VOCABULARY, 24, 12)
    used, fresh = (TextRows(stream(200), objective, seed) for _ in range(2))
    used.row(index + 10), used.row(0)
    row, again = used.row(index), fresh.row(index)
    assert row.id == again.id
    assert np.array_equal(row.inputs, again.inputs) and np.array_equal(row.targets, again.targets)


def test_a_chunk_is_corrupted_anew_in_every_epoch():
    rows = TextRows(stream(120), SpanCorruption(VOCABULARY, 96, 32), seed=0)
    assert len({tuple(rows.row(epoch * len(rows)).targets.tolist()) for epoch in range(8)}) == 8


def test_held_out_rows_are_fixed_and_in_order():
    rows = TextRows(stream(100), SpanCorruption(VOCABULARY, 24, 12), seed=0, shuffle=False)
    chunk = rows.objective.chunk_length
    assert [rows.row(i).id for i in range(3)] == ["text@0", f"text@{chunk}", f"text@{2 * chunk}"]
    for i in range(len(rows)):
        assert np.array_equal(rows.row(i).targets, rows.row(len(rows) + i).targets)
    ids = [name for _, part in eval_batches(rows, 3, 24, 12) for name in part]
    assert ids == [f"text@{chunk * i}" for i in range(100 // chunk)]


@pytest.mark.parametrize(
    "objective", [SpanCorruption(VOCABULARY, 24, 12), PrefixLM(VOCABULARY, 24, 12)]
)
def test_batches_of_text_have_the_examples_contract(objective):
    batch, ids = Batches(TextRows(stream(200), objective, seed=1, name="web"), 4, 24, 12)(2)
    assert len(ids) == 4 and ids[0].startswith("web@")
    ends = (batch["decoder_target_tokens"] == EOS_ID).sum(axis=1)
    assert batch["encoder_input_tokens"].shape == (4, 24) and ends.tolist() == [1] * 4


def test_too_little_text_is_an_error():
    message = (
        "web: 4 tokens of text are less than one chunk of 5: .*DATA_FILES, .*TASK_FEATURE_LENG"
    )
    with pytest.raises(DataError, match=message):
        TextRows(stream(4), Whole(5), seed=0, name="web")
