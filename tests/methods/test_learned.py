"""Of a run's folder the best prompt is taken, else the newest; anything else is taken as it is."""

import jax
import numpy as np
import pytest

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import learned
from prompt_tuning.methods import lora
from prompt_tuning.methods import method
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files

NAME = "encoder.prompt.prompt.prompt"


@pytest.fixture
def run(tmp_path):
    for step in (5, 100, 20):
        folder = tmp_path / "numpy_checkpoints" / f"checkpoint_{step}"
        files.write_prompt(folder / NAME, np.full((3, 16), step, np.float32))
    return tmp_path


def test_the_newest_save_is_taken(run):
    assert model_dirs.find_learned(run) == run / "numpy_checkpoints" / "checkpoint_100"


def test_a_folder_with_nothing_in_it_hides_no_save(run):
    (run / "best").mkdir()
    (run / "best" / f".{NAME}.0a1b").write_text("what a kill left")
    (run / "numpy_checkpoints/checkpoint_300").mkdir()
    assert model_dirs.find_learned(run) == run / "numpy_checkpoints" / "checkpoint_100"


def test_the_best_one_is_preferred(run):
    files.write_prompt(run / "best" / NAME, np.zeros((3, 16), np.float32))
    assert model_dirs.find_learned(run) == run / "best"


def test_files_and_other_folders_are_themselves(run):
    folder = run / "numpy_checkpoints" / "checkpoint_5"
    assert model_dirs.find_learned(folder) == folder
    assert model_dirs.find_learned(folder / NAME) == folder / NAME


def test_nothing_there(tmp_path):
    with pytest.raises(FileNotFoundError, match="PROMPT_FILE: there is no .*nowhere"):
        model_dirs.find_learned(tmp_path / "nowhere")


def test_the_prompt_stands_beside_the_frozen_parameters(run, model_folder):
    base = weights.load_model(model_folder)
    found = dict(learned.adapt(base, soft_prompt.SoftPrompt(3), run).params)
    assert np.all(found.pop(NAME.replace(".", "/")) == 100)
    assert found.keys() == base.params.keys()
    assert all(found[name] is base.params[name] for name in found)


def test_another_method_is_named(run, tmp_path, model_folder):
    base = weights.load_model(model_folder)
    with pytest.raises(FileNotFoundError, match=r"no learned.safetensors.*LoRA writes.*set METHOD"):
        learned.adapt(base, lora.LoRA(2), run)
    with_lora = tmp_path / "sweep" / "one" / "best"
    lora.LoRA(2).write(base, lora.LoRA(2).initial(base, jax.random.key(0)), with_lora, {})
    soft = soft_prompt.SoftPrompt(3)
    with pytest.raises(FileNotFoundError, match="found what LoRA learned: set METHOD to it"):
        learned.adapt(base, soft, with_lora.parent)
    with pytest.raises(FileNotFoundError, match="found runs: give the MODEL_DIR of one .one."):
        learned.adapt(base, soft, tmp_path / "sweep")
    weights.save_model(tmp_path / "tuned" / "best", base, base.params)
    with pytest.raises(FileNotFoundError, match="found a model: set METHOD to what tuned it"):
        learned.adapt(base, soft, tmp_path / "tuned")


def test_a_prompt_for_a_method_that_learns_nothing_is_refused(run, model_folder):
    base = weights.load_model(model_folder)
    assert learned.adapt(base, method.Method(), None).params == base.params
    with pytest.raises(ValueError, match="Method learns nothing, found PROMPT_FILE"):
        learned.adapt(base, method.Method(), run)


def test_several_prompts_stand_apart(run, model_folder):
    base = weights.load_model(model_folder)
    saves = run / "numpy_checkpoints"
    adapted = learned.adapt_by_row(
        base, soft_prompt.SoftPrompt(3), [saves / "checkpoint_5", run], rows=4
    )
    assert adapted.params is base.params
    bank = adapted.bank[NAME.replace(".", "/")]
    assert bank.shape == (2, 3, 16) and bank[:, 0, 0].tolist() == [5, 100]


@pytest.mark.parametrize(
    ("adapting", "paths"), [(method.Method(), ["p"]), (soft_prompt.SoftPrompt(3), [])]
)
def test_several_prompts_need_soft_prompts(adapting, paths, model_folder):
    base = weights.load_model(model_folder)
    with pytest.raises(ValueError, match="PROMPT_FILE has .* several at once need SoftPrompt"):
        learned.adapt_by_row(base, adapting, paths, rows=4)


def test_a_prompt_is_needed_where_one_is_used(model_folder):
    base = weights.load_model(model_folder)
    assert learned.adapt(base, method.Method(), None).params == base.params
    with pytest.raises(ValueError, match="SoftPrompt needs what it learned: set PROMPT_FILE"):
        learned.adapt(base, soft_prompt.SoftPrompt(3), None)
