"""A configuration is right, or says by name what to change, before anything is loaded."""

from beartype import door
import gin
import pytest

from prompt_tuning import gin_registration
from prompt_tuning.cli import checking
from prompt_tuning.cli import reading

COMPLETE = dict(
    INITIAL_CHECKPOINT_PATH="somewhere",
    MIXTURE_OR_TASK_NAME="spam",
    MODEL_DIR="runs/x",
    TRAIN_STEPS="10",
    TASK_FEATURE_LENGTHS="{'inputs': 8, 'targets': 4}",
)


def check(*files, entry_point="train", without=(), **bindings):
    bound = {name: value for name, value in (COMPLETE | bindings).items() if name not in without}
    flags = [(name.replace("__", "."), value) for name, value in bound.items()]
    return checking.check(entry_point, reading.read([str(file) for file in files], [], flags))


def problems(*args, **kwargs):
    with pytest.raises(reading.ConfigError) as caught:
        check(*args, **kwargs)
    return str(caught.value).split("\n")


def test_a_complete_configuration_has_no_problems():
    assert check() == []


@pytest.mark.parametrize("name", COMPLETE)
def test_a_missing_name_is_told(name):
    (problem,) = problems(without=[name])
    assert problem.startswith(f"{name} is not set") and f"--gin.{name}=" in problem
    assert "defaults.gin, line " in problem


def test_all_missing_names_are_told_at_once():
    assert len(problems(without=COMPLETE)) == len(COMPLETE)


def test_only_what_is_reached_is_required():
    check()  # no CLASS_LABELS, though ClassLabels.labels needs them
    (problem,) = problems("prompts/from_class_labels.gin")
    assert problem.startswith("CLASS_LABELS is not set, and ClassLabels.labels needs it")
    check("prompts/from_class_labels.gin", CLASS_LABELS="['a', 'b']")


def test_evaluation_needs_other_names():
    found = problems(entry_point="evaluate", without=["TRAIN_STEPS", "MODEL_DIR"])
    assert len(found) == 1 and found[0].startswith("EVAL_OUTPUT_DIR is not set")
    check(entry_point="evaluate", EVAL_OUTPUT_DIR="x", without=["TRAIN_STEPS", "MODEL_DIR"])


def test_evaluation_takes_checkpoint_path_or_the_initial_one():
    only = dict(entry_point="evaluate", EVAL_OUTPUT_DIR="x")
    check(CHECKPOINT_PATH="there", without=["INITIAL_CHECKPOINT_PATH"], **only)
    (problem,) = problems(without=["INITIAL_CHECKPOINT_PATH"], **only)
    assert problem.startswith("INITIAL_CHECKPOINT_PATH is not set")


def test_inference_needs_a_model_and_lengths():
    check(entry_point="infer", without=["TRAIN_STEPS", "MODEL_DIR", "MIXTURE_OR_TASK_NAME"])
    found = problems(entry_point="infer", without=COMPLETE)
    assert [problem.split()[0] for problem in found] == [
        "INITIAL_CHECKPOINT_PATH",
        "TASK_FEATURE_LENGTHS",
    ]


def test_an_unset_name_leaves_the_default():
    check()
    assert gin.query_parameter("BATCH_SIZE/gin.macro.value") == 32
    assert gin.query_parameter("CACHE_DIR/gin.macro.value") is None


def test_required_in_gin_counts_as_not_set(tmp_path):
    path = tmp_path / "a.gin"
    path.write_text("MODEL_DIR = %gin.REQUIRED\n")
    (problem,) = problems(path, without=["MODEL_DIR"])
    assert problem.startswith("MODEL_DIR is not set")


@pytest.mark.parametrize(
    "name, value, wanted",
    [
        ("TRAIN_STEPS", "'10'", "a whole number"),
        ("TRAIN_STEPS", "10O", "a whole number"),
        ("BATCH_SIZE", "1.5", "a whole number"),
        ("LEARNING_RATE", "'fast'", "a number"),
        ("LEARNING_RATE", "nan", "a number"),
        ("adafactor__learning_rate", "nan", "a number or a reference (@...)"),
        ("MODEL_DIR", "3", "text"),
        ("TASK_FEATURE_LENGTHS", "{'inputs': 'long'}", "{text: a whole number, ...}"),
        ("TASK_FEATURE_LENGTHS", "128", "{text: a whole number, ...}"),
        ("PROMPT_LENGTH", "None", "a whole number"),
        ("SoftPrompt__initializer", "1", "a reference (@...)"),
        ("SoftPrompt__location", "1", "text"),
        ("train__patience", "'never'", "a whole number or None"),
        ("Layout__shard_frozen", "'yes'", "True or False"),
        ("DECODER", "3", "Decoder"),
    ],
)
def test_wrong_types_are_named(name, value, wanted):
    optimizer = ["optimizers/adafactor.gin"] if name.startswith("adafactor") else []
    (problem,) = problems(*optimizer, **{name: value})
    name = name.replace("__", ".")
    assert problem.startswith(f"--gin.{name}: ") and name in problem
    assert f" must be {wanted}, found " in problem


