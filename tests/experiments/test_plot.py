"""What is drawn are the means and deviations of the table, each where the plan puts it."""

import statistics
import sys

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest

pytest.importorskip("matplotlib")

from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file
from prompt_tuning.experiments import plot

PLAN = """
name = "length"
metric = "accuracy"
[axes.task]
spam = {}
gloss = {}
[axes.method]
soft = {}
hard = {}
[axes.length]
"20" = { x = 20 }
"1" = { x = 1 }
"100" = { x = 100 }
[axes.seed]
"0" = {}
"1" = {}
"2" = {}
[evaluations.test]
[figure]
kind = "curve"
x = "length"
series = "method"
panel = "task"
over = "seed"
log_x = true
x_label = "rows"
"""
LENGTHS = (1, 20, 100)


def read(folder, text=PLAN):
    (folder / "plan.toml").write_text(text)
    return plan_file.read(str(folder / "plan.toml"))


@pytest.fixture
def plan(tmp_path):
    return read(tmp_path)


def rows_of(plan, score, **more):
    """A row a cell, in the order of the plan; `score` says which has which."""
    scored = [(cell.values, score(**cell.values)) for cell in plan.cells()]
    return [
        {**values, "evaluation": "test", "ensemble": 0, "accuracy": x, **more}
        for values, x in scored
        if x is not None
    ]


def accuracy(task, method, length, seed, **_):
    first = {"spam": 50, "gloss": 20}[task] + {"soft": 5, "hard": 0}[method]
    return first + int(length) / 10 + int(seed) ** 2


def band_of(collection):
    """x -> (lower, upper) of a filled band."""
    found = {}
    for x, y in collection.get_paths()[0].vertices.tolist():
        low, high = found.get(x, (y, y))
        found[x] = (min(low, y), max(high, y))
    return found


def test_a_panel_a_task_and_a_line_a_method(plan):
    table = rows_of(plan, accuracy)
    figure = plot.curve(plan, table)
    assert [axes.get_title() for axes in figure.axes] == ["spam", "gloss"]
    (legend,) = figure.legends  # one for all panels
    assert [x.get_text() for x in legend.get_texts()] == ["soft", "hard"]
    assert legend.get_title().get_text() == "method"
    for task, axes in zip(plan.axes["task"], figure.axes):
        assert axes.get_xscale() == "log" and axes.get_xlabel() == "rows"
        assert axes.get_ylabel() == "accuracy, mean ± SD over seed"
        assert axes.get_xticks().tolist() == [20, 1, 100]
        assert [x.get_text() for x in axes.get_xticklabels()] == ["20", "1", "100"]
        for method, line, band in zip(plan.axes["method"], axes.lines, axes.collections):
            scores = [
                [accuracy(task, method, length, seed) for seed in range(3)] for length in LENGTHS
            ]
            assert line.get_label() == method
            assert line.get_xdata().tolist() == list(LENGTHS)
            means, deviations = np.mean(scores, axis=1), np.std(scores, axis=1, ddof=1)
            np.testing.assert_allclose(line.get_ydata(), means)
            found = band_of(band)
            np.testing.assert_allclose(
                [found[x] for x in LENGTHS],
                np.stack([means - deviations, means + deviations], axis=1),
            )


SCORES = st.lists(st.floats(0, 100), min_size=2, max_size=3)


@hypothesis.settings(max_examples=20)
@hypothesis.given(st.lists(SCORES, min_size=3, max_size=3))
def test_any_scores_are_drawn_as_their_mean_and_sample_deviation(tmp_path_factory, scores):
    plan = read(tmp_path_factory.mktemp("plan"))
    by_length = dict(zip(map(str, LENGTHS), scores))

    def score(task, method, length, seed):
        values = by_length[length]
        seed = int(seed)
        return values[seed] if (task, method) == ("spam", "soft") and seed < len(values) else None

    axes, _ = plot.curve(plan, rows_of(plan, score)).axes
    (line,), (band,) = axes.lines, axes.collections
    np.testing.assert_allclose(line.get_ydata(), [statistics.mean(x) for x in scores], atol=1e-9)
    widths = [high - low for _, (low, high) in sorted(band_of(band).items())]
    np.testing.assert_allclose(widths, [2 * statistics.stdev(x) for x in scores], atol=1e-6)


