from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from prompt_tuning.data.batches import Batches
from prompt_tuning.data.examples import DataError
from prompt_tuning.data.mixtures import CYCLE_LENGTH, MixedRows
from tests.data.helpers import NumberRows

rates = st.lists(st.floats(0.01, 100), min_size=1, max_size=5)


def mixture(values, seed=0) -> MixedRows:
    names = [chr(ord("a") + i) for i in range(len(values))]
    return MixedRows({name: NumberRows() for name in names}, dict(zip(names, values)), seed)


@pytest.mark.parametrize("values", [[3, 1], [1, 1, 1], [0.001, 5, 0.3], [2]])
def test_rates_are_met_to_one_row_a_cycle(values):
    mixed = mixture(values)
    drawn = Counter(mixed.row(i).id[0] for i in range(CYCLE_LENGTH))
    for name, rate in zip("abc", values):
        assert abs(drawn[name] - rate / sum(values) * CYCLE_LENGTH) < 1


def test_rates_are_met_within_a_short_run_too():
    mixed = mixture([3, 1])
    drawn = Counter(mixed.row(i).id[0] for i in range(4000))
    assert abs(drawn["a"] / 4000 - 0.75) < 0.03


def test_each_source_is_read_in_its_own_order_without_gaps_over_cycles():
    source = NumberRows()
    mixed = MixedRows({"few": source, "many": NumberRows()}, {"few": 1, "many": 9999}, seed=0)
    for index in range(3 * CYCLE_LENGTH):
        mixed.row(index)
    assert source.asked == list(range(len(source.asked))) and len(source.asked) > 15


@settings(max_examples=25)
@given(rates, st.integers(0, 2**32), st.integers(0, 10**7))
def test_rows_depend_on_seed_and_index_alone(values, seed, index):
    assert mixture(values, seed).row(index).id == mixture(values, seed).row(index).id


def test_seeds_have_orders_of_their_own():
    orders = [
        [mixed.row(i).id[0] for i in range(64)]
        for mixed in (mixture([1, 1], 0), mixture([1, 1], 1))
    ]
    assert orders[0] != orders[1]


def test_mixtures_nest_and_make_batches():
    outer = MixedRows({"in": mixture([1, 1]), "c": NumberRows()}, {"in": 1, "c": 1}, seed=0)
    _, ids = Batches(outer, 16, 2, 2)(0)
    assert {name.rsplit("/", 1)[0] for name in ids} == {"in/a", "in/b", "c"}


@pytest.mark.parametrize("bad", [0, -1, float("nan"), float("inf")])
def test_bad_rates_are_refused(bad):
    with pytest.raises(DataError, match="must be positive numbers"):
        mixture([1, bad])


def test_a_rate_too_small_ever_to_be_drawn_is_refused():
    with pytest.raises(DataError, match=r"rates of \['b'\] are under one row in 65536"):
        mixture([1, 1e-6])


def test_every_source_needs_a_rate():
    with pytest.raises(DataError, match=r"mixture of \['a'\] has rates for \['a', 'b'\]"):
        MixedRows({"a": NumberRows()}, {"a": 1, "b": 1}, seed=0)
