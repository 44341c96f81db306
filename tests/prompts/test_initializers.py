"""First values of a prompt, and refusal of what cannot give one."""

import re

from hypothesis import given, settings, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers as init
from tests.prompts.stubs import D, TABLE, V, Words, row_ids

KEY = jax.random.key(0)


def start(initializer, length=5, width=D, table=TABLE, vocabulary=Words(), key=KEY):
    prompt = initializer(key, (length, width), table=table, vocabulary=vocabulary)
    assert prompt.shape == (length, width) and prompt.dtype == jnp.float32
    return np.asarray(prompt)


@pytest.fixture(scope="module", params=["numpy", "jax", "bfloat16", "file"])
def source(request, tmp_path_factory):
    """The same table from everywhere it may lie: what to call with, what to bind."""
    if request.param == "file":
        path = tmp_path_factory.mktemp("table") / "table.npy"
        np.save(path, TABLE)
        return {"table": None}, {"embedding_file": str(path)}
    table = {
        "numpy": TABLE,
        "jax": jnp.asarray(TABLE),
        "bfloat16": jnp.asarray(TABLE, jnp.bfloat16),
    }[request.param]
    return {"table": table}, {}


@pytest.mark.parametrize(
    "initializer, low, high", [(init.Uniform(), -0.5, 0.5), (init.Uniform(0.0, 0.5), 0.0, 0.5)]
)
def test_uniform_fills_its_range(initializer, low, high):
    prompt = start(initializer, 100, 50, table=None)
    assert low <= prompt.min() < low + 0.01 and high - 0.01 < prompt.max() < high
    assert abs(prompt.mean() - (low + high) / 2) < 0.02
    assert np.any(start(initializer, key=jax.random.key(1)) != start(initializer))


def test_sampled_rows_are_the_tables(source):
    call, bound = source
    ids = row_ids(start(init.SampledVocab(first=8, **bound), 8, **call))
    assert sorted(ids) == list(range(8))  # each once: without replacement


@settings(max_examples=6)
@given(first=st.integers(1, V), length=st.integers(1, V), seed=st.integers(0, 99))
def test_sampling_stays_among_the_first_pieces(first, length, seed):
    key = jax.random.key(seed)
    ids = row_ids(start(init.SampledVocab(first, replace=True), length, key=key))
    assert max(ids) < first
    if length <= first:
        ids = row_ids(start(init.SampledVocab(first), length, key=key))
        assert max(ids) < first and len(set(ids)) == length


def test_labels_average_their_pieces_and_the_fallback_fills_the_rest(source):
    call, bound = source
    labels = init.ClassLabels(
        ["true", "entail ment", "not entail ment"], init.SampledVocab(first=6), **bound
    )
    prompt = start(labels, **call)
    expected = [TABLE[[4]], TABLE[[7, 8]], TABLE[[6, 7, 8]]]
    np.testing.assert_array_equal(prompt[:3], [rows.mean(axis=0) for rows in expected])
    assert max(row_ids(prompt[3:])) < 6


def test_as_many_labels_as_rows_fit_exactly():
    prompt = start(init.ClassLabels(("true", "false"), init.Uniform()), length=2)
    assert row_ids(prompt) == [4, 5]


def test_labels_may_be_what_a_file_s_are_mapped_to():
    labels = {"0": "true", "1": "false"}
    prompt = start(init.ClassLabels(labels, init.Uniform()), length=2)
    assert row_ids(prompt) == [4, 5]


def test_labels_that_do_not_fit_may_be_left_out():
    labels = ("true", "false", "maybe")
    assert row_ids(start(init.ClassLabels(labels, init.Uniform(), truncate=True), 1)) == [4]
    whole, cut = (init.ClassLabels(labels, init.SampledVocab(8), truncate=x) for x in (False, True))
    np.testing.assert_array_equal(start(cut, 4), start(whole, 4))


def test_text_is_repeated_or_followed_by_the_fallback(source):
    call, bound = source
    text = "not true maybe"
    assert row_ids(start(init.FromText(text, **bound), 8, **call)) == [6, 4, 9, 6, 4, 9, 6, 4]
    prompt = start(init.FromText(text, init.Uniform(), **bound), 5, **call)
    assert row_ids(prompt[:3]) == [6, 4, 9]
    assert np.all(np.abs(prompt[3:]) <= 0.5)


