"""Every gin file of the project is sound, and their order on the command line does not matter."""

import itertools

import gin
import pytest

from prompt_tuning import gin_folder
from prompt_tuning.cli import checking
from prompt_tuning.cli import reading
from prompt_tuning.data import shipped
from prompt_tuning.t5 import config as t5_config

FOLDER = gin_folder.GIN_FOLDER
FILES = sorted(str(path.relative_to(FOLDER)) for path in FOLDER.rglob("*.gin"))
FILES = [file for file in FILES if not file.startswith("t5x/")]  # T5X reads these, see tests/t5x
# What no file of the project may have to set, as a file that all others win over.
EVERYTHING = """
INITIAL_CHECKPOINT_PATH = "m"
MODEL_DIR = "d"
EVAL_OUTPUT_DIR = "e"
TRAIN_STEPS = 1000
PROMPT_FILE = "p"
PROMPT_TEXT = "t"
DATA_FILES = {"train": "t.txt"}
VOCABULARY_FILE = "v"
MIXTURE_OR_TASK_NAME = "spam"
CLASS_LABELS = ["a", "b"]
PromptDesign.pattern = "t {inputs}"
TASK_FEATURE_LENGTHS = {"inputs": 8, "targets": 4}
files_mixture.rates = {"a": 1.0}
"""


@pytest.fixture(scope="module")
def everything(tmp_path_factory):
    path = tmp_path_factory.mktemp("gin") / "everything.gin"
    path.write_text(EVERYTHING)
    return str(path)


def entry_point(file):
    return {"runs/prompt_eval.gin": "evaluate", "runs/prompt_infer.gin": "infer"}.get(file, "train")


def made(entry, *files):
    """The arguments that gin makes, as text."""
    checking.check(entry, reading.read(files, [], []))
    return {name: repr(value) for name, value in gin.get_configurable(entry)().items()}


@pytest.mark.parametrize("file", FILES)
def test_each_file_can_be_run(everything, file):
    assert made(entry_point(file), everything, file)


@pytest.mark.parametrize("file", [file for file in FILES if file.startswith("tasks/")])
def test_a_task_needs_nothing_else_but_a_model(file):
    with pytest.raises(reading.ConfigError) as caught:
        made("train", file)
    missing = {line.split()[0] for line in str(caught.value).splitlines()}
    assert missing - {"INITIAL_CHECKPOINT_PATH", "MODEL_DIR", "TRAIN_STEPS"} <= {
        "MIXTURE_OR_TASK_NAME",  # pocket_text.gin is included by runs that say these
        "TASK_FEATURE_LENGTHS",
        "files_mixture.rates",
    }


@pytest.mark.parametrize("size", t5_config.SIZES)
def test_sizes_are_the_published_ones(everything, size):
    files = ["models/t5_1_1.gin", f"models/sizes/{size}.gin"]
    found = made("train", everything, *files)["model"]
    assert f"config={t5_config.t5_1_1(size)!r}" in found


def test_the_order_of_files_does_not_matter(everything):
    files = [
        "models/t5_1_1.gin",
        "prompts/from_class_labels.gin",
        "models/sizes/large.gin",
        "tasks/spam.gin",
        "runs/prompt_finetune.gin",
    ]
    first, *others = (
        {
            name: text
            for name, text in made("train", everything, *order).items()
            if name != "optimizer"  # functions, which have no text
        }
        for order in itertools.permutations(files)
    )
    assert "ClassLabels" in first["method"] and first["train_steps"] == "30000"
    assert all(other == first for other in others)


@pytest.mark.parametrize("name", shipped.SHIPPED)
def test_shipped_tasks_have_their_labels_in_gin(everything, name):
    found = made("train", everything, f"tasks/{name}.gin", "prompts/from_class_labels.gin")
    assert repr(list(shipped.SHIPPED[name])) in found["method"]
    assert f"name='{name}'" in found["task"]


def test_the_papers_settings(everything):
    found = made("train", everything, "runs/prompt_finetune.gin")
    assert (found["train_steps"], found["batch_size"]) == ("30000", "32")
    assert "length=100" in found["method"] and "dropout_rate=0.1" in found["model"]


def test_a_layout_of_hardware_replaces_the_one_before(everything):
    files = [file for file in FILES if file.startswith("hardware/")]
    alone = {file: made("train", everything, file)["layout"] for file in files}
    for first, last in itertools.permutations(files, 2):
        assert made("train", everything, first, last)["layout"] == alone[last]
    assert len(files) == 4 and "model_parallel=4" in alone["hardware/model_parallel.gin"]
