"""Properties of SPoT's two similarities, and their numbers by hand."""

from hypothesis import given, strategies as st
import numpy as np

from prompt_tuning.understanding import similarity

SEEDS = st.integers(0, 2**32 - 1)


def prompts(seed, lengths, width=6):
    rng = np.random.default_rng(seed)
    return [rng.normal(0.3, 1, (length, width)).astype(np.float32) for length in lengths]


LENGTHS = st.lists(st.integers(1, 7), min_size=1, max_size=4)


@given(SEEDS, LENGTHS)
def test_average_token(seed, lengths):
    given_prompts = prompts(seed, lengths)
    found = similarity.average_token(given_prompts)
    np.testing.assert_allclose(np.diag(found), 1, atol=1e-5)
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    assert (np.abs(found) <= 1 + 1e-5).all()
    rng = np.random.default_rng(seed)
    changed = [rng.uniform(0.1, 9) * x[rng.permutation(len(x))] for x in given_prompts]
    np.testing.assert_allclose(similarity.average_token(changed), found, atol=1e-4)


@given(SEEDS, LENGTHS)
def test_per_token(seed, lengths):
    given_prompts = prompts(seed, lengths)
    found = similarity.per_token(given_prompts)
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    assert (np.abs(found) <= 1 + 1e-5).all()
    rng = np.random.default_rng(seed)
    changed = [rng.uniform(0.1, 9, (len(x), 1)) * x[rng.permutation(len(x))] for x in given_prompts]
    np.testing.assert_allclose(similarity.per_token(changed), found, atol=1e-4)
    for i, a in enumerate(given_prompts):
        for j, b in enumerate(given_prompts):
            pairs = [x @ y / np.linalg.norm(x) / np.linalg.norm(y) for x in a for y in b]
            np.testing.assert_allclose(found[i, j], np.mean(pairs), atol=1e-5)


def test_the_two_differ_where_rows_do():
    a = np.array([[2, 0], [0, 1]], np.float32)
    b = np.array([[1, 0]], np.float32)
    np.testing.assert_allclose(similarity.average_token([a, b])[0, 1], 2 / 5**0.5, rtol=1e-6)
    np.testing.assert_allclose(similarity.per_token([a, b]), [[0.5, 0.5], [0.5, 1]], rtol=1e-6)
