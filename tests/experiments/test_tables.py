"""Tables like the paper's 1 to 3, with its numbers beside ours where it has any."""

import statistics

import pytest

from prompt_tuning.data.metrics.super_glue import SUPER_GLUE_SCORES
from prompt_tuning.experiments import collect
from prompt_tuning.experiments import paper
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file
from prompt_tuning.experiments import tables

TRANSFER = """
name = "transfer"
metric = "squad_f1"
[axes.task]
squad = {}
[axes.method]
"prompt tuning" = {}
"model tuning" = {}
adapters = {}
[axes.seed]
"0" = {}
"1" = {}
[evaluations.SQuAD]
[evaluations.textbook_qa]
[evaluations.ours]
[figure]
kind = "table"
series = "method"
over = "seed"
"""


def read(folder, text):
    (folder / "plan.toml").write_text(text)
    return plan_file.read(str(folder / "plan.toml"))


def rows_of(plan, score):
    """A row for each evaluation of each cell and ensemble; `score(values, evaluation)` are its scores,
    or None."""
    cells = plan.cells()
    return [
        {axis: job.values.get(axis, "") for axis in plan.axes}
        | {"evaluation": name, "ensemble": len(getattr(job, "members", ()))}
        | scores
        for job in [*cells, *plan.ensembles(cells)]
        for name in plan.evaluations
        if (scores := score(job.values, name)) is not None
    ]


def cells_of(text):
    """First cells of a row -> heading -> cell."""
    header, ruler, *lines = [
        line.strip("|").split("|") for line in text.split("\n\n")[0].split("\n")
    ]
    header = [cell.strip() for cell in header]
    texts = [cell.strip() for cell in ruler].index("--:")
    found = {}
    for line in lines:
        cells = [cell.strip() for cell in line]
        assert len(cells) == len(header)
        found[tuple(cells[: texts - 1])] = dict(zip(header[texts - 1 :], cells[texts - 1 :]))
    return found


def test_zero_shot_transfer_has_a_row_an_evaluation_and_a_column_a_method(tmp_path):
    plan = read(tmp_path, TRANSFER)

    def score(values, name):
        if (name, values["method"]) == ("ours", "adapters"):
            return None
        of_method = {"prompt tuning": 60, "model tuning": 50, "adapters": 40}[values["method"]]
        return {"squad_f1": of_method + 2 * int(values["seed"]), "squad_em": 0.0}

    text = tables.render(plan, rows_of(plan, score))
    prompt = {"metric": "squad_f1", "prompt tuning": "61.0 ± 1.4", "prompt tuning (paper)": "94.8"}
    model = {"model tuning": "51.0 ± 1.4", "model tuning (paper)": "94.9"}
    ours = cells_of(text)
    assert ours["SQuAD",] == prompt | model | {"adapters": "41.0 ± 1.4"}
    assert list(ours["SQuAD",]) == [*prompt, *model, "adapters"]
    moved = ours["textbook_qa",]
    assert (moved["prompt tuning (paper)"], moved["model tuning (paper)"]) == ("66.8", "54.3")
    assert ours["ours",]["prompt tuning (paper)"] == ours["ours",]["adapters"] == tables.NONE
    assert "paper: arXiv 2104.08691, Table 1: trained on SQuAD" in text


PARAPHRASES = TRANSFER.replace("squad = {}", "QQP = {}\nMRPC = {}").replace("SQuAD", "mrpc")
PARAPHRASES = PARAPHRASES.replace("textbook_qa", "qqp").replace("squad_f1", "accuracy")
PARAPHRASES = PARAPHRASES.replace('series = "method"', 'series = "method"\npanel = "task"')


def test_two_metrics_share_a_cell_where_the_paper_has_two(tmp_path):
    plan = read(tmp_path, PARAPHRASES)
    table = rows_of(plan, lambda values, name: {"accuracy": 70.0, "f1": 80 + int(values["seed"])})
    text = tables.render(plan, table)
    found = cells_of(text)
    assert set(found) == {(task, x) for task in ("QQP", "MRPC") for x in ("mrpc", "qqp", "ours")}
    moved = found["QQP", "mrpc"]
    assert moved["metric"] == "accuracy/f1"
    assert moved["prompt tuning"] == "70.0 ± 0.0/80.5 ± 0.7"
    assert moved["prompt tuning (paper)"] == "76.3/84.3"
    assert found["MRPC", "qqp"]["model tuning (paper)"] == "74.9/70.9"
    # On the dataset that it was trained on, and on others, the paper's table has nothing.
    for place in (("QQP", "qqp"), ("MRPC", "ours")):
        assert found[place]["metric"] == "accuracy"
        assert found[place]["prompt tuning"] == "70.0 ± 0.0"
        assert found[place]["prompt tuning (paper)"] == tables.NONE


