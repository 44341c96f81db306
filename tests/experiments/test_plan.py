"""A plan gives the cells that its file says, and what is wrong with a file is told by name."""

import functools
import itertools
import json
import operator
import pathlib
import string

import hypothesis
from hypothesis import strategies as st
import pytest

from prompt_tuning.cli import checking
from prompt_tuning.cli import flags
from prompt_tuning.cli import reading
from prompt_tuning.data.benchmarks import rows
from prompt_tuning.data.benchmarks.names import find_benchmark
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file

WHOLE = """
name = "small"
gin_files = ["models/pocket_t5.gin"]
metric = "accuracy"

[bindings]
TRAIN_STEPS = 400
DROPOUT_RATE = 0.0

[axes.task]
spam = { gin_files = ["tasks/spam.gin"] }
"verse paraphrase" = { gin_files = ["tasks/verse_paraphrase.gin"] }

[axes.method]
"prompt tuning" = { gin_files = ["methods/soft_prompt.gin"] }
"model tuning" = { gin_files = ["methods/model_tuning.gin"], bindings = { TRAIN_STEPS = 300 } }
none = { gin_files = ["methods/none.gin"], trains = false }

[axes.seed]
"0" = { bindings = { SEED = 0 }, x = 1 }
"1" = { bindings = { SEED = 1 }, x = 2.5 }

[evaluations.test]
bindings = { EVAL_SPLIT = "test" }

[evaluations.moved]
gin_files = ["tasks/word_in_context.gin"]

[ensemble]
axis = "seed"

[figure]
kind = "curve"
x = "seed"
series = "method"
panel = "task"
over = "evaluation"
log_x = true
levels = ["majority"]
"""
OUT = pathlib.Path("runs/small")


@pytest.fixture
def read(tmp_path):
    def read(text=WHOLE):
        file = tmp_path / "small.toml"
        file.write_text(text, encoding="utf-8")
        return plan_file.read(str(file))

    return read


def test_a_cell_is_the_commands_that_a_user_would_type(read):
    plan = read()
    cell = plan.cells()[2]
    assert dict(cell.values) == {"task": "spam", "method": "model tuning", "seed": "0"}
    assert cell.id == "spam--model-tuning--0"
    files = [
        "--gin_file=models/pocket_t5.gin",
        "--gin_file=tasks/spam.gin",
        "--gin_file=methods/model_tuning.gin",
    ]
    bindings = ["--gin.TRAIN_STEPS=300", "--gin.DROPOUT_RATE=0.0", "--gin.SEED=0"]
    folder = "runs/small/cells/spam--model-tuning--0"
    assert cell.train_command("python3", OUT) == [
        *("python3", "-m", "prompt_tuning.train", *files, *bindings),
        f'--gin.MODEL_DIR="{folder}"',
    ]
    ends = [f'--gin.PROMPT_FILE="{folder}"', f'--gin.EVAL_OUTPUT_DIR="{folder}/evaluations/']
    assert cell.eval_commands("python3", OUT) == {
        "test": [
            *("python3", "-m", "prompt_tuning.eval", *files, *bindings),
            *('--gin.EVAL_SPLIT="test"', ends[0], f'{ends[1]}test"'),
        ],
        "moved": [
            *("python3", "-m", "prompt_tuning.eval", *files),
            *("--gin_file=tasks/word_in_context.gin", *bindings, ends[0], f'{ends[1]}moved"'),
        ],
    }


def test_what_does_not_train_is_evaluated_without_a_prompt(read):
    cell = read().cells({"method": ["none"]})[0]
    assert cell.train_command("python", OUT) is None
    assert not [word for word in cell.eval_commands("python", OUT)["test"] if "PROMPT_FILE" in word]


def test_figure(read):
    figure = read().figure
    assert (figure.kind, figure.x, figure.series, figure.panel) == (
        *("curve", "seed", "method", "task"),
    )
    assert (figure.over, figure.log_x, figure.x_label) == ("evaluation", True, None)
    assert figure.levels == ("majority",)
    assert read().axes["seed"]["1"].x == 2.5


