"""The adapters between this project and T5X, without a run."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

pytest.importorskip("t5x", reason="T5X is not installed; README.md says how")

from jax.sharding import PartitionSpec
import seqio
import tensorflow as tf

from prompt_tuning.checkpoints.stored import CheckpointError
from prompt_tuning.data.examples import DataError
from prompt_tuning.methods import lora
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5x import learned
from prompt_tuning.t5x import model
from prompt_tuning.t5x import optimizer
from prompt_tuning.t5x import tasks
from prompt_tuning.training import optimizers
from tests.t5x import tiny_task
from tests.t5x.conftest import CONFIG, PROMPT_LENGTH

pytestmark = pytest.mark.t5x
METHOD = soft_prompt.SoftPrompt(PROMPT_LENGTH)


@pytest.fixture(scope="module")
def adaptation(checkpoint):
    return model.Adaptation(str(checkpoint), CONFIG, METHOD, tiny_task.VOCABULARY)


def axes_of_state(trained, **options):
    """Axis names of each array of Adafactor's state, by name."""
    params = {"prompt": jnp.zeros((200, 256)), "kernel": jnp.zeros((256, 384))}
    axes = {"prompt": PartitionSpec("prompt", "embed"), "kernel": PartitionSpec("embed", "mlp")}
    wrapper = optimizer.OptaxWrapper(optimizers.freeze(optimizers.adafactor(**options), trained))
    state = wrapper.create(params)
    derived = wrapper.derive_logical_axes(state, axes)
    assert derived.target == axes
    names = derived.state_dict()["state"]
    assert jax.tree.structure(names, is_leaf=lambda x: x is None) == jax.tree.structure(
        state.state_dict()["state"]
    )
    factored = names["param_states"]["inner_states"]["trained"]["inner_state"]["0"]
    return {name: factored[name] for name in ("count", "v_row", "v_col", "v")}


def test_a_whole_accumulator_lies_as_its_parameter():
    axes = axes_of_state(["prompt"])
    assert axes["v"] == {"prompt": PartitionSpec("prompt", "embed")}
    assert axes["v_row"] == axes["v_col"] == {"prompt": None}
    assert axes["count"] is None


def test_factored_accumulators_lie_whole_on_every_device():
    axes = axes_of_state([".*"], factored=True)
    assert axes["v"] == axes["v_row"] == axes["v_col"] == {"prompt": None, "kernel": None}


def test_a_checkpoint_of_another_size_is_named(checkpoint):
    other = t5_config.t5_1_1("small")
    adaptation = model.Adaptation(str(checkpoint), other, METHOD, tiny_task.VOCABULARY)
    with pytest.raises(CheckpointError, match="d_model"):
        model.encoder_decoder(adaptation, optimizers.adafactor())


@pytest.mark.parametrize(
    "method",
    [lora.LoRA(), p_tuning.PTuning(), model_tuning.ModelTuning()],
    ids=lambda x: type(x).__name__,
)
def test_other_methods_are_refused(method):
    name = type(method).__name__
    with pytest.raises(ValueError, match=f"METHOD must be SoftPrompt, found {name}.*Set METHOD"):
        model.Adaptation("unread", CONFIG, method, tiny_task.VOCABULARY)


def test_a_prompt_of_another_length_is_named(adaptation, tmp_path):
    files.write_prompt(tmp_path / "prompt.npy", np.zeros((PROMPT_LENGTH + 1, CONFIG.d_model)))
    with pytest.raises(ValueError, match=f"Set PROMPT_LENGTH={PROMPT_LENGTH + 1}"):
        learned.AdaptedState(adaptation=adaptation, prompt_file=tmp_path / "prompt.npy")


def test_prompts_can_be_written_to_a_bucket(adaptation):
    prompt = np.ones((PROMPT_LENGTH, CONFIG.d_model), np.float32)
    target = {"encoder": {"prompt": {"prompt": {"prompt": prompt}}, "frozen": prompt}}
    state, infos = {"target": target, "state": {"step": 3}}, object()
    saved = learned.LearnedFiles(adaptation, "ram://bucket/run")(state, infos)
    assert saved[0] is state and saved[1] is infos
    folder = "ram://bucket/run/numpy_checkpoints/checkpoint_3"
    assert set(tf.io.gfile.listdir(folder)) == {files.file_name("encoder"), files.DESCRIBED}
    with tf.io.gfile.GFile(f"{folder}/{files.file_name('encoder')}", "rb") as file:
        np.testing.assert_array_equal(np.load(file, allow_pickle=False), prompt)


def test_the_vocabulary_is_the_same_without_seqio(adaptation):
    text = "the cat <extra_id_0> sat"
    assert adaptation.our_vocabulary.encode(text) == tiny_task.VOCABULARY.encode(text)


@pytest.mark.parametrize(
    ("name", "module"), [("spam", None), ("colour_or_animal", "tests.t5x.tiny_task")]
)
def test_seqio_comes_to_know_tasks(adaptation, name, module):
    assert tasks.registered(name, adaptation, module) == name
    assert name in seqio.TaskRegistry.names()


def test_benchmarks_are_made_with_the_models_vocabulary(adaptation):
    name = "taskless_super_glue_rte_v102"
    tasks.registered(name, adaptation, data_dir="unread")
    assert seqio.TaskRegistry.get(name).output_features["inputs"].vocabulary == tiny_task.VOCABULARY


def test_an_unknown_task_is_named(adaptation):
    with pytest.raises(DataError, match="no_such_task"):
        tasks.registered("no_such_task", adaptation)
