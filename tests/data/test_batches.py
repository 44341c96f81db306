import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from prompt_tuning.data.batches import Batches, ExampleRows, collate, eval_batches, generator
from prompt_tuning.data.examples import DataError
from tests.data.helpers import NumberRows, numbered_examples

counts = st.integers(1, 30)
seeds = st.integers(0, 2**40)


def shares(rows_a_host, hosts):
    """The rows of a batch that each host makes."""
    return [range(i * rows_a_host, (i + 1) * rows_a_host) for i in range(hosts)]


def test_rows_become_t5x_arrays():
    rows = ExampleRows(numbered_examples(2, lengths=(3, 2)), seed=0, shuffle=False)
    batch, ids = Batches(rows, 2, inputs_length=4, targets_length=3)(0)
    assert ids == ["0", "1"]
    assert batch["encoder_input_tokens"].tolist() == [[3, 3, 1, 0], [4, 4, 1, 0]]
    assert batch["decoder_target_tokens"].tolist() == [[3, 1, 0], [4, 1, 0]]
    assert batch["decoder_input_tokens"].tolist() == [[0, 3, 1], [0, 4, 1]]
    assert batch["decoder_loss_weights"].tolist() == [[1, 1, 0], [1, 1, 0]]
    assert {array.dtype for array in batch.values()} == {np.dtype(np.int32), np.dtype(np.float32)}


@given(counts, st.integers(1, 8), seeds, st.integers(0, 10**6))
def test_a_batch_depends_on_seed_and_step_alone(count, batch_size, seed, step):
    examples = numbered_examples(count)
    used = Batches(ExampleRows(examples, seed), batch_size, 3, 2)
    used(step + 3), used(0)  # neither history nor order of asking may matter
    batch, ids = used(step)
    fresh, fresh_ids = Batches(ExampleRows(examples, seed), batch_size, 3, 2)(step)
    assert ids == fresh_ids
    assert all(np.array_equal(batch[key], fresh[key]) for key in fresh)


@given(counts, st.integers(1, 8), seeds)
def test_every_epoch_has_each_example_once_across_batch_boundaries(count, batch_size, seed):
    batches = Batches(ExampleRows(numbered_examples(count), seed), batch_size, 3, 2)
    steps = -(-3 * count // batch_size)
    drawn = [example for step in range(steps) for example in batches(step)[1]]
    for epoch in range(3):
        assert sorted(drawn[epoch * count : (epoch + 1) * count], key=int) == [
            str(i) for i in range(count)
        ]


def test_epochs_and_seeds_have_orders_of_their_own():
    rows = [ExampleRows(numbered_examples(50), seed) for seed in (0, 1)]
    orders = [
        [source.row(epoch * 50 + i).id for i in range(50)] for source in rows for epoch in range(3)
    ]
    assert len({tuple(order) for order in orders}) == 6


@given(counts, st.integers(1, 4), st.sampled_from([1, 2, 4]), st.integers(0, 100))
def test_host_slices_join_to_the_single_host_batch(count, rows_a_host, hosts, step):
    rows = ExampleRows(numbered_examples(count), seed=3)
    whole, ids = Batches(rows, rows_a_host * hosts, 3, 2)(step)
    parts = [Batches(rows, len(ids), 3, 2, local)(step) for local in shares(rows_a_host, hosts)]
    assert [example for _, part in parts for example in part] == ids
    for key, array in whole.items():
        assert np.array_equal(np.concatenate([batch[key] for batch, _ in parts]), array)


@given(counts, st.integers(1, 4), st.sampled_from([1, 2, 4]))
def test_evaluation_visits_each_example_once_in_equally_many_full_batches(
    count, rows_a_host, hosts
):
    rows = ExampleRows(numbered_examples(count), seed=0, shuffle=False)
    parts = [
        list(eval_batches(rows, rows_a_host * hosts, 3, 2, local))
        for local in shares(rows_a_host, hosts)
    ]
    seen = [example for step in zip(*parts) for _, ids in step for example in ids]
    assert seen == [str(i) for i in range(count)]
    assert len({len(part) for part in parts}) == 1
    for batch, ids in (step for part in parts for step in part):
        assert batch["encoder_input_tokens"].shape == (rows_a_host, 3)
        assert batch["decoder_loss_weights"].any(axis=1).sum() == len(ids)
        assert not batch["encoder_input_tokens"][len(ids) :].any()


def test_a_row_that_does_not_fit_is_an_error_not_a_cut():
    row = NumberRows().row(7)
    with pytest.raises(
        DataError, match="n7: 2 tokens of targets, .* 1: raise targets in TASK_FEATURE_LENGTHS"
    ):
        collate([row], 1, inputs_length=2, targets_length=1)


def test_no_examples_is_an_error():
    with pytest.raises(DataError, match="no examples"):
        ExampleRows(numbered_examples(0), seed=0)


def test_generators_of_different_seeds_streams_and_indices_differ():
    draws = [
        generator(*place).integers(2**62)
        for place in [(0, 0, 0), (1, 0, 0), (0, 1, 0), (0, 0, 1), (2**40, 0, 2**33)]
    ]
    assert len(set(draws)) == 5
    streams = [set(generator(0, 0, index).integers(2**62, size=100).tolist()) for index in range(3)]
    assert len(set.union(*streams)) == 300  # none runs into the next