def test_a_metric_that_the_paper_does_not_have_is_shown_alone(tmp_path):
    plan = read(tmp_path, TRANSFER.replace('"squad_f1"', '"squad_em"'))
    table = rows_of(plan, lambda values, name: {"squad_f1": 60.0, "squad_em": 50.0})
    text = tables.render(plan, table)
    assert cells_of(text)["SQuAD",]["prompt tuning"] == "50.0 ± 0.0"
    assert "paper" not in text


def test_a_score_that_is_missing_leaves_the_others(tmp_path):
    plan = read(tmp_path, PARAPHRASES)
    table = rows_of(plan, lambda values, name: {"accuracy": 70.0})
    assert cells_of(tables.render(plan, table))["QQP", "mrpc"]["prompt tuning"] == "70.0 ± 0.0/–"


TASKS = ("BoolQ", "CB", "COPA", "MultiRC", "ReCoRD", "RTE", "WiC", "WSC")
ENSEMBLE = """
name = "ensemble"
metric = "accuracy"
[axes.task]
{}
[axes.seed]
"0" = {{}}
"1" = {{}}
"2" = {{}}
[evaluations.validation]
[ensemble]
axis = "seed"
[figure]
kind = "table"
x = "task"
over = "seed"
"""


def ensemble_plan(folder, tasks=TASKS):
    return read(folder, ENSEMBLE.format("\n".join(f"{task} = {{}}" for task in tasks)))


def scores_of(values, evaluation=None):
    """Of seed n, 60 + 10 n in the first metric and 80 in the others; ensembles have 90 in all."""
    names = SUPER_GLUE_SCORES[values["task"].lower()]
    if "seed" not in values:
        return dict.fromkeys(names, 90.0)
    return dict.fromkeys(names, 80.0) | {names[0]: 60.0 + 10 * int(values["seed"])}


def test_five_prompts_their_best_and_their_ensemble(tmp_path):
    plan = ensemble_plan(tmp_path)
    text = tables.render(plan, rows_of(plan, scores_of))
    found = cells_of(text)
    assert list(found["RTE",]) == ["metric"] + [
        name for x in paper.STATISTICS for name in (x, f"{x} (paper)")
    ]
    assert found["RTE",] == {
        "metric": "accuracy",
        "average": "70.0 ± 10.0",
        "average (paper)": "92.6",
        "best": "80.0",
        "best (paper)": "93.5",
        "ensemble": "90.0",
        "ensemble (paper)": "93.5",
    }
    record = found["ReCoRD",]
    assert record["metric"] == "record_em/record_f1"
    assert (record["average"], record["best"]) == ("80.0 ± 0.0/70.0 ± 10.0", "80.0/80.0")
    assert record["average (paper)"] == "92.7/93.4"
    # Five tasks of 70 and three of (70 + 80) / 2; at best 80.
    average = found["SuperGLUE",]
    assert average["average"] == f"{statistics.mean([70] * 5 + [75] * 3):.1f}"
    assert (average["best"], average["ensemble"]) == ("80.0", "90.0")
    assert [average[f"{x} (paper)"] for x in paper.STATISTICS] == ["90.5", "91.0", "91.3"]
    assert "Table 3: T5 XXL" in text and "Table 1" not in text


def test_the_best_is_one_prompt_by_all_metrics_of_the_row(tmp_path):
    plan = ensemble_plan(tmp_path, ["CB"])
    scores = [(90.0, 50.0), (80.0, 80.0), (60.0, 85.0)]

    def score(values, name):
        accuracy, f1 = scores[int(values.get("seed", 0))]
        return {"accuracy": accuracy, "macro_f1": f1}

    assert cells_of(tables.render(plan, rows_of(plan, score)))["CB",]["best"] == "80.0/80.0"


def test_the_benchmark_s_average_needs_all_its_tasks_and_scores(tmp_path):
    plan = ensemble_plan(tmp_path, TASKS[:-1])
    assert "SuperGLUE" not in tables.render(plan, rows_of(plan, scores_of))
    plan = ensemble_plan(tmp_path)
    not_voted = lambda values, name: (
        None if values["task"] == "RTE" and "seed" not in values else scores_of(values)
    )
    found = cells_of(tables.render(plan, rows_of(plan, not_voted)))
    assert found["RTE",]["ensemble"] == tables.NONE
    average = found["SuperGLUE",]
    assert (average["best"], average["ensemble"]) == ("80.0", tables.NONE)
    assert average["ensemble (paper)"] == "91.3"


