"""The numbers in plots are those that were found."""

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from matplotlib import figure

from prompt_tuning.understanding import figures

VOCABULARY = np.arange(101, dtype=np.float32)


@pytest.fixture
def axes():
    return figure.Figure(layout="constrained").add_subplot()


def lines(axes):
    return {line.get_label(): line.get_xydata().tolist() for line in axes.get_lines()}


def band(axes):
    return next(x for x in axes.patches if x.get_label() == "vocabulary, 5 to 95 %").get_bbox()


def test_cosines_as_shares(axes):
    figures.nearest_cosines(axes, [0.9, 0.9, 0.5], [0.1] * 20)
    control, own = ([bar.get_height() for bar in found] for found in axes.containers)
    assert own[-1] == pytest.approx(2 / 3) and sum(own) == pytest.approx(1)
    assert control[0] == pytest.approx(1) and len(own) == len(control)


def test_cosines_that_are_all_the_same_have_a_bin(axes):
    figures.nearest_cosines(axes, [0.5], [0.5])
    assert [sum(bar.get_height() for bar in found) for found in axes.containers] == [1, 1]


def test_norms_stand_before_the_vocabularys_band(axes):
    figures.row_norms(axes, np.array([7.0, 9.0]), VOCABULARY)
    assert [bar.get_height() for bar in axes.containers[0]] == [7, 9]
    assert (band(axes).ymin, band(axes).ymax) == (5, 95)


def test_norms_over_training(axes):
    saves = {10: np.array([1.0, 3.0]), 30: np.array([2.0, 6.0])}
    figures.norms_over_training(axes, saves, VOCABULARY)
    assert lines(axes)["mean row"] == [[10, 2], [30, 4]]
    (filled,) = axes.collections
    corners = {tuple(x) for x in filled.get_paths()[0].vertices.tolist()}
    assert corners == {(10, 1), (10, 3), (30, 2), (30, 6)}
    assert (band(axes).ymin, band(axes).ymax) == (5, 95)


def test_norm_of_all_that_is_trained(axes):
    figures.trained_norm(axes, {5: 1.5, 10: 2.5})
    assert [x.get_xydata().tolist() for x in axes.get_lines()] == [[[5, 1.5], [10, 2.5]]]


def test_attention_by_layer(axes):
    figures.attention_mass(axes, {"encoder": [0.25, 0.5], "cross": [0.75]}, 0.125)
    found = lines(axes)
    assert found["encoder"] == [[0, 0.25], [1, 0.5]] and found["cross"] == [[0, 0.75]]
    assert {y for _, y in found["input tokens, all alike"]} == {0.125}


@pytest.mark.parametrize("count", [3, figures.NUMBERED + 1])
def test_a_matrix_has_its_names_and_where_there_is_room_its_numbers(axes, count):
    values = np.random.default_rng(0).uniform(-1, 1, (count, count))
    names = [f"prompt {i}" for i in range(count)]
    figures.matrix(axes, names, values)
    np.testing.assert_array_equal(axes.images[0].get_array(), values)
    assert axes.images[0].get_clim() == (-1, 1)
    assert [x.get_text() for x in axes.get_yticklabels()] == names
    assert [x.get_text() for x in axes.get_xticklabels()] == names
    numbers = {x.get_position(): x.get_text() for x in axes.texts}
    if count == 3:
        assert numbers == {(j, i): f"{x:.2f}" for (i, j), x in np.ndenumerate(values)}
    else:
        assert numbers == {}


def test_dollar_signs_are_letters():
    names = ["$\\frac$", "a$b$"]
    found = figures.svg(lambda axes: figures.matrix(axes, names, np.eye(2)))
    assert found.startswith(b"<?xml") and b"</svg>" in found