def test_a_plan_without_a_figure_has_the_same_cells(read):
    plan = read(WHOLE[: WHOLE.index("[figure]")])
    assert plan.figure is None and plan.cells() == read().cells()


def test_an_ensemble_is_of_all_trained_cells_along_its_axis(read):
    plan = read()
    ensembles = plan.ensembles(plan.cells())
    assert [ensemble.id for ensemble in ensembles] == [
        "spam--prompt-tuning",
        "spam--model-tuning",
        "verse-paraphrase--prompt-tuning",
        "verse-paraphrase--model-tuning",
    ]
    command = ensembles[0].eval_commands("python", OUT)["test"]
    assert command[-2:] == [
        '--gin.PROMPT_FILE=["runs/small/cells/spam--prompt-tuning--0", '
        '"runs/small/cells/spam--prompt-tuning--1"]',
        '--gin.EVAL_OUTPUT_DIR="runs/small/ensembles/spam--prompt-tuning/test"',
    ]
    assert plan.ensembles(plan.cells({"seed": ["0"]})) == []
    assert read(WHOLE.replace('[ensemble]\naxis = "seed"', "")).ensembles(plan.cells()) == []


def test_an_ensemble_of_the_only_axis_has_a_folder(read):
    plan = read(
        'name = "a"\nmetric = "m"\nensemble.axis = "seed"\nevaluations.test = {}\n'
        'axes.seed = {"0" = {}, "1" = {}}\nfigure = {kind = "table"}'
    )
    (ensemble,) = plan.ensembles(plan.cells())
    assert ensemble.folder(OUT) == OUT / "ensembles/all"


@pytest.mark.parametrize(
    ("toml", "gin"),
    [
        ('"it\'s \\"one\\"\\n%x"', r'"it' + "'" + r's \"one\"\n%x"'),
        ('"ü"', '"ü"'),
        ("1e-05", "1e-05"),
        ("true", "True"),
        ('["@a()", "b", -1]', '[@a(), "b", -1]'),
        ('{ inputs = 16, "to" = "%T" }', '{"inputs": 16, "to": %T}'),
        ('"%CHECKPOINT"', "%CHECKPOINT"),
        ('"@adamw()"', "@adamw()"),
    ],
)
def test_values_are_written_as_gin_reads_them(read, toml, gin):
    plan = read(WHOLE.replace("DROPOUT_RATE = 0.0", f"X = {toml}"))
    assert f"--gin.X={gin}" in plan.cells()[0].train_command("python", OUT)


def test_a_binding_is_replaced_where_it_stands_or_is_new_everywhere(read):
    plan = read().with_bindings({"TRAIN_STEPS": "2", "EVAL_SPLIT": "validation", "DTYPE": "x"})
    for cell in plan.cells():
        assert cell.settings.bindings["TRAIN_STEPS"] == "2"
        assert cell.settings.bindings["DTYPE"] == "x"
        assert "EVAL_SPLIT" not in cell.settings.bindings
        assert cell.evaluations["test"].bindings["EVAL_SPLIT"] == "validation"
        assert "EVAL_SPLIT" not in cell.evaluations["moved"].bindings
    before = [cell.train_command("python", OUT) for cell in read().cells()]
    assert [
        cell.train_command("python", OUT) for cell in read().with_bindings({}).cells()
    ] == before


def test_a_binding_reaches_the_cells_of_other_values_too(read):
    """What one method binds, and another does not, changes in both."""
    text = WHOLE.replace("TRAIN_STEPS = 300", "LEARNING_RATE = 0.001")
    cells = read(text).with_bindings({"LEARNING_RATE": "7"}).cells()
    assert {cell.settings.bindings["LEARNING_RATE"] for cell in cells} == {"7"}


