"""Which examples stand in which part and row, and which shapes parts have."""

from hypothesis import given, strategies as st
import numpy as np
import pytest

from prompt_tuning.data import arrangements
from prompt_tuning.data import packing
from prompt_tuning.data.batches import Batches, Row
from prompt_tuning.data.examples import DataError
from prompt_tuning.methods import soft_prompt

T, L = 512, 16
PADDED, BUCKETED, PACKED = (
    arrangements.Padded(),
    arrangements.Bucketed(),
    arrangements.Packed(),
)
every = st.sampled_from([PADDED, BUCKETED, PACKED])


class Lengths:
    """Rows of given lengths, over and over; remembers which it was asked for."""

    def __init__(self, lengths):
        self._lengths, self.asked = lengths, []

    def row(self, index):
        self.asked.append(index)
        inputs, targets = self._lengths[index % len(self._lengths)]
        return Row(np.full(inputs, 3, np.int32), np.full(targets, 4, np.int32), str(index))


@st.composite
def steps(draw):
    """(step, rows): the devices and accumulation divide the batch."""
    devices, accumulate, more = (draw(st.integers(1, 4)) for _ in range(3))
    slots = packing.Slots(
        draw(st.sampled_from([0, 20, 100])), draw(st.sampled_from(["front", "end"]))
    )
    step = arrangements.Step(devices * accumulate * more, T, L, devices, accumulate, slots)
    sizes = st.tuples(st.integers(1, T), st.integers(1, L))
    return step, Lengths(draw(st.lists(sizes, min_size=1, max_size=step.batch_size)))


@given(every, steps(), st.integers(0, 3))
def test_each_example_is_in_one_part_whose_shape_is_known(arrangement, drawn, number):
    step, rows = drawn
    batches = arrangements.ArrangedBatches(rows, step, arrangement)
    parts, ids = batches(number)
    first = number * step.batch_size
    assert sorted(ids, key=int) == [str(first + i) for i in range(step.batch_size)]
    assert len(parts) >= step.accumulate
    tokens = 0
    for part in parts:
        assert part["encoder_input_tokens"].shape + part["decoder_input_tokens"].shape[1:] in [
            tuple(shape) for shape in batches.shapes
        ]
        assert len(part["encoder_input_tokens"]) % step.devices == 0
        tokens += (part["encoder_input_tokens"] > 0).sum()
    assert tokens == sum(len(rows.row(first + i).inputs) for i in range(step.batch_size))


@given(every, steps())
def test_the_parts_of_a_step_depend_on_nothing_else(arrangement, drawn):
    step, rows = drawn
    used = arrangements.ArrangedBatches(rows, step, arrangement)
    used(5), used(0)
    for one, other in zip(
        used(2)[0], arrangements.ArrangedBatches(rows, step, arrangement)(2)[0], strict=True
    ):
        assert all(np.array_equal(one[name], other[name]) for name in one)


@given(every, steps())
def test_parts_of_hosts_join_to_the_whole_parts(arrangement, drawn):
    step, rows = drawn
    whole, _ = arrangements.ArrangedBatches(rows, step, arrangement)(1)
    hosts = [
        arrangements.ArrangedBatches(
            rows, step, arrangement, lambda count, i=i: range(count)[i :: step.devices]
        )(1)[0]
        for i in range(step.devices)
    ]
    for part, *shares in zip(whole, *hosts, strict=True):
        for name, array in part.items():
            for i, share in enumerate(shares):
                np.testing.assert_array_equal(share[name], array[i :: step.devices])


def test_padded_is_the_batch_as_it_is_drawn_and_a_host_makes_its_own_rows_alone():
    rows, own = Lengths([(5, 2), (9, 1)]), [1, 3]
    batches = arrangements.ArrangedBatches(rows, arrangements.Step(4, T, L), PADDED, lambda _: own)
    (part,), ids = batches(2)
    assert rows.asked == [9, 11] and ids == ["9", "11"]
    expected, _ = Batches(rows, 4, T, L, own)(2)
    assert all(np.array_equal(part[name], expected[name]) for name in expected)


def shapes(arrangement, batch_size, inputs_length, **others):
    step = arrangements.Step(batch_size, inputs_length, L, **others)
    return [tuple(shape) for shape in arrangement.shapes(step)]


def test_buckets_are_few_and_none_is_very_short():
    assert shapes(BUCKETED, 32, 512) == [(4, 64 * (i + 1), L) for i in range(8)]
    assert shapes(BUCKETED, 128, 128) == [(16, 64, L), (16, 128, L)]
    assert shapes(BUCKETED, 16, 100) == [(16, 64, L), (16, 100, L)]  # too few tokens to divide
    assert shapes(BUCKETED, 32, 64) == [(32, 64, L)]  # one bucket: nothing to sort for
    assert shapes(arrangements.Bucketed(2, 2), 32, 300) == [(16, 152, L), (16, 300, L)]