def test_ensembles_of_several_methods_have_headings_of_their_own(tmp_path):
    text = ENSEMBLE.format("RTE = {}").replace(
        "[axes.seed]", "[axes.method]\na = {}\nb = {}\n[axes.seed]"
    )
    plan = read(tmp_path, text.replace('x = "task"', 'x = "task"\nseries = "method"'))

    def score(values, name):
        return {"accuracy": {"a": 50.0, "b": 70.0}[values["method"]] + ("seed" not in values)}

    (found,) = cells_of(tables.render(plan, rows_of(plan, score))).values()
    assert list(found)[1:] == [f"{x} {name}" for x in "ab" for name in paper.STATISTICS]
    assert (found["a ensemble"], found["b ensemble"]) == ("51.0", "71.0")


def test_a_table_that_was_written_and_read_gives_the_same(tmp_path):
    plan = ensemble_plan(tmp_path)
    table = rows_of(plan, scores_of)
    collect.write_table(plan, table, tmp_path / "table.csv")
    again = collect.read_table(tmp_path / "table.csv")
    assert tables.render(plan, again) == tables.render(plan, table)


def test_what_would_be_averaged_unseen_is_refused(tmp_path):
    plan = read(tmp_path, TRANSFER.replace('series = "method"', 'x = "method"'))
    table = rows_of(plan, lambda values, name: {"squad_f1": 1.0})
    with pytest.raises(plans.PlanError, match="draw evaluation SQuAD, textbook_qa, ours as one"):
        tables.render(plan, table)
    found = cells_of(tables.render(plan, [x for x in table if x["evaluation"] == "ours"]))
    assert list(found) == [("prompt tuning",), ("model tuning",), ("adapters",)]


def test_before_any_score_the_paper_s_stand_alone(tmp_path):
    text = tables.render(ensemble_plan(tmp_path), [])
    found = cells_of(text)
    assert found["RTE",] == {
        "metric": "accuracy",
        "average": tables.NONE,
        "average (paper)": "92.6",
        "best": tables.NONE,
        "best (paper)": "93.5",
        "ensemble": tables.NONE,
        "ensemble (paper)": "93.5",
    }
    assert found["SuperGLUE",]["best (paper)"] == "91.0"
    assert "0 of 24 evaluations are done" in text


def test_no_score(tmp_path):
    plan = ensemble_plan(tmp_path, ["spam"])
    with pytest.raises(ValueError, match="metric is 'accuracy', but nothing is scored yet"):
        tables.render(plan, [])


def test_markdown_escapes_what_would_end_a_cell():
    text = tables.markdown(["a", "b"], [["x|y", "1"]])
    assert text == "| a | b |\n| --- | --: |\n| x\\|y | 1 |"


def test_a_header_is_escaped_too():
    assert tables.markdown(["a|b"], []).startswith("| a\\|b |")


def test_what_is_written_ends_a_line(tmp_path):
    file = tables.write("| ± |", tmp_path / "new" / "figure.md")
    assert file.read_text(encoding="utf-8") == "| ± |\n"


def test_the_paper_s_methods_have_averages_only(tmp_path):
    methods = '[axes.method]\n"prompt tuning" = {}\n[axes.seed]'
    text = ENSEMBLE.format("SQuAD = {}").replace("[axes.seed]", methods)
    text = text.replace('x = "task"', 'x = "task"\nseries = "method"')
    plan = read(tmp_path, text.replace('"accuracy"', '"squad_f1"'))
    table = rows_of(plan, lambda values, name: {"squad_f1": 60.0})
    (found,) = cells_of(tables.render(plan, table)).values()
    assert [name for name in found if "paper" in name] == ["prompt tuning average (paper)"]
    assert found["prompt tuning average (paper)"] == "94.8"


def test_another_axis_that_names_a_dataset_is_no_transfer_from_it(tmp_path):
    text = PARAPHRASES.replace("[axes.task]\nQQP", "[axes.start]\nQQP = {}\n[axes.task]\nspam")
    text = text[: text.index("[evaluations.mrpc]")] + "[evaluations.test]\n[figure]\n"
    figure = 'kind = "table"\nx = "task"\npanel = "start"\nseries = "method"\nover = "seed"\n'
    plan = read(tmp_path, text + figure)
    rendered = tables.render(plan, rows_of(plan, lambda values, name: {"accuracy": 1.0}))
    assert ("QQP", "MRPC") in cells_of(rendered) and "paper" not in rendered
