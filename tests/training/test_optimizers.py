"""The optimizers against their definitions, written out in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers

PROMPT = "encoder/prompt/prompt/prompt"


def t5x_adafactor(prompt, grads, clock_start):
    """Adafactor as T5X defines it for an unfactored array (1804.04235, alg. 4)."""
    moment, prompt = np.zeros_like(prompt, np.float64), prompt.astype(np.float64)
    for i, grad in enumerate(grads):
        decay = 1.0 - (i + clock_start + 1.0) ** -0.8
        moment = decay * moment + (1 - decay) * (grad.astype(np.float64) ** 2 + 1e-30)
        update = grad / np.sqrt(moment)
        update = update / max(1.0, np.sqrt(np.mean(update**2)) / 1.0)
        prompt = prompt - 0.3 * update - 1e-5 * prompt
    return prompt


@pytest.mark.parametrize("clock_start", [0, optimizers.LM_ADAPTED_STEP])
@pytest.mark.parametrize("length", [3, 130])  # optax factors axes of 128 by default
def test_adafactor_is_the_original_s(clock_start, length):
    rng = np.random.default_rng(length)
    prompt = rng.normal(size=(length, 140)).astype(np.float32)
    grads = rng.normal(size=(6, length, 140)).astype(np.float32) * 10.0 ** rng.integers(
        -3, 3, (6, 1, 1)
    )
    optimizer = optimizers.adafactor(0.3, clock_start=clock_start)
    params, state = {PROMPT: jnp.asarray(prompt)}, None
    state = optimizer.init(params)
    for grad in grads:
        updates, state = optimizer.update({PROMPT: jnp.asarray(grad)}, state, params)
        params = optax.apply_updates(params, updates)
    expected = t5x_adafactor(prompt, grads, clock_start)
    # float32 rounds 1 - beta2 = 1.5e-5 to about 1e-3 of itself; clipping hides it.
    np.testing.assert_allclose(params[PROMPT], expected, rtol=2e-3, atol=2e-3)


def test_the_original_s_clock_makes_every_update_the_learning_rate():
    """Clipping binds throughout, so that each element moves about 0.3 RMS a step."""
    rng = np.random.default_rng(0)
    params = {PROMPT: jnp.zeros((20, 16))}
    for clock_start, low, high in ((optimizers.LM_ADAPTED_STEP, 0.29, 0.31), (0, 0.0, 0.29)):
        optimizer = optimizers.adafactor(0.3, clock_start=clock_start, weight_decay=0.0)
        state = optimizer.init(params)
        for scale in 2.0 ** -np.arange(8):  # a gradient that shrinks, as in training
            grads = {PROMPT: jnp.asarray(rng.normal(size=(20, 16)) * scale, jnp.float32)}
            updates, state = optimizer.update(grads, state, params)
        rms = float(jnp.sqrt(jnp.mean(updates[PROMPT] ** 2)))
        assert low <= rms <= high, (clock_start, rms)


def test_frozen_parameters_have_no_state_and_do_not_move():
    params = {PROMPT: jnp.ones((3, 4)), "token_embedder/embedding": jnp.ones((7, 4))}
    for optimizer in (optimizers.adafactor(), optimizers.adamw(0.1)):
        frozen = optimizers.freeze(optimizer, [PROMPT])
        state = frozen.init(params)
        assert not [x for x in jax.tree.leaves(state) if x.shape == (7, 4)]
        updates, _ = frozen.update(params, state, params)
        assert not np.any(updates["token_embedder/embedding"])
        assert np.all(updates[PROMPT] != 0)


def test_whole_tree_and_trained_subtree_give_the_same_update():
    """T5X passes all gradients, our step only the prompt's."""
    rng = np.random.default_rng(1)
    nested = {
        "encoder": {
            "prompt": {"prompt": {"prompt": rng.normal(size=(3, 4)).astype(np.float32)}},
            "scale": rng.normal(size=4).astype(np.float32),
        }
    }
    flat = {PROMPT: nested["encoder"]["prompt"]["prompt"]["prompt"]}
    optimizer = optimizers.freeze(optimizers.adafactor(), [PROMPT])
    whole, _ = optimizer.update(nested, optimizer.init(nested), nested)
    part, _ = optimizer.update(flat, optimizer.init(flat), flat)
    np.testing.assert_array_equal(parameters.flatten(whole)[PROMPT], part[PROMPT])