def test_groups_divide_the_examples_over_the_devices():
    assert shapes(BUCKETED, 64, 512, devices=8)[0][0] == 32
    assert shapes(BUCKETED, 32, 512, devices=8)[0][0] == 32  # 2,048 tokens a device
    assert shapes(BUCKETED, 96, 512, devices=8)[0][0] == 32
    assert shapes(BUCKETED, 8, 512, devices=8)[0][0] == 8
    assert shapes(BUCKETED, 32, 512, accumulate=16)[0][0] == 2
    assert shapes(BUCKETED, 60, 512, accumulate=3)[0][0] == 10


def test_examples_of_like_length_share_a_bucket():
    lengths = [(n, 1) for n in (500, 10, 60, 120, 30, 128, 400, 20)]
    step = arrangements.Step(8, T, L)
    parts, ids = arrangements.ArrangedBatches(
        Lengths(lengths), step, arrangements.Bucketed(groups=4, tokens=1)
    )(0)
    assert [part["encoder_input_tokens"].shape for part in parts] == [
        (2, 64),
        (2, 64),
        (2, 128),
        (2, 512),
    ]
    assert ids == ["1", "7", "4", "2", "3", "5", "6", "0"]


def test_short_examples_fill_the_rows_of_long_ones():
    lengths = [(n, 1) for n in (512, 300, 10, 100, 20, 200, 5, 30)]
    step = arrangements.Step(8, T, L, slots=packing.Slots(20))
    (part,), _ = arrangements.ArrangedBatches(Lengths(lengths), step, PACKED)(0)
    # With 20 slots each, in rows of 536: 512 | 300, 100, 30 and 20 | 200, 10 and 5.
    segments = part["encoder_segment_ids"]
    assert segments.shape == (3, 536) and part["decoder_segment_ids"].shape == (3, 2 * L)
    assert segments.max(axis=1).tolist() == [1, 4, 3] and (segments > 0).sum() == 1177 + 8 * 20


def test_a_decoder_row_that_is_full_takes_no_more_targets():
    step = arrangements.Step(4, T, L)
    (part,), _ = arrangements.ArrangedBatches(Lengths([(5, L)]), step, PACKED)(0)
    assert part["decoder_segment_ids"].max(axis=1).tolist() == [2, 2]


def test_rows_of_packed_examples():
    rows = [
        [
            Row(np.array([5, 6, 1]), np.array([8, 1]), "a"),
            Row(np.array([7, 1]), np.array([1]), "b"),
        ],
        [],
    ]
    batch = packing.pack(rows, 10, 4, packing.Slots(2, "after_first"))
    assert {name: x.tolist() for name, x in batch.items()} == {
        "encoder_input_tokens": [[5, 0, 0, 6, 1, 7, 0, 0, 1, 0], [0] * 10],
        "encoder_segment_ids": [[1, 1, 1, 1, 1, 2, 2, 2, 2, 0], [0] * 10],
        "decoder_input_tokens": [[0, 8, 0, 0], [0] * 4],
        "decoder_target_tokens": [[8, 1, 1, 0], [0] * 4],
        "decoder_segment_ids": [[1, 1, 2, 0], [0] * 4],
        "decoder_loss_weights": [[1, 1, 1, 0], [0] * 4],
    }


@pytest.mark.parametrize("arrangement", [PADDED, BUCKETED, PACKED])
def test_an_example_that_is_too_long_is_an_error_not_a_cut(arrangement):
    step = arrangements.Step(2, 8, 4)
    with pytest.raises(DataError, match="example 1: 9 tokens of inputs, .*raise inputs in TASK"):
        arrangements.ArrangedBatches(Lengths([(8, 4), (9, 4)]), step, arrangement)(0)


def test_a_decoder_prompt_cannot_be_packed():
    step = arrangements.Step(2, 8, 4, slots=soft_prompt.SoftPrompt(decoder_length=3).slots)
    assert arrangements.ArrangedBatches(Lengths([(8, 4)]), step, BUCKETED)(0)
    with pytest.raises(
        ValueError, match="leave ARRANGEMENT at its default, or.*decoder_length = 0"
    ):
        arrangements.ArrangedBatches(Lengths([(8, 4)]), step, PACKED)


@pytest.mark.parametrize("kind", [arrangements.Bucketed, arrangements.Packed])
def test_counts_are_at_least_one(kind):
    with pytest.raises(ValueError, match=f"{kind.__name__}.* must be at least 1"):
        kind(0)