def test_an_axis_in_braces_is_the_cells_value_of_it(read):
    text = WHOLE.replace(
        "[bindings]",
        '[bindings]\nINITIAL_CHECKPOINT_PATH = "models/{task}/{method}"\nPATTERN = "{inputs} {seed}"',
    )
    cell = read(text).cells({"task": ["spam"], "method": ["model tuning"], "seed": ["1"]})[0]
    path = "models/spam/model tuning"
    assert cell.settings.bindings["INITIAL_CHECKPOINT_PATH"] == f'"{path}"'
    assert cell.settings.bindings["PATTERN"] == '"{inputs} 1"'
    for command in cell.eval_commands("python", OUT).values():
        assert f'--gin.INITIAL_CHECKPOINT_PATH="{path}"' in command
    moved = read(text).with_bindings({"INITIAL_CHECKPOINT_PATH": '"/mnt/{seed}"'})
    assert moved.cells()[1].settings.bindings["INITIAL_CHECKPOINT_PATH"] == '"/mnt/1"'


def test_a_value_may_go_with_some_of_another_axis_alone(read):
    plan = read(WHOLE.replace("none = {", 'none = { only = { seed = ["1"] },'))
    found = [(cell.values["method"], cell.values["seed"]) for cell in plan.cells()]
    assert ("none", "1") in found and ("none", "0") not in found
    assert len(found) == len(read().cells()) - len(plan.axes["task"])
    assert plan.cells({"method": ["none"], "seed": ["0"]}) == []


def test_only_keeps_cells_by_value(read):
    plan = read()
    kept = plan.cells({"task": ["verse paraphrase"], "seed": ["0", "1"], "method": ["none"]})
    assert [cell.id for cell in kept] == [
        "verse-paraphrase--none--0",
        "verse-paraphrase--none--1",
    ]
    with pytest.raises(plans.PlanError, match="there is no axis 'sed'. Did you mean seed?"):
        plan.cells({"sed": ["0"]})
    with pytest.raises(plans.PlanError, match="task has no value 'spm'. Did you mean spam?"):
        plan.cells({"task": ["spm"]})


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ('metric = "accuracy"', "", "metric is missing: expected text"),
        ('metric = "accuracy"', "metric = 3", "metric must be text, found 3"),
        ('metric = "accuracy"', 'metrik = "x"', "metric is missing.*Is it metrik"),
        ('name = "small"', 'name = "small"\ngin_file = []', "no key 'gin_file'.*mean gin_files"),
        ("models/pocket", "models/pokcet", "no gin file 'models/pokcet_t5.gin'.*models/pocket_t5"),
        ('["tasks/spam.gin"]', '"tasks/spam.gin"', r"\[axes.task.spam\] gin_files must be a list"),
        ("DROPOUT_RATE = 0.0", "train.log_period = 1", '"train.log_period" = ...'),
        (
            "DROPOUT_RATE = 0.0",
            "X = nan",
            r"\[?bindings: X: gin has finite numbers only, found nan",
        ),
        ("DROPOUT_RATE = 0.0", "X = 2024-01-01", "X: gin has no dates and times.*2024-01-01"),
        ("DROPOUT_RATE = 0.0", 'MODEL_DIR = "x"', "MODEL_DIR is set for each cell.*--out"),
        ("DROPOUT_RATE = 0.0", '"A B" = 1', "expected the name of a macro.*found 'A B'"),
        (
            "spam = {",
            "spam = { x = 1,",
            r"\[axes.task\] x must be given for every value or for none",
        ),
        ("x = 2.5", "x = true", r"\[axes.seed.1\] x must be a finite number, found True"),
        ("x = 2.5", "x = inf", r"\[axes.seed.1\] x must be a finite number, found inf"),
        ("x = 2.5", "x = 0", r"\[figure\] log_x needs .* x above 0, found seed 1 with x = 0"),
        ('x = "seed"', 'x = "method"', r"\[figure\] log_x needs .* found method prompt tuning"),
        ('kind = "curve"', 'kind = "table"', r"\[figure\] there is no key 'log_x' of a table"),
        ('x = "seed"', 'x = "sed"', r"\[figure\] x: there is no axis 'sed'. Did you mean seed"),
        ('\nx = "seed"', "", r"\[figure\] x is missing"),
        ('kind = "curve"', 'kind = "curves"', "there is no kind 'curves'. Did you mean curve"),
        ('axis = "seed"', 'axis = "seeds"', r"\[ensemble\] axis: there is no axis 'seeds'"),
        ('axis = "seed"', 'axis = "seed"\nof = 1', r"\[ensemble\] there is no key 'of'"),
        ("trains = false", 'trains = "no"', r"\[axes.method.none\] trains must be true or false"),
        ("trains = false", "train = false", "there is no key 'train'. Did you mean trains"),
        ("none = {", '"Prompt-Tuning" = {', "would share the folder name 'prompt-tuning': rename"),
        ("none = {", '"--" = {', "a value needs a letter or a digit, found '--'"),
        ("[axes.task]", "[axes.empty]\n[axes.task]", r"\[axes.empty\] is empty"),
        ("[axes.task]", "[axes.accuracy]", r"\[axes.accuracy\] an axis needs a name"),
        ("[axes.task]", "[axes.steps]", r"\[axes.steps\] an axis needs a name"),
        ("none = {", "none = { only = { sead = ['0'] },", "only: there is no axis 'sead'.*seed"),
        ("none = {", "none = { only = { seed = ['9'] },", "only: seed has no value '9'"),
        (
            "none = {",
            "none = { learned_from = { seed = '9' },",
            "learned_from: seed has no value '9'",
        ),
        ("none = {", "none = { only = { seed = '0' },", r"only\] seed must be a list of texts"),
        ("[evaluations.moved]", '[evaluations."../moved"]', "an evaluation's name is a folder's"),
        ("[evaluations.moved]", "[evaluation.moved]", "there is no key 'evaluation'.*evaluations"),
        ('"0" = {', '"0" = 1\n"2" = {', r"\[axes.seed.0\] expected a table, found 1"),
        ("DROPOUT_RATE = 0.0", 'X = "{tsk}"', r"X has {tsk}, and there is no axis.*mean {task}"),
        ('name = "small"', "name = ", "is no TOML file"),
    ],
)
def test_what_is_wrong_is_told_by_file_and_name(read, old, new, expected):
    assert WHOLE.count(old) >= 1
    with pytest.raises(plans.PlanError, match=f"small.toml.*{expected}"):
        read(WHOLE.replace(old, new, 1))


