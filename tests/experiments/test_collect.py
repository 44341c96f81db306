"""The table has a row for each evaluation that is done, and reads back as it was."""

import dataclasses
import json

import hypothesis
from hypothesis import strategies as st
import numpy as np
import pytest
from safetensors.numpy import save_file

from prompt_tuning.experiments import __main__ as program
from prompt_tuning.experiments import collect
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file
from prompt_tuning.experiments import tables

PLAN = """
name = "scores"
metric = "accuracy"
[axes.length]
"1" = {}
"20" = {}
[axes.method]
"a, b|c" = {}
none = { trains = false }
[axes.seed]
"0" = {}
"1" = {}
[evaluations.test]
[evaluations.moved]
[ensemble]
axis = "seed"
[figure]
kind = "table"
over = "seed"
"""


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "scores.toml").write_text(PLAN)
    return plan_file.read(str(tmp_path / "scores.toml"))


def write_scores(folder, **scores):
    folder.mkdir(parents=True)
    (folder / "metrics.json").write_text(json.dumps(scores))


@pytest.fixture
def out(plan, tmp_path):
    """Some of the plan's evaluations, as runs leave them."""
    folder = tmp_path / "out"
    cells = folder / "cells"
    write_scores(cells / "1--a-b-c--0/evaluations/test", accuracy=60.0, f1=55.5)
    write_scores(cells / "1--a-b-c--1/evaluations/test", accuracy=62.0, f1=57)
    write_scores(cells / "1--a-b-c--1/evaluations/moved", accuracy=50.0)
    write_scores(cells / "20--none--0/evaluations/test", accuracy=12.5)
    write_scores(folder / "ensembles/1--a-b-c/test", accuracy=64.0)
    write_scores(cells / "150--of-another-plan/evaluations/test", accuracy=1.0)
    best = cells / "1--a-b-c--0/best"
    best.mkdir()
    arrays = {"prompt": np.zeros((20, 8), np.float32), "deltas": np.zeros(3, np.float32)}
    save_file(arrays, best / "prompt.safetensors")
    np.save(best / "the_same.npy", arrays["prompt"])
    lines = '{"step": 1, "train/loss": 2.0}\n{"step": 400, "train/loss": 1.0}\n{"step": 40'
    (cells / "1--a-b-c--0/scalars.jsonl").write_text(lines)
    return folder


def test_rows_and_what_is_missing(plan, out):
    table, missing = collect.collect(plan, out)
    first = {"length": "1", "method": "a, b|c", "seed": "0", "evaluation": "test"}
    assert table == [
        first | {"ensemble": 0, "kept": 163, "steps": 400, "accuracy": 60.0, "f1": 55.5},
        first | {"seed": "1", "ensemble": 0, "accuracy": 62.0, "f1": 57},
        first | {"seed": "1", "evaluation": "moved", "ensemble": 0, "accuracy": 50.0},
        first
        | {"length": "20", "method": "none", "accuracy": 12.5}
        | {"ensemble": 0, "kept": 0, "steps": 0},
        first | {"seed": "", "ensemble": 2, "accuracy": 64.0},
    ]
    assert len(missing) == (8 + 2) * 2 - len(table)  # two ensembles have members that train
    assert str(out / "cells/20--none--1/evaluations/test") in missing
    assert str(out / "ensembles/20--a-b-c/moved") in missing


def test_what_was_learned_elsewhere_has_the_numbers_of_that_run(plan, out):
    learned = '"a, b|c" = { learned_from = { length = "1" } }'
    plan.file.write_text(plan.file.read_text().replace('"a, b|c" = {}', learned))
    write_scores(out / "cells/20--a-b-c--0/evaluations/test", accuracy=58.0)
    table, _ = collect.collect(plan_file.read(str(plan.file)), out)
    rows = [row for row in table if row["method"] == "a, b|c" and row["seed"] == "0"]
    assert [(row["length"], row["kept"], row["steps"]) for row in rows] == [
        ("1", 163, 400),
        ("20", 163, 400),
    ]


def test_the_table_reads_back(plan, out):
    table, _ = collect.collect(plan, out)
    collect.write_table(plan, table, out / "table.csv")
    assert collect.read_table(out / "table.csv") == table
    head = (out / "table.csv").read_text().splitlines()[0]
    assert head == ("length,method,seed,evaluation,ensemble,kept,steps,majority class,accuracy,f1")


def test_the_majority_class_is_of_the_evaluated_split(plan, out):
    folder = out / "cells/1--a-b-c--0/evaluations/test"
    lines = [{"targets": x, "prediction": "spam"} for x in ("ham", "spam", "ham", "ham")]
    (folder / "predictions.jsonl").write_text("".join(f"{json.dumps(x)}\n" for x in lines))
    first, *others = collect.collect(plan, out)[0]
    assert first["majority class"] == 75 and not any("majority class" in x for x in others)
    (folder / "predictions.jsonl").write_text(json.dumps({"targets": ["one", "or another"]}))
    assert "majority class" not in collect.collect(plan, out)[0][0]


def test_mean_and_sample_standard_deviation_are_over_seeds(plan, out):
    table, _ = collect.collect(plan, out)
    assert tables.summary(plan, table).splitlines() == [
        "| length | method | evaluation | ensemble | n | accuracy |",
        "| --- | --- | --- | --- | --: | --: |",
        "| 1 | a, b\\|c | test | 0 | 2 | 61.0 ± 1.4 |",  # the root of 2
        "| 1 | a, b\\|c | moved | 0 | 1 | 50.0 |",
        "| 20 | none | test | 0 | 1 | 12.5 |",
        "| 1 | a, b\\|c | test | 2 | 1 | 64.0 |",
    ]


