import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.objectives import PrefixLM, SpanCorruption, _random_partition
from prompt_tuning.data.vocabulary import ByteVocabulary

VOCABULARY = ByteVocabulary(extra_ids=100)
FIRST_SENTINEL = VOCABULARY.vocab_size - 100

lengths = st.integers(8, 200)
seeds = st.integers(0, 2**32)


def chunk_of(objective, rng) -> np.ndarray:
    return rng.integers(3, FIRST_SENTINEL, objective.chunk_length).astype(np.int32)


def restore(inputs: np.ndarray, targets: np.ndarray) -> list[int]:
    """The chunk that was corrupted: spans from the targets put where their sentinels stand in the
    inputs.
    """
    spans, text = {}, []
    for token in targets.tolist():
        if token >= FIRST_SENTINEL:
            spans[token] = current = []
        else:
            current.append(token)
    for token in inputs.tolist():
        text += spans.pop(token) if token >= FIRST_SENTINEL else [token]
    assert not spans
    return text


@given(lengths, lengths, st.floats(0.05, 0.6), st.floats(1, 6), seeds)
def test_span_corruption_can_be_undone_and_fits(
    inputs_length, targets_length, density, mean_span, seed
):
    objective = SpanCorruption(VOCABULARY, inputs_length, targets_length, density, mean_span)
    rng = np.random.default_rng(seed)
    chunk = chunk_of(objective, rng)
    inputs, targets = objective(chunk, rng)
    assert restore(inputs, targets) == chunk.tolist()
    assert len(inputs) < inputs_length and len(targets) < targets_length  # room for eos
    sentinels = [VOCABULARY.sentinel_id(i) for i in range(objective.spans)]
    assert (
        [i for i in inputs if i >= FIRST_SENTINEL]
        == [i for i in targets if i >= FIRST_SENTINEL]
        == sentinels
    )
    assert inputs.dtype == targets.dtype == np.int32


def test_the_paper_s_lengths():
    # T5 pre-trains on 512 inputs and 114 targets, for which it cuts the text every 568 tokens.
    objective = SpanCorruption(VOCABULARY, 512, 114)
    assert (objective.chunk_length, objective.noise, objective.spans) == (568, 85, 28)
    inputs, targets = objective(np.full(568, 3, np.int32), np.random.default_rng(0))
    assert (len(inputs), len(targets)) == (511, 113)


def test_inputs_are_as_long_as_they_can_be():
    for length in range(16, 120):
        objective = SpanCorruption(VOCABULARY, length, length)
        inputs, _ = objective(
            np.full(objective.chunk_length, 3, np.int32), np.random.default_rng(0)
        )
        assert length - 2 <= len(inputs) <= length - 1


def test_spans_vary_with_the_generator_and_not_otherwise():
    objective = SpanCorruption(VOCABULARY, 64, 32)
    chunk = chunk_of(objective, np.random.default_rng(0))
    draws = [objective(chunk, np.random.default_rng(seed))[0].tolist() for seed in (1, 1, 2)]
    assert draws[0] == draws[1] != draws[2]


def test_noise_falls_everywhere_alike():
    objective = SpanCorruption(VOCABULARY, 96, 32)
    rng = np.random.default_rng(0)
    chunk = np.arange(3, 3 + objective.chunk_length, dtype=np.int32)
    noise = np.concatenate([objective(chunk, rng)[1] for _ in range(2000)])
    hits = np.bincount(noise[noise < FIRST_SENTINEL] - 3, minlength=len(chunk)) / 2000
    density = objective.noise / objective.chunk_length
    assert (
        np.abs(hits[15:-15] - density).max() < 0.05
    )  # text begins kept and ends in noise, as T5's does


@pytest.mark.parametrize("total, parts", [(1, 1), (4, 1), (4, 4), (5, 2)])
def test_partitions_are_positive_and_add_up(total, parts):
    partitions = {
        tuple(_random_partition(np.random.default_rng(seed), total, parts).tolist())
        for seed in range(100)
    }
    assert all(
        sum(partition) == total and min(partition) >= 1 and len(partition) == parts
        for partition in partitions
    )
    assert len(partitions) == {(5, 2): 4}.get((total, parts), 1)


def test_too_short_rows_are_refused():
    with pytest.raises(ValueError, match="into 2 inputs and 3 targets: raise TASK_FEATURE_LENGTHS"):
        SpanCorruption(VOCABULARY, 2, 3)
    with pytest.raises(ValueError, match="two tokens a side.*: raise TASK_FEATURE_LENGTHS"):
        PrefixLM(VOCABULARY, 1, 5)


def test_more_spans_than_sentinels_are_refused():
    with pytest.raises(ValueError, match="sentinel 2 asked for"):
        SpanCorruption(ByteVocabulary(extra_ids=2), 64, 32)


@given(st.integers(2, 60), st.integers(2, 60), seeds)
def test_a_prefix_and_its_continuation_are_the_chunk_and_fit(inputs_length, targets_length, seed):
    objective = PrefixLM(VOCABULARY, inputs_length, targets_length)
    rng = np.random.default_rng(seed)
    chunk = chunk_of(objective, rng)
    inputs, targets = objective(chunk, rng)
    assert [*inputs, *targets] == chunk.tolist()
    assert 0 < len(inputs) < inputs_length and 0 < len(targets) < targets_length


def test_with_equal_lengths_every_split_is_drawn():
    objective = PrefixLM(VOCABULARY, 6, 6)
    rng = np.random.default_rng(0)
    splits = {len(objective(np.arange(6, dtype=np.int32), rng)[0]) for _ in range(200)}
    assert splits == {1, 2, 3, 4, 5}