def test_text_is_no_list_of_texts(tmp_path):
    path = tmp_path / "task.gin"
    path.write_text("TASK = @FilesTask()\n\nCLASS_LABELS = 'ham'\n")
    (problem,) = problems(path, DATA_FILES="{'train': 'a.tsv'}")
    assert problem.startswith(f"{path}, line 3: CLASS_LABELS (FilesTask.labels) must be")


@pytest.mark.parametrize("value", ["1", "0.3"])
def test_numbers_may_be_whole(value):
    check(LEARNING_RATE=value)


@pytest.mark.parametrize(
    "name, part",
    [
        ("METHOD", "SoftPrompt"),
        ("DECODER", "RankLabels"),
        ("ARRANGEMENT", "Packed"),
        ("TASK", "find_task"),
    ],
)
def test_a_part_that_was_not_made(name, part):
    (problem,) = problems(**{name: f"@{part}"})
    assert problem.startswith(f"--gin.{name}: ") and f"write @{part}() for @{part}" in problem


def test_what_is_called_later_is_not_made(tmp_path):
    """An objective is made of each task's own vocabulary and lengths."""
    path = tmp_path / "text.gin"
    path.write_text("TASK = @TextTask()\nTextTask.files = {'train': 'x.txt'}\n")
    check(path, TextTask__objective="@SpanCorruption")


def test_a_part_of_the_wrong_kind():
    (problem,) = problems(METHOD="@Uniform()")
    assert "METHOD (train.method) must be" in problem and "found @Uniform" in problem


def test_parts_inside_containers_are_checked(tmp_path):
    path = tmp_path / "mixture.gin"
    path.write_text(
        "TASK = @MixtureTask()\n"
        "MixtureTask.tasks = {'a': @a/TextTask(), 'b': @b/TextTask()}\n"
        "MixtureTask.rates = {'a': 1, 'b': 2}\n"
        "a/TextTask.files = {'train': 'x.txt'}\n"
    )
    (problem,) = problems(path)
    assert problem.startswith("DATA_FILES is not set, and TextTask.files needs it")
    check(path, DATA_FILES="{'train': 'y.txt'}")


def test_unset_names_inside_containers_are_told():
    (problem,) = problems(TASK_FEATURE_LENGTHS="{'inputs': %T, 'targets': 4}")
    assert problem.startswith("T is not set")


def test_names_that_go_round_in_circles():
    (problem,) = problems(MODEL_DIR="%EVAL_OUTPUT_DIR", EVAL_OUTPUT_DIR="%MODEL_DIR")
    assert problem.endswith("MODEL_DIR refers to itself.")


def test_a_misspelt_macro_is_told():
    (problem,) = problems(TRIAN_STEPS="5")
    assert problem.startswith("--gin.TRIAN_STEPS: nothing uses a macro TRIAN_STEPS.")
    assert "TRAIN_STEPS" in problem.removeprefix(
        "--gin.TRIAN_STEPS: nothing uses a macro TRIAN_STEPS."
    )


def test_a_macro_in_another_case_is_told():
    (problem,) = problems(train_steps="3")
    assert "nothing uses a macro train_steps. Did you mean TRAIN_STEPS" in problem


def test_flags_without_effect_are_told():
    assert check(adamw__b1="0.5") == ["--gin.adamw.b1 has no effect: this run does not use adamw."]
    assert check("optimizers/adamw.gin", adamw__b1="0.5") == []
    (warning,) = check(OUTPUT_FILE="x")
    assert "OUTPUT_FILE has no effect" in warning


@pytest.mark.parametrize("name", gin_registration.CONFIGURABLES)
def test_every_argument_can_be_checked(name):
    for argument in gin_registration.arguments_of(name).values():
        door.is_bearable(object(), argument.hint)
        assert "jax" not in checking._spelled(argument.hint)
        if not argument.required:
            assert checking._fits(argument.default, argument.hint)


@pytest.mark.parametrize("entry_point", gin_registration.ENTRY_POINTS)
def test_names_shared_by_arguments_have_one_default(entry_point):
    """Else an unset name would mean the one that happens to be met first."""
    reading.read([], [], [])
    defaults = {}
    for name in ("SoftPrompt", "PretrainedModel", "NewModel", "FilesTask", entry_point):
        for argument, described in gin_registration.arguments_of(name).items():
            bound = gin.get_bindings(name, resolve_references=False).get(argument)
            macro = reading.macro_name(bound)
            if macro and not described.required:
                assert defaults.setdefault(macro, described.default) == described.default
    assert defaults
