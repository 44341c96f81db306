"""Every gin file of the project is sound, and their order on the command line does not matter."""

import itertools

import pytest

from prompt_tuning import gin_registration
from prompt_tuning.cli import checking
from prompt_tuning.cli import reading
from prompt_tuning.data import shipped
from prompt_tuning.t5 import config as t5_config

FOLDER = gin_registration.GIN_FOLDER
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.gin"))
EVERYTHING = dict(
    INITIAL_CHECKPOINT_PATH="m",
    MODEL_DIR="d",
    EVAL_OUTPUT_DIR="e",
    TRAIN_STEPS="1000",
    PROMPT_FILE="p",
    PROMPT_TEXT="t",
)
TASK = dict(
    MIXTURE_OR_TASK_NAME="spam",
    CLASS_LABELS="['a']",
    TASK_FEATURE_LENGTHS="{'inputs': 8, 'targets': 4}",
)


def entry_point(file):
    return {"runs/prompt_eval.gin": "evaluate", "runs/prompt_infer.gin": "infer"}.get(file, "train")


def made(entry, *files, **bindings):
    """The arguments that gin makes, with parts as text."""
    import gin

    checking.check(entry, reading.read(files, [], list(bindings.items())))
    return {name: repr(value) for name, value in gin.get_configurable(entry)().items()}


@pytest.mark.parametrize("file", FILES)
def test_each_file_can_be_run(file):
    bindings = EVERYTHING | ({} if file.startswith("tasks/") or file in ("runs/pretrain.gin", "runs/lm_adapt.gin") else TASK)
    if file == "tasks/pocket_corpus.gin":
        bindings |= TASK
    if file.startswith("models/sizes/"):
        made("train", "models/t5_1_1.gin", file, **bindings)
    made(entry_point(file), file, **bindings)


@pytest.mark.parametrize("size", t5_config.SIZES)
def test_sizes_are_the_published_ones(size):
    files = ["models/t5_1_1.gin", f"models/sizes/{size}.gin"]
    found = made("train", *files, **EVERYTHING, **TASK)["model"]
    assert f"config={t5_config.t5_1_1(size)!r}" in found


def test_the_order_of_files_does_not_matter():
    files = [
        "models/t5_1_1.gin",
        "prompts/from_class_labels.gin",
        "models/sizes/large.gin",
        "tasks/spam.gin",
        "runs/prompt_finetune.gin",
    ]
    first, *others = (
        {name: text for name, text in made("train", *order, **EVERYTHING).items() if name != "optimizer"}
        for order in itertools.permutations(files)
    )
    assert "ClassLabels" in first["method"] and first["train_steps"] == "1000"
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_shipped_tasks_have_their_labels_in_gin(name):
    found = made(
        "train", f"tasks/{name}.gin", "prompts/from_class_labels.gin", **EVERYTHING
    )
    assert repr(list(shipped.SHIPPED[name])) in found["method"]
    assert f"name='{name}'" in found["task"]


def test_the_papers_settings():
    found = made("train", "runs/prompt_finetune.gin", "tasks/spam.gin", "models/pocket_t5.gin", MODEL_DIR="d")
    assert (found["train_steps"], found["batch_size"]) == ("30000", "32")
    assert "length=100" in found["method"] and "dropout_rate=0.1" in found["model"]