def test_unknown_plans_and_bindings(read):
    with pytest.raises(plans.PlanError, match="no plan file lenght.*Did you mean length"):
        plan_file.read("lenght")
    with pytest.raises(plans.PlanError, match="--binding MODEL_DIR is set for each cell"):
        read().with_bindings({"MODEL_DIR": "x"})


def test_the_majority_class_is_a_level_of_accuracy_alone(read):
    text = WHOLE.replace('["majority"]', '["majority class"]')
    read(text)
    with pytest.raises(
        plans.PlanError, match="'majority class' is an accuracy, and metric is 'f1'"
    ):
        read(text.replace('metric = "accuracy"', 'metric = "f1"'))


VALUES = st.dictionaries(
    st.text(string.ascii_letters + string.digits + " .-_éß", min_size=1, max_size=6),
    st.integers(0, 3),
    min_size=1,
    max_size=4,
)
AXES = st.dictionaries(st.from_regex(r"[a-z]{1,3}", fullmatch=True), VALUES, min_size=1, max_size=3)


@hypothesis.given(axes=AXES)
@hypothesis.settings(
    max_examples=25, suppress_health_check=[hypothesis.HealthCheck.function_scoped_fixture]
)
def test_cells_are_the_product_and_their_ids_differ(read, axes):
    text = 'name = "x"\nmetric = "accuracy"\nfigure = { kind = "table" }\nevaluations.test = {}\n'
    for axis, values in axes.items():
        for value, number in values.items():
            text += f"[axes.{axis}.{json.dumps(value, ensure_ascii=False)}]\n"
            text += f"bindings = {{ {axis.upper()} = {number} }}\n"
    slugs = [[plans.slug(value) for value in values] for values in axes.values()]
    if any(len(set(names)) < len(names) or "" in names for names in slugs):
        with pytest.raises(plans.PlanError, match="folder name|a letter or a digit"):
            read(text)
        return
    cells = read(text).cells()
    assert len(cells) == functools.reduce(operator.mul, map(len, axes.values()))
    assert len({cell.id for cell in cells}) == len(cells)
    assert [tuple(cell.values.values()) for cell in cells] == list(
        itertools.product(*axes.values())
    )
    for cell in cells:
        assert cell.settings.bindings == {
            axis.upper(): str(axes[axis][value]) for axis, value in cell.values.items()
        }