def test_files_are_read_and_averaged(tmp_path):
    prompts = np.random.default_rng(0).normal(size=(2, 5, D)).astype(np.float32)
    paths = [tmp_path / "a.npy", tmp_path / "b.npy"]
    for path, prompt in zip(paths, prompts):
        files.write_prompt(path, prompt)
    np.testing.assert_array_equal(start(init.FromFile(paths[1]), table=None), prompts[1])
    np.testing.assert_allclose(start(init.AverageOf(paths)), prompts.mean(axis=0), rtol=1e-6)
    files.write_prompt(tmp_path / "run" / "best" / files.file_name("encoder"), prompts[0])
    np.testing.assert_array_equal(start(init.FromFile(tmp_path / "run")), prompts[0])


def test_only_the_rows_that_are_used_leave_the_table():
    class Counted(np.ndarray):
        gathered = 0

        def __getitem__(self, ids):
            Counted.gathered += np.size(ids)
            return np.asarray(self)[ids]

    start(
        init.ClassLabels(["true", "entail ment"], init.SampledVocab(8)), table=TABLE.view(Counted)
    )
    assert Counted.gathered == 3 + 5


@pytest.mark.parametrize(
    "build, call, message",
    [
        (lambda: init.Uniform(0.5, 0.5), {}, "low=0.5, high=0.5"),
        (lambda: init.SampledVocab(V + 1), {}, f"SampledVocab.first must be between 1 and {V}.*13"),
        (lambda: init.SampledVocab(0), {}, "SampledVocab.first must be between 1 and"),
        (lambda: init.SampledVocab(4), {}, "PROMPT_LENGTH 5 exceeds SampledVocab.first 4.*replace"),
        (
            lambda: init.SampledVocab(8),
            {"width": 3},
            r"expected \[V, 3\].*\(12, 4\).*EMBEDDING_FILE",
        ),
        (lambda: init.SampledVocab(8), {"table": None}, "needs an embedding table.*EMBEDDING_FILE"),
        (lambda: init.ClassLabels([]), {}, "CLASS_LABELS must be a list of at least one label"),
        (lambda: init.ClassLabels("true"), {}, "CLASS_LABELS must be a list.*'true'"),
        (
            lambda: init.ClassLabels(["true"] * 6),
            {},
            "CLASS_LABELS has 6 labels.*PROMPT_LENGTH is 5.*ClassLabels.truncate = True",
        ),
        (
            lambda: init.ClassLabels(["true", "vrai"]),
            {},
            "CLASS_LABELS: 'vrai' has no piece.*words",
        ),
        (lambda: init.ClassLabels(["▁ vrai"]), {}, "CLASS_LABELS: '▁ vrai' has no piece"),
        (lambda: init.ClassLabels([""]), {}, "CLASS_LABELS: '' has no piece"),
        (
            lambda: init.ClassLabels(["true"]),
            {"vocabulary": None},
            "CLASS_LABELS needs.*vocabulary",
        ),
        (lambda: init.ClassLabels(["maybe"]), {"table": TABLE[:6]}, "id 9.*has 6 rows"),
        (lambda: init.FromText("true " * 6), {}, "FromText.text has 6 pieces.*PROMPT_LENGTH is 5"),
        (lambda: init.FromText("vrai"), {}, "FromText.text: 'vrai' has no piece"),
        (lambda: init.AverageOf([]), {}, "AverageOf.paths must be a list"),
    ],
)
def test_what_cannot_be_is_named(build, call, message):
    with pytest.raises(ValueError, match=message):
        start(build(), **call)


def test_missing_and_misshapen_files_are_named_with_their_flag(tmp_path):
    path = tmp_path / "found.npy"
    np.save(path, TABLE)
    with pytest.raises(FileNotFoundError, match="EMBEDDING_FILE.*absent.npy"):
        start(init.SampledVocab(8, embedding_file=str(tmp_path / "absent.npy")))
    with pytest.raises(ValueError, match=rf"EMBEDDING_FILE {re.escape(str(path))}.*\[V, 7\]"):
        start(init.SampledVocab(8, embedding_file=str(path)), width=7)
    with pytest.raises(FileNotFoundError, match="PROMPT_FILE.*absent.npy"):
        start(init.FromFile(tmp_path / "absent.npy"))
    with pytest.raises(ValueError, match=r"PROMPT_FILE.*\[5, 4\].*\(12, 4\).*PROMPT_LENGTH=12"):
        start(init.FromFile(path))
    with pytest.raises(ValueError, match="PROMPT_FILE.*width 4, this one's is 7"):
        start(init.AverageOf([path]), length=12, width=7)
