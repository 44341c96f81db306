"""Planted structure is found, and not in the control; numbers equal those of plain loops."""

import dataclasses

from hypothesis import given, strategies as st
import numpy as np
import pytest

from prompt_tuning import api
from prompt_tuning.prompts import neighbors
from prompt_tuning.understanding import control
from prompt_tuning.understanding import findings
from prompt_tuning.understanding import statistics
from prompt_tuning.understanding import subjects
from tests.prompts.stubs import Words
from tests.understanding import examples

SEEDS = st.integers(0, 2**32 - 1)


@pytest.fixture(scope="module")
def pocket_t5():
    return api.load_model("pocket_t5")


@pytest.mark.parametrize("kind", control.KINDS)
def test_rows_of_known_pieces_are_found_and_the_control_has_none(pocket_t5, kind):
    labels = ["person", "animal", "food", "plant"]
    ids = [i for label in labels for i in pocket_t5.vocabulary.encode(label)]
    rng = np.random.default_rng(0)
    # Pieces and their opposites: what the rows have in common is nothing.
    others = -np.asarray(pocket_t5.table)[rng.integers(100, 4000, 16)]
    planted = np.concatenate([np.asarray(pocket_t5.table)[ids], others]).astype(np.float32)
    planted *= rng.uniform(0.5, 2, (len(planted), 1)).astype(np.float32)
    found = findings.find(
        [examples.subject("planted", encoder=planted)], pocket_t5, labels=labels, kind=kind
    )
    seen = found.prompts[0].neighborhoods["encoder"]
    for i, row in zip(ids, seen.nearest):
        assert row[0] == (pocket_t5.vocabulary.piece(i), pytest.approx(1, abs=1e-5))
    assert seen.statistics.with_label >= len(ids)
    assert all(count >= 1 for count in seen.statistics.by_label.values())
    of_draws = [x.with_label for x in seen.control_statistics]
    assert len(of_draws) == findings.DRAWS and np.mean(of_draws) < 1
    assert seen.statistics.similarity > max(x.similarity for x in seen.control_statistics)


def test_every_row_is_a_labels_where_all_are():
    base = examples.embeddings()
    rows = examples.rows_of(base, "abba")
    found = findings.find([examples.subject("x", encoder=rows)], base, labels=["ab", "c"])
    seen = found.prompts[0].neighborhoods["encoder"].statistics
    assert (seen.with_label, seen.distinct_nearest) == (4, 2)
    assert seen.by_label["ab"] == 4 and seen.by_label["c"] < 4


def test_tight_clusters_are_told_from_loose_ones():
    rng = np.random.default_rng(1)
    centres = rng.normal(size=(8, examples.D)).astype(np.float32)
    noise = rng.normal(size=(examples.V, examples.D)).astype(np.float32)
    alike = {}
    for spread in (0.1, 10):
        table = centres[np.arange(examples.V) % 8] + spread * noise
        base = subjects.Embeddings("clusters", table, examples.BYTES)
        found = findings.find([examples.subject("x", encoder=centres)], base)
        alike[spread] = found.prompts[0].neighborhoods["encoder"].statistics.alike
    assert alike[0.1] > 0.95 and alike[10] < 0.6


def cosine(a, b):
    return a @ b / (np.linalg.norm(a) * np.linalg.norm(b))


@given(SEEDS, st.integers(1, 6), st.integers(2, 5))
def test_statistics_are_those_of_plain_loops(seed, length, k):
    rng = np.random.default_rng(seed)
    vocabulary, table = Words(), rng.normal(size=(12, 4))
    prompt = rng.normal(size=(length, 4))
    labels = {"entailment": ["entail", "ment"], "true": ["true"]}
    nearest = neighbors.nearest(prompt, table, vocabulary, k)
    found = statistics.statistics(nearest, table, vocabulary, labels)

    ids = [
        sorted(range(3, 10), key=lambda i: -cosine(row, table[i]))[:k] for row in prompt
    ]  # the words, without what is special or past the vocabulary
    words = [[vocabulary.piece(i) for i in row] for row in ids]
    pairs = [
        [cosine(table[i], table[j]) for n, i in enumerate(row) for j in row[n + 1 :]] for row in ids
    ]
    has = {
        "entailment": ["entail" in row or "ment" in row for row in words],
        "true": ["true" in row for row in words],
    }
    assert dataclasses.asdict(found) == {
        "similarity": pytest.approx(
            np.mean([cosine(p, table[row[0]]) for p, row in zip(prompt, ids)]), abs=1e-5
        ),
        "distinct_nearest": len({row[0] for row in ids}),
        "distinct": len({i for row in ids for i in row}),
        "alike": pytest.approx(np.mean([np.mean(row) for row in pairs]), abs=1e-5),
        "with_label": sum(a or b for a, b in zip(*has.values())),
        "by_label": {label: sum(rows) for label, rows in has.items()},
    }


def test_label_pieces():
    assert statistics.label_pieces(["entail ment", "not \N{BULLET}"], Words()) == {
        "entail ment": ["entail", "ment"],
        "not \N{BULLET}": ["not"],
    }
    for label in ("\N{BULLET}", "▁"):  # unknown; a bare space
        with pytest.raises(ValueError, match=f"{label!r} has no piece in the vocabulary words"):
            statistics.label_pieces([label], Words())


@given(SEEDS, st.integers(1, 8))
def test_control_of_norms_has_the_rows_norms(seed, length):
    prompt = np.random.default_rng(seed).normal(0, 3, (length, 5)).astype(np.float32)
    draws = control.draws(prompt, "norms", 3, seed)
    for draw in draws:
        np.testing.assert_allclose(
            np.linalg.norm(draw, axis=1), np.linalg.norm(prompt, axis=1), rtol=1e-4
        )
    assert not np.allclose(draws[0], draws[1])
    np.testing.assert_array_equal(draws, control.draws(prompt, "norms", 3, seed))


def test_control_of_dimensions_has_their_mean_and_deviation():
    rng = np.random.default_rng(0)
    prompt = rng.normal([5, 0, -3], [1, 0, 2], (6, 3)).astype(np.float32)
    rows = np.concatenate(control.draws(prompt, "dimensions", 5000))
    np.testing.assert_allclose(rows.mean(axis=0), prompt.mean(axis=0), atol=0.05)
    np.testing.assert_allclose(rows.std(axis=0), prompt.std(axis=0), atol=0.05)


def test_controls_that_there_are_not():
    with pytest.raises(ValueError, match="one of norms, dimensions, found 'none'"):
        control.draws(np.ones((2, 2), np.float32), "none", 1)
    with pytest.raises(ValueError, match="one row: set control to 'norms'"):
        control.draws(np.ones((1, 2), np.float32), "dimensions", 1)