SHIPPED = sorted(file.stem for file in plan_file.SHIPPED.glob("*.toml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_gin_takes_every_command_of_a_shipped_plan(name):
    plan = plan_file.read(name)
    seen = set()
    few = {
        axis: list(plan.axes[axis])[-1:] for axis in ("seed", "size", "task") if axis in plan.axes
    }
    sources = [cell.source for cell in plan.cells(few) if cell.source is not None]
    for cell in [*plan.cells(few), *sources]:
        commands = [cell.train_command("python", OUT), *cell.eval_commands("python", OUT).values()]
        for command in filter(None, commands):
            entry_point = {"prompt_tuning.train": "train", "prompt_tuning.eval": "evaluate"}
            given = flags.parse(command[3:], "python", "")
            sources = reading.read(given.gin_files, given.search_paths, given.bindings)
            checking.check(entry_point[command[2]], sources)
            seen.add(command[2])
    assert seen == {"prompt_tuning.train", "prompt_tuning.eval"}


def test_lengths_differ_in_nothing_else():
    choices = plan_file.read("paper_length").axes["length"]
    assert {name: dict(choice.settings.bindings) for name, choice in choices.items()} == {
        name: {"PROMPT_LENGTH": name} for name in choices
    }


@pytest.mark.parametrize("name", [name for name in SHIPPED if name.startswith("paper_")])
def test_tasks_of_the_paper_are_known_by_name_and_labels(name):
    plan = plan_file.read(name)
    for cell in plan.cells():
        bindings = dict(cell.settings.bindings)
        task = find_benchmark(json.loads(bindings["MIXTURE_OR_TASK_NAME"]), rows.Tfds())
        labels = getattr(task, "label_texts", None)
        if labels is not None and "CLASS_LABELS" in bindings:
            assert sorted(labels) == sorted(json.loads(bindings["CLASS_LABELS"]))
        for evaluation in cell.evaluations.values():
            name = json.loads(evaluation.bindings["MIXTURE_OR_TASK_NAME"])
            evaluated = find_benchmark(name, rows.Tfds())
            assert json.loads(evaluation.bindings["EVAL_SPLIT"]) in evaluated.splits
            # What a prompt learned to answer is what the other task counts as right.
            if cell.source is None and labels is not None:
                assert evaluated.label_texts == labels


def test_a_value_may_be_learned_by_another_cell(read):
    text = WHOLE.replace("[axes.task]\n", '[axes.task]\nall = { only = { method = ["multi"] } }\n')
    text = text.replace("none = {", 'multi = { learned_from = { task = "all" } }\nnone = {')
    cells = {cell.id: cell for cell in read(text).cells()}
    assert "all--prompt-tuning--0" not in cells
    source, learner = cells["all--multi--1"], cells["spam--multi--1"]
    assert source.source is None and source.train_command("python", OUT) is not None
    assert learner.train_command("python", OUT) is None
    folder = OUT / "cells/all--multi--1"
    assert learner.learned(OUT) == source.learned(OUT) == {"PROMPT_FILE": folder}
    assert "--gin_file=tasks/spam.gin" in learner.eval_commands("python", OUT)["test"]
    later = text.replace('all = { only = { method = ["multi"] } }\n', "")
    later = later.replace("[axes.method]", 'all = { only = { method = ["multi"] } }\n[axes.method]')
    with pytest.raises(plans.PlanError, match="learned from all--multi--0, which must be.*first"):
        read(later)