def test_muon_orthogonalises_kernels_of_layers_only():
    rng = np.random.default_rng(2)
    params = {
        name: jnp.asarray(rng.normal(size=(8, 16)), jnp.float32)
        for name in ("encoder/layers_0/mlp/wo/kernel", "token_embedder/embedding")
    }
    optimizer = optimizers.freeze(optimizers.muon(0.01), [".*"])
    updates, _ = optimizer.update(params, optimizer.init(params), params)
    kernel = np.linalg.svd(updates["encoder/layers_0/mlp/wo/kernel"], compute_uv=False)
    table = np.linalg.svd(updates["token_embedder/embedding"], compute_uv=False)
    assert kernel.max() / kernel.min() < 2 < table.max() / table.min()


def test_split_names_what_it_looked_for():
    with pytest.raises(ValueError, match="No parameter matches .*prompts"):
        partition.split({"a/b": 1}, ["prompts"])


def test_warmup_cosine_ends():
    schedule = optimizers.warmup_cosine(1.0, warmup_steps=10, steps=100)
    assert [round(float(schedule(s)), 3) for s in (0, 5, 10, 100)] == [0.0, 0.5, 1.0, 0.1]


@pytest.mark.parametrize("steps", [1, 10])
def test_a_warmup_that_leaves_no_steps_is_told(steps):
    with pytest.raises(ValueError, match=f"less than all {steps} steps, found 10.*TRAIN_STEPS"):
        optimizers.warmup_cosine(1.0, warmup_steps=10, steps=steps)


@pytest.mark.parametrize("rate", [-1.0, 0.0, float("nan"), float("inf")])
def test_a_learning_rate_that_does_not_go_downhill_is_refused(rate):
    builds = {
        "adafactor.learning_rate": optimizers.adafactor,
        "short_run_adafactor.learning_rate": lambda rate: optimizers.short_run_adafactor(10, rate),
        "adamw.learning_rate": optimizers.adamw,
        "muon.learning_rate": optimizers.muon,
        "warmup_cosine.peak": lambda rate: optimizers.warmup_cosine(rate, warmup_steps=1, steps=2),
    }
    for name, build in builds.items():
        expected = f"^{name} must be a finite number above 0, found {rate}: change LEARNING_RATE"
        with pytest.raises(ValueError, match=expected):
            build(rate)


@pytest.mark.parametrize(
    "build",
    [optimizers.adafactor, optimizers.adamw, optimizers.muon]
    + [lambda rate: optimizers.short_run_adafactor(10, rate)],
)
def test_a_traced_learning_rate_passes(build):
    params = {PROMPT: jnp.ones((2, 3))}

    @jax.jit
    def update(rate):
        optimizer = build(rate)
        return optimizer.update(params, optimizer.init(params), params)

    assert jax.tree.leaves(update(0.1))


def test_short_runs_settle():
    """The last updates are small beside the first, whatever the gradient does."""
    rng = np.random.default_rng(3)
    params = {PROMPT: jnp.zeros((4, 8))}
    optimizer = optimizers.short_run_adafactor(40)
    state, sizes = optimizer.init(params), []
    for _ in range(40):
        grads = {PROMPT: jnp.asarray(rng.normal(size=(4, 8)), jnp.float32)}
        updates, state = optimizer.update(grads, state, params)
        sizes.append(float(jnp.abs(updates[PROMPT]).mean()))
    assert max(sizes[-3:]) < 0.15 * max(sizes)