def test_a_panel_without_the_metric_is_left_out(plan):
    table = rows_of(plan, accuracy)
    for row in table:
        if row["task"] == "gloss":
            row["gloss/accuracy"] = row.pop("accuracy")
    (axes,) = plot.curve(plan, table).axes
    assert axes.get_title() == "spam"


def test_one_seed_has_no_band(plan):
    table = rows_of(plan, lambda **x: accuracy(**x) if x["seed"] == "1" else None)
    figure = plot.curve(plan, table)
    for axes in figure.axes:
        assert len(axes.lines) == 2 and not axes.collections
        assert axes.get_ylabel() == "accuracy"


def test_a_point_of_one_seed_has_no_width_but_others_have(plan):
    def score(**x):
        alone = x["length"] == "100" and x["seed"] != "0"
        return None if alone else accuracy(**x)

    axes, _ = plot.curve(plan, rows_of(plan, score)).axes
    assert axes.lines[0].get_xdata().tolist() == list(LENGTHS)
    told = [(text.get_text(), text.xy) for text in axes.texts]
    assert told == [("1 of 3", (100, axes.lines[n].get_ydata()[-1])) for n in (0, 1)]
    assert set(band_of(axes.collections[0])) == {1, 20}


def test_what_is_not_done_is_left_out(plan):
    def score(**x):
        missing = x["length"] == "20" or x["method"] == "hard" or x["task"] == "gloss"
        return None if missing else accuracy(**x)

    done, empty = plot.curve(plan, rows_of(plan, score)).axes
    (line,) = done.lines
    assert line.get_xdata().tolist() == [1, 100]
    assert not empty.lines


CATEGORIES = PLAN.replace('x = "length"', 'x = "method"').replace(
    'series = "method"', 'series = "length"'
)
CATEGORIES = CATEGORIES.replace("log_x = true\n", "")


def test_values_without_numbers_are_points_side_by_side_with_bars(tmp_path):
    plan = read(tmp_path, CATEGORIES)
    axes, _ = plot.curve(plan, rows_of(plan, accuracy)).axes
    assert [x.get_text() for x in axes.get_xticklabels()] == ["soft", "hard"]
    assert not axes.collections or len(axes.containers) == 3
    shifts = []
    for length, (points, _, (bars,)) in zip(plan.axes["length"], axes.containers):
        scores = np.array(
            [[accuracy("spam", x, length, seed) for seed in range(3)] for x in ("soft", "hard")]
        )
        mean, deviation = scores.mean(1), scores.std(1, ddof=1)
        np.testing.assert_allclose(points.get_ydata(), mean)
        ends = [segment[:, 1].tolist() for segment in bars.get_segments()]
        np.testing.assert_allclose(ends, np.stack([mean - deviation, mean + deviation], 1))
        shifts.append(points.get_xdata() - np.arange(2))
    shifts = np.array(shifts)
    assert np.all(np.diff(shifts, axis=0) > 0.1) and np.abs(shifts).max() < 0.5
    np.testing.assert_allclose(shifts.sum(axis=0), 0, atol=1e-9)


def test_one_number_on_the_axis_has_a_bar(plan):
    table = rows_of(plan, lambda **x: accuracy(**x) if x["length"] == "20" else None)
    axes, _ = plot.curve(plan, table).axes
    assert [points.get_xdata().tolist() for points, _, _ in axes.containers] == [[20], [20]]


def test_evaluations_can_be_an_axis(tmp_path):
    text = PLAN.replace('panel = "task"', 'panel = "evaluation"').replace("gloss = {}\n", "")
    plan = read(tmp_path, text + "[evaluations.moved]\n")
    table = rows_of(plan, accuracy)
    moved = [{**row, "evaluation": "moved", "accuracy": row["accuracy"] / 2} for row in table]
    test, half = plot.curve(plan, table + moved).axes
    assert (test.get_title(), half.get_title()) == ("test", "moved")
    np.testing.assert_allclose(half.lines[0].get_ydata(), test.lines[0].get_ydata() / 2)


