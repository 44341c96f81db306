"""One step: what moves, what does not, what is computed, and on which mesh."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from tests import models

PROMPT = "encoder/prompt/prompt/prompt"
METHOD = soft_prompt.SoftPrompt(length=3, initializer=initializers.Uniform())


def setup(base, method=METHOD, optimizer=None, layout=sharding.Layout(), devices=1):
    """(compiled step, state, frozen, mesh) of a run's start."""
    mesh = layout.mesh(jax.devices()[:devices])
    model = method.network(base)
    params = dict(base.params) | method.initial(base, jax.random.key(0))
    places = layout.param_shardings(model, mesh, params)
    params = {name: jax.device_put(np.asarray(x), places[name]) for name, x in params.items()}
    trained, frozen = partition.split(params, method.trainable)
    optimizer = optimizers.freeze(optimizer or optimizers.adafactor(), method.trainable)
    state = sharding.put_state(training_step.TrainState.create(trained, optimizer), mesh)
    step = jax.jit(training_step.make_train_step(model, optimizer, 0))
    return step, state, frozen, mesh


def run(steps=3, **kwargs):
    base = models.tiny_model(**kwargs.pop("config", {}))
    step, state, frozen, mesh = setup(base, **kwargs)
    losses = []
    for i in range(steps):
        batch = sharding.put_batch(models.random_batch(i), mesh)
        state, metrics = step(state, frozen, batch)
        losses.append(float(metrics["loss"]))
    return state, frozen, losses


def test_the_prompt_moves_and_frozen_arrays_stay_bit_identical():
    base = models.tiny_model()
    before = {name: np.asarray(x).copy() for name, x in base.params.items()}
    state, frozen, _ = run()
    assert set(state.trained) == {PROMPT} and set(frozen) == set(before)
    for name, x in frozen.items():
        np.testing.assert_array_equal(x, before[name])
    start = METHOD.initial(base, jax.random.key(0))[PROMPT]
    assert np.all(np.asarray(state.trained[PROMPT]) != start)


def test_no_optimizer_state_exists_for_frozen_arrays():
    state, _, _ = run(steps=1)
    sizes = [x.size for x in jax.tree.leaves(state.optimizer)]
    assert sum(sizes) < 2 * state.trained[PROMPT].size + 10


def test_gradient_is_that_of_the_whole_tree():
    """Differentiating only the prompt gives what differentiating everything gives."""
    base = models.tiny_model()
    model = METHOD.network(base)
    params = dict(base.params) | METHOD.initial(base, jax.random.key(0))
    batch = models.random_batch(0)
    whole = jax.grad(lambda p: training_step.batch_loss(model, p, jax.device_put(batch)).loss)(
        params
    )
    step, state, frozen, mesh = setup(base, optimizer=optax.sgd(1.0))
    new, _ = step(state, frozen, sharding.put_batch(batch, mesh))
    moved = np.asarray(state.trained[PROMPT]) - np.asarray(new.trained[PROMPT])
    np.testing.assert_allclose(moved, whole[PROMPT], rtol=1e-4, atol=1e-5)


def compiled_flops(base, method, batch):
    step, state, frozen, mesh = setup(base, method)
    compiled = step.lower(state, frozen, sharding.put_batch(batch, mesh)).compile()
    return compiled.cost_analysis()["flops"]


def test_compiled_step_has_no_weight_gradient_of_frozen_kernels():
    """Forward 1, activations' gradient 1, weights' gradient 1: two thirds of full tuning.

    The same prompt is in both, so that the sequences are equally long.
    """

    class Both(soft_prompt.SoftPrompt):
        trainable = (".*",)

    base = models.tiny_model(d_model=64, d_ff=128, head_dim=16)
    batch = models.random_batch(0, rows=8, inputs=32, targets=16)
    prompt = soft_prompt.SoftPrompt(8, initializers.Uniform())
    both = Both(8, initializers.Uniform())
    ratio = compiled_flops(base, prompt, batch) / compiled_flops(base, both, batch)
    assert ratio < 0.72, ratio


@pytest.mark.parametrize(
    "method, layout",
    [
        (METHOD, sharding.Layout(1)),
        (METHOD, sharding.Layout(4)),
        (METHOD, sharding.Layout(2, shard_frozen=True)),
        (model_tuning.ModelTuning(), sharding.Layout(2, shard_frozen=True)),
    ],
    ids=str,
)
def test_every_mesh_gives_the_single_device_numbers(method, layout):
    one, _, losses_of_one = run(steps=2, method=method, optimizer=optax.sgd(0.05))
    many, frozen, losses = run(
        steps=2, method=method, optimizer=optax.sgd(0.05), layout=layout, devices=8
    )
    np.testing.assert_allclose(losses, losses_of_one, rtol=1e-5)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-5),
        one.trained,
        many.trained,
    )
    if layout.model_parallel > 1:
        arrays = frozen | many.trained
        kernel = arrays["encoder/layers_0/mlp/wi_0/kernel"]
        parts = layout.model_parallel * (8 // layout.model_parallel if layout.shard_frozen else 1)
        assert kernel.addressable_shards[0].data.size * parts == kernel.size


def test_layout_that_does_not_divide_the_devices():
    with pytest.raises(ValueError, match="model_parallel is 3, which does not divide the 8"):
        sharding.Layout(3).mesh()


def test_a_step_that_is_not_finite_changes_nothing():
    base = models.tiny_model()
    base.params["decoder/logits_dense/kernel"] = jnp.full_like(
        base.params["decoder/logits_dense/kernel"], jnp.nan
    )
    step, state, frozen, mesh = setup(base)
    new, metrics = step(state, frozen, sharding.put_batch(models.random_batch(0), mesh))
    assert not metrics["finite"] and int(new.step) == 0
    jax.tree.map(np.testing.assert_array_equal, state, new)


def test_no_step_is_taken_after_one_that_is_not_finite():
    step, state, frozen, mesh = setup(models.tiny_model())
    batch = sharding.put_batch(models.random_batch(0), mesh)
    new, metrics = step(state, frozen, batch, jnp.array(False))
    assert not metrics["finite"] and int(new.step) == 0
    jax.tree.map(np.testing.assert_array_equal, state, new)


def test_dropout_is_a_function_of_seed_and_step():
    first, _, losses = run(config=dict(dropout_rate=0.3))
    again, _, same = run(config=dict(dropout_rate=0.3))
    _, _, without = run()
    assert losses == same and losses != without
    jax.tree.map(np.testing.assert_array_equal, first.trained, again.trained)
