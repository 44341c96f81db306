"""A submission takes T5X's weights too; what is in one is tests/test_super_glue.py's."""

import pathlib
import subprocess
import sys

import pytest

from prompt_tuning.checkpoints import t5x
from prompt_tuning.checkpoints import weights

SCRIPT = pathlib.Path(__file__).parents[2] / "scripts/superglue_submission.py"
TASKS = ("boolq", "cb", "copa", "multirc", "record", "rte", "wic", "wsc")


@pytest.fixture
def submit(model_folder, tmp_path):
    """Runs the script on a T5X checkpoint with prompts that are not there; returns what it says."""
    model = weights.load_model(model_folder)
    checkpoint = t5x.write_t5x(tmp_path, 7, model.params)

    def run(*arguments):
        command = [sys.executable, SCRIPT, "--model", checkpoint, "--out", tmp_path / "out"]
        command += [f"--prompt={task}={tmp_path}/no_prompt.npy" for task in TASKS]
        done = subprocess.run([*map(str, [*command, *arguments])], capture_output=True, text=True)
        assert done.returncode == 2 and not (tmp_path / "out").exists()
        return done.stderr

    return run


def test_t5x_weights_are_loaded_with_a_vocabulary(submit, model_folder):
    assert "brings no vocabulary" in submit()
    file = model_folder / "vocabulary.model"
    assert "4096 rows" in submit("--vocabulary_file", file, "--extra_ids", 200)
    assert "no_prompt.npy" in submit("--vocabulary_file", file, "--extra_ids", 32)
