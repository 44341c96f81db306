"""Nearest vocabulary neighbours against brute force."""

from hypothesis import given, strategies as st
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts import neighbors
from tests.prompts.stubs import Words

SEEDS = st.integers(0, 2**32 - 1)


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


@given(SEEDS, st.integers(1, 4), st.integers(1, 9), st.integers(1, 5), st.integers(1, 12))
def test_blocks_give_the_cosines_of_all_pairs(seed, rows, vocabulary, width, block):
    rng = np.random.default_rng(seed)
    prompt = rng.normal(size=(rows, width)).astype(np.float32)
    table = rng.normal(size=(vocabulary, width)).astype(np.float32)
    found = neighbors.cosine_similarities(prompt, table, block)
    expected = [[cosine(p, t) for t in table] for p in prompt]
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_rows_of_zeros_are_near_nothing():
    assert neighbors.cosine_similarities(np.zeros((1, 2)), np.ones((3, 2))).tolist() == [[0, 0, 0]]


@given(SEEDS, st.integers(1, 7))
def test_nearest_are_the_best_real_pieces_in_order(seed, k):
    rng = np.random.default_rng(seed)
    prompt, table = rng.normal(size=(3, 4)), rng.normal(size=(12, 4))
    vocabulary = Words()
    found = neighbors.nearest(prompt, table, vocabulary, k)
    for row, p in zip(found, prompt):
        real = sorted(range(3, 10), key=lambda i: -cosine(p, table[i]))[:k]
        assert [piece for piece, _ in row] == [vocabulary.piece(i) for i in real]
        np.testing.assert_allclose(
            [c for _, c in row], [cosine(p, table[i]) for i in real], atol=1e-5
        )


def test_special_and_unused_rows_are_left_out_however_near():
    table = np.eye(12, dtype=np.float32)
    found = neighbors.nearest(table, jnp.asarray(table, jnp.bfloat16), Words(), k=100)
    assert all(len(row) == 7 for row in found)
    assert [row[0] for row in found[3:10]] == [(word, 1.0) for word in Words.words]


def test_other_models_table_is_refused():
    with pytest.raises(ValueError, match="width is 3, the embedding table's 4"):
        neighbors.nearest(np.ones((2, 3)), np.ones((12, 4)), Words())


def test_table_of_text_is_aligned():
    text = neighbors.format_table([[("true", 0.934), ("a", 0.5)], [("maybe", -0.1), ("no", 0.25)]])
    assert text.split("\n") == [
        "row  nearest pieces, cosine similarity",
        "  0  true 0.93    a 0.50",
        "  1  maybe -0.10  no 0.25",
    ]
