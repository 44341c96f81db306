"""Text that is read by blocks gives rows as a whole stream does, and little of it is held."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.batches import FiniteRows, eval_batches
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.objectives import SpanCorruption
from prompt_tuning.data.text import BlockRows, TextRows, join_documents
from prompt_tuning.data.vocabulary import EOS_ID, ByteVocabulary

VOCABULARY = ByteVocabulary(extra_ids=100)
OBJECTIVE = SpanCorruption(VOCABULARY, 24, 12)
CHUNK = OBJECTIVE.chunk_length


class Blocks:
    """Block i has as many tokens as `lengths` says, all of them 10 + i; remembers what was read."""

    def __init__(self, lengths):
        self.lengths, self.read = lengths, []

    def __call__(self, block):
        self.read.append(block)
        return np.full(self.lengths[block], 10 + block, np.int32)

    def rows(self, seed=0, **options):
        return BlockRows(self, len(self.lengths), OBJECTIVE, seed, **options)


def block_of(row):
    return int(row.inputs[0]) - 10


@given(st.integers(0, 10**9), st.integers(0, 2**32))
def test_rows_depend_on_seed_and_index_alone(index, seed):
    used, fresh = (Blocks([200, 230, 190]).rows(seed) for _ in range(2))
    used.row(index + 30), used.row(0)
    row, again = used.row(index), fresh.row(index)
    assert row.id == again.id
    assert np.array_equal(row.inputs, again.inputs) and np.array_equal(row.targets, again.targets)


def test_an_epoch_takes_every_block_once_in_a_new_order():
    rows = Blocks([CHUNK * 4] * 8).rows()
    assert isinstance(rows, FiniteRows) and len(rows) == 32
    orders = [
        [block_of(rows.row(epoch * 32 + 4 * visit)) for visit in range(8)] for epoch in range(3)
    ]
    assert all(sorted(order) == list(range(8)) for order in orders)
    assert len(set(map(tuple, orders))) == 3
    drawn = [block_of(rows.row(i)) for i in range(32)]
    assert drawn == [block for block in orders[0] for _ in range(4)]


def test_no_two_visits_corrupt_alike():
    objective = SpanCorruption(VOCABULARY, 96, 32)
    rows = BlockRows(lambda _: np.full(500, 10, np.int32), 3, objective, 0)
    of_a_visit = len(rows) // 3
    first = [rows.row(of_a_visit * visit).inputs for visit in range(30)]
    assert len({tuple(np.flatnonzero(inputs > 258)) for inputs in first}) > 20


def test_blocks_give_as_many_rows_as_the_first():
    blocks = Blocks([CHUNK * 3, CHUNK * 5, CHUNK])
    rows = blocks.rows(shuffle=False)
    assert [block_of(rows.row(i)) for i in range(9)] == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert len(rows) == 9


def test_a_block_is_read_once_a_visit_and_two_are_held():
    blocks = Blocks([CHUNK * 4] * 5)
    rows = blocks.rows()
    for i in range(len(rows)):
        rows.row(i), rows.row(max(i - 1, 0))
    assert len(blocks.read) == 1 + 5
    assert rows._visit.cache_info().currsize == 2


def test_held_out_rows_are_fixed_and_those_of_the_whole_stream():
    tokens = np.arange(10, 10 + 6 * CHUNK, dtype=np.int32)
    halves = tokens[: 3 * CHUNK], tokens[3 * CHUNK :]
    rows = BlockRows(lambda block: halves[block], 2, OBJECTIVE, 0, shuffle=False, name="web")
    whole = TextRows(tokens, OBJECTIVE, 0, shuffle=False)
    for i in range(6):
        row = rows.row(i)
        assert np.array_equal(row.targets, rows.row(i + 6).targets)  # of the next epoch
        chunk = set(whole.row(i).inputs.tolist() + whole.row(i).targets.tolist())
        plain = {token for token in (*row.inputs.tolist(), *row.targets.tolist()) if token < 259}
        assert plain == {token for token in chunk if token < 259}
    ids = [name for _, part in eval_batches(rows, 4, 24, 12) for name in part]
    assert ids == [f"web[{block}]@{CHUNK * i}" for block in range(2) for i in range(3)]


def test_too_little_text_is_an_error():
    with pytest.raises(DataError, match=r"text\[0\]: 5 tokens of text are less than one chunk"):
        Blocks([5, 5]).rows()


def test_documents_without_text_are_left_out(letters):
    tokens = join_documents([" one", "", "  ", "two\n"], letters, "here")
    assert tokens.tolist() == [*letters.encode("one"), EOS_ID, *letters.encode("two"), EOS_ID]
    assert tokens.dtype == np.int32
    with pytest.raises(DataError, match="no text in here"):
        join_documents([" "], letters, "here")
