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


def stream(length: int) -> np.ndarray:
    return np.arange(10, 10 + length, dtype=np.int32)


def test_documents_are_joined_by_eos_over_files_and_blank_lines(tmp_path, letters):
    (tmp_path / "a.txt").write_bytes(b"one\r\n\n  \ntwo\n")
    (tmp_path / "b.txt").write_bytes("drei ä".encode())
    tokens = load_tokens([tmp_path / "a.txt", tmp_path / "b.txt"], letters)
    expected = [i for word in ("one", "two", "drei ä") for i in [*letters.encode(word), EOS_ID]]
    assert tokens.tolist() == expected and tokens.dtype == np.int32


def test_bad_utf8_and_missing_or_empty_files_are_named(tmp_path, letters):
    (tmp_path / "bad.txt").write_bytes(b"fine\n\xff\xfe\n")
    with pytest.raises(DataError, match="bad.txt, row 2: not UTF-8"):
        load_tokens(tmp_path / "bad.txt", letters)
    (tmp_path / "empty.txt").write_text("\n\n")
    with pytest.raises(DataError, match="no text in .*empty.txt"):
        load_tokens(tmp_path / "empty.txt", letters)
    with pytest.raises(DataError, match="no text file .*nowhere.txt"):
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
    with pytest.raises(DataError, match="web: 4 tokens of text are less than one chunk of 5"):
        TextRows(stream(4), Whole(5), seed=0, name="web")