def test_the_command_line(plan, out, capsys):
    assert program.main(["collect", str(plan.file), f"--out={out}"]) == 0
    told = capsys.readouterr()
    table, missing = collect.collect(plan, out)
    assert told.out.strip() == tables.summary(plan, table)
    assert f"{len(missing)} evaluations are not done: {missing[0]}" in told.err
    assert collect.read_table(out / "table.csv") == table


def test_nothing_done_yet(plan, tmp_path, capsys):
    assert program.main(["collect", str(plan.file), f"--out={tmp_path / 'new'}"]) == 0
    assert collect.read_table(tmp_path / "new/table.csv") == []
    told = capsys.readouterr().err
    assert "20 evaluations are not done" in told
    assert told.count("evaluations/") == 5 and told.endswith(", ...\n")


def test_a_metric_that_is_no_score_is_told(plan, out):
    other = dataclasses.replace(plan, metric="acuracy")
    with pytest.raises(ValueError, match="metric is 'acuracy', but the scores are accuracy, f1"):
        tables.summary(other, collect.collect(plan, out)[0])


def test_cells_of_another_plan_are_refused(plan, out):
    record = {"train": ["-m", "prompt_tuning.train", "--gin.SEED=7"], "evaluations": {}}
    (out / "cells/1--a-b-c--0/cell.json").write_text(json.dumps(record))
    with pytest.raises(plans.PlanError, match="the plan changed.*SEED=7"):
        collect.collect(plan, out)


def test_what_is_drawn_is_what_is_there_now(plan, out, capsys):
    (out / "table.csv").write_text("length,method,seed,evaluation,ensemble,accuracy\n")
    text = plan.file.read_text().replace("over =", 'x = "length"\nseries = "method"\nover =')
    plan.file.write_text(text + '\npanel = "evaluation"\n')
    assert program.main(["plot", str(plan.file), f"--out={out}"]) == 0
    assert "61.0 ± 1.4" in (drawn := (out / "figure.md").read_text(encoding="utf-8"))
    assert "4 of 16 evaluations are done" in drawn
    (out / "cells").rename(out / "elsewhere")
    (out / "table.csv").write_text(
        "length,method,seed,evaluation,ensemble,accuracy\n1,none,0,test,0,7\n"
    )
    assert program.main(["plot", str(plan.file), f"--out={out}"]) == 0
    assert "7.0" in (out / "figure.md").read_text(encoding="utf-8")


def test_a_plan_without_a_figure_is_collected_but_not_drawn(plan, out, capsys):
    text = plan.file.read_text()
    plan.file.write_text(text[: text.index("[figure]")])
    assert program.main(["collect", str(plan.file), f"--out={out}"]) == 0
    assert "| 1 | a, b\\|c | 1 | test | 0 | 1 | 62.0 |" in capsys.readouterr().out
    assert program.main(["plot", str(plan.file), f"--out={out}"]) == program.BAD_PLAN
    told = capsys.readouterr().err
    assert "scores.toml: [figure] is missing: expected kind (curve or table), x, series" in told


def test_before_a_run_the_paper_s_numbers_are_drawn(tmp_path):
    out = tmp_path / "new"
    assert program.main(["plot", "paper_paraphrases", f"--out={out}"]) == 0
    drawn = (out / "figure.md").read_text(encoding="utf-8")
    assert "| –/– | 76.3/84.3 |" in drawn and "0 of 24 evaluations are done" in drawn


@pytest.mark.parametrize("collected", [True, False])
def test_before_a_run_a_plan_that_the_paper_does_not_have_is_told(tmp_path, capsys, collected):
    arguments = ["length", f"--out={tmp_path / 'new'}"]
    if collected:
        program.main(["collect", *arguments])
        capsys.readouterr()
    assert program.main(["plot", *arguments]) == program.FAILED
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("nothing is scored yet: `run` the plan first, with this --out.")


def test_damaged_files_are_told_by_name(plan, out, tmp_path):
    (out / "cells/1--a-b-c--0/best/prompt.safetensors").write_bytes(b"x")
    with pytest.raises(ValueError, match="best/prompt.safetensors is damaged"):
        collect.collect(plan, out)
    (tmp_path / "no.csv").write_text("length,accuracy\n1,2\n")
    with pytest.raises(ValueError, match="no.csv has no column 'evaluation'"):
        collect.read_table(tmp_path / "no.csv")
    (tmp_path / "bad.csv").write_text("length,evaluation,accuracy\n1,test,2\n1,test,many\n")
    with pytest.raises(ValueError, match="bad.csv, line 3: .*'many'"):
        collect.read_table(tmp_path / "bad.csv")


NUMBERS = st.floats(allow_nan=False) | st.integers(-(10**6), 10**6)


@hypothesis.given(
    rows=st.lists(
        st.tuples(
            st.text("ab,\"'\n ü", min_size=1), st.dictionaries(st.sampled_from("xyz"), NUMBERS)
        )
    )
)
@hypothesis.settings(
    max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_any_table_reads_back(plan, tmp_path, rows):
    table = [
        {"length": value, "method": "m", "seed": "", "evaluation": "test", "ensemble": 0, **scores}
        for value, scores in rows
    ]
    collect.write_table(plan, table, tmp_path / "table.csv")
    assert collect.read_table(tmp_path / "table.csv") == table