def test_ensembles_are_no_runs(plan):
    table = rows_of(plan, accuracy)
    voted = [{**row, "seed": "", "ensemble": 3, "accuracy": 99.0} for row in table[::3]]
    with_them, without = plot.curve(plan, table + voted), plot.curve(plan, table)
    for one, other in zip(with_them.axes, without.axes):
        assert one.lines[0].get_ydata().tolist() == other.lines[0].get_ydata().tolist()


def test_levels_are_columns_of_the_table(tmp_path):
    plan = read(tmp_path, PLAN + 'levels = ["majority", "frozen"]\n')
    majority = {"spam": 86.6, "gloss": 25.0}
    table = [{**row, "majority": majority[row["task"]]} for row in rows_of(plan, accuracy)]
    table[0]["frozen"] = 3.0  # of the first panel alone
    figure = plot.curve(plan, table)
    labels = [[line.get_label() for line in axes.lines[2:]] for axes in figure.axes]
    assert labels == [["majority", "frozen"], ["majority"]]
    for task, axes in zip(majority, figure.axes):
        np.testing.assert_allclose(axes.lines[2].get_ydata(), majority[task])


def test_a_level_that_is_no_column_is_named(tmp_path):
    plan = read(tmp_path, PLAN + 'levels = ["majority"]\n')
    with pytest.raises(plans.PlanError, match="levels: expected columns.*'majority'; .*accuracy"):
        plot.curve(plan, rows_of(plan, accuracy))


def test_rows_that_differ_unseen_are_not_averaged(tmp_path):
    plan = read(tmp_path, PLAN.replace('panel = "task"\n', ""))
    with pytest.raises(plans.PlanError, match=r"would draw task spam, gloss as one: give 'task'"):
        plot.curve(plan, rows_of(plan, accuracy))
    of_one_task = [row for row in rows_of(plan, accuracy) if row["task"] == "spam"]
    assert len(plot.curve(plan, of_one_task).axes) == 1


def test_a_metric_that_is_not_there_is_named(plan):
    table = [{"f1": row.pop("accuracy"), **row} for row in rows_of(plan, accuracy)]
    with pytest.raises(ValueError, match="metric is 'accuracy', but the scores are f1"):
        plot.curve(plan, table)
    with pytest.raises(ValueError, match="metric is 'accuracy', but nothing is scored yet"):
        plot.curve(plan, [])


@pytest.mark.parametrize("change", [{"length": "5"}, {"evaluation": "train"}])
def test_a_table_of_another_plan_is_refused(plan, change):
    (value,) = change.values()
    with pytest.raises(ValueError, match=f"but the table has {value}: .* collect again"):
        plot.curve(plan, [{**row, **change} for row in rows_of(plan, accuracy)])


def test_files(plan, tmp_path, monkeypatch):
    monkeypatch.delitem(sys.modules, "matplotlib.pyplot", raising=False)  # other tests may have it
    png, svg = plot.draw(plan, rows_of(plan, accuracy), tmp_path / "out")
    assert (png, svg) == (tmp_path / "out/figure.png", tmp_path / "out/figure.svg")
    assert png.read_bytes().startswith(b"\x89PNG") and "</svg>" in svg.read_text()
    assert sorted(file.name for file in png.parent.iterdir()) == ["figure.png", "figure.svg"]
    assert "matplotlib.pyplot" not in sys.modules


def test_without_matplotlib_figures_say_what_to_install_and_tables_are_written(
    tmp_path, monkeypatch
):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    curve = read(tmp_path)
    with pytest.raises(ImportError, match=r'pip install "prompt_tuning\[demo\]"'):
        plot.draw(curve, rows_of(curve, accuracy), tmp_path)
    table = read(tmp_path, PLAN.replace('"curve"', '"table"').split("log_x")[0])
    (file,) = plot.draw(table, rows_of(table, accuracy), tmp_path)
    assert file == tmp_path / "figure.md" and "| spam | 20 |" in file.read_text()
