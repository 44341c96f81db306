"""However a network is computed, it computes the same; int8 kernels are what they stand for."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import attention
from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import execution
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import weight_forms
from tests.t5 import tiny

PROMPT = "encoder/prompt/prompt/prompt"
PLAIN = tiny.build(encoder_prompt=3)
PARAMS = parameters.flatten(tiny.random_params(PLAIN))
TARGETS = tiny.tokens(2, [4, 2], 4)
BATCH = tuple(map(jnp.asarray, (tiny.tokens(1, [5, 3], 5), tiny.shifted(TARGETS), TARGETS)))


def executed(model=PLAIN, **choices):
    """The network computed so, and its parameters in the form that it wants."""
    model = model.clone(execution=execution.Execution(**choices))
    params = weight_forms.in_form(PARAMS, model.execution)
    return model, {name: jnp.asarray(np.asarray(x)) for name, x in params.items()}


def loss_and_gradient(model, params):
    frozen = {name: x for name, x in params.items() if name != PROMPT}

    def loss(prompt):
        tree = parameters.unflatten(frozen | {PROMPT: prompt})
        logits = model.apply({"params": tree}, *BATCH, enable_dropout=False)
        return jnp.mean(jnp.square(logits))

    return jax.jit(jax.value_and_grad(loss))(params[PROMPT])


@pytest.mark.parametrize("policy", execution.REMAT_POLICIES)
@pytest.mark.parametrize("scan", [False, True])
def test_scans_and_rematerialisation_change_nothing(policy, scan):
    expected = loss_and_gradient(*executed())
    found = loss_and_gradient(*executed(scan_layers=scan, remat_policy=policy))
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize(
    "decode", [decoding.greedy, functools.partial(beam_search.beam_search, num_beams=3)]
)
def test_a_scanned_network_decodes_the_same(decode):
    found = [
        decode(model, parameters.unflatten(params), BATCH[0], 6)
        for model, params in (executed(), executed(scan_layers=True))
    ]
    np.testing.assert_array_equal(found[0].tokens, found[1].tokens)
    np.testing.assert_allclose(found[0].log_probs, found[1].log_probs, rtol=1e-4)


def test_a_scanned_network_has_dropout_of_its_own_in_every_layer():
    config = dataclasses.replace(tiny.CONFIG, dropout_rate=0.5, num_encoder_layers=3)
    model = network.T5(config, execution=execution.Execution(scan_layers=True))
    params = parameters.flatten(tiny.random_params(network.T5(config)))
    tree = parameters.unflatten(
        {k: np.asarray(x) for k, x in weight_forms.in_form(params, model.execution).items()}
    )
    _, sown = model.apply(
        {"params": tree},
        BATCH[0],
        rngs={"dropout": jax.random.key(0)},
        mutable=["intermediates"],
        method="encode",
        capture_intermediates=lambda module, _: type(module).__name__ == "Dropout",
    )
    (dropped,) = sown["intermediates"]["encoder"]["layers"]["mlp"]["Dropout_0"]["__call__"]
    masks = np.asarray(dropped)[:, 0, 0] == 0
    assert masks.shape == (3, config.d_ff) and np.any(masks[0] != masks[1])


def test_int8_kernels_are_near_and_compute_what_they_stand_for():
    model, params = executed(int8_weights=True)
    plain = dict(PARAMS)
    for name, scale in params.items():
        if name.endswith("_scale"):
            kernel = name.removesuffix("_scale")
            assert params[kernel].dtype == jnp.int8
            scale = np.asarray(scale, np.float32)
            plain[kernel] = np.asarray(params[kernel], np.float32) * scale
            error = np.abs(plain[kernel] - PARAMS[kernel])
            assert np.all(error <= scale * 0.75)  # half a step, and what bfloat16 takes off a scale
            assert np.any(error > scale * 0.25)
    assert {name for name in params if "_scale" in name} == {
        f"{name}_scale" for name in PARAMS if "layers_" in name and name.endswith("kernel")
    }
    expected, found = loss_and_gradient(PLAIN, plain), loss_and_gradient(model, params)
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_int8_and_scanned_is_int8():
    expected = loss_and_gradient(*executed(int8_weights=True))
    found = loss_and_gradient(*executed(int8_weights=True, scan_layers=True))
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_a_column_of_zeros_stays_one():
    name = "encoder/layers_0/mlp/wo/kernel"
    zeros = {name: np.zeros((3, 2), np.float32)}
    formed = weight_forms.in_form(zeros, execution.Execution(int8_weights=True))
    product = np.asarray(formed[name], np.float32) * np.asarray(formed[f"{name}_scale"], np.float32)
    np.testing.assert_array_equal(product, 0)


def test_parts_of_a_stack_are_parts_of_its_layers():
    arrays = {f"decoder/layers_{i}/x": np.full((4, 6), i) + np.arange(6) for i in (10, 2, 0, 1)}
    arrays |= {f"decoder/layers_{i}/x": np.full((4, 6), i) + np.arange(6) for i in range(3, 10)}
    (stack,) = weight_forms.in_form(arrays, execution.Execution(scan_layers=True)).values()
    expected = np.stack([arrays[f"decoder/layers_{i}/x"] for i in range(11)])
    np.testing.assert_array_equal(np.asarray(stack), expected)
    np.testing.assert_array_equal(stack[2:5, 1:2, 3:], expected[2:5, 1:2, 3:])


@pytest.mark.parametrize("queries, keys", [(2, 9), (40, 3)])
def test_few_queries_leave_the_keys_unprojected_and_get_the_same(queries, keys):
    module = attention.MultiHeadAttention(2, 5, dropout_rate=0.0)
    rng = np.random.default_rng(0)
    x, y = (jnp.asarray(rng.normal(size=(3, n, 6)), jnp.float32) for n in (queries, keys))
    mask = jnp.asarray(rng.random((3, 1, 1, keys)) < 0.7)
    variables = module.init(jax.random.key(0), x, y, mask, None, enable_dropout=False)
    params = jax.tree.map(lambda x: x + 0.3, variables["params"])
    assert module.bind({})._few(queries, keys, 6) == (queries == 2)

    def of_one_query(row):  # at most this many products: always unprojected, or never
        return module.apply({"params": params}, row, y, mask, None, enable_dropout=False)

    expected = jnp.concatenate([of_one_query(x[:, i : i + 1]) for i in range(queries)], axis=1)
    found = of_one_query(x)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)


def test_a_fused_kernel_is_given_what_gives_the_same(monkeypatch):
    """cuDNN's is not here: XLA stands in for it, behind the same call."""
    fused = attention.fused
    monkeypatch.setattr(attention, "fused", lambda *args: fused(*args, kernel="xla"))
    expected = loss_and_gradient(*executed())
    found = loss_and_gradient(*executed(attention="cudnn"))
    for x, y in zip(found, expected):
        np.testing.assert_allclose(x, y, rtol=1e-4, atol=1e-6)


def test_a_kernel_that_is_not_here_is_refused_before_anything_is_compiled():
    with pytest.raises(ValueError, match="cudnn.*needs an NVIDIA GPU.*bfloat16.*'xla'"):
        execution.Execution(attention="cudnn").check(jnp.bfloat16)


@pytest.mark.parametrize("field, value", [("remat_policy", "half"), ("attention", "flash")])
def test_unknown_choices_are_named(field, value):
    with pytest.raises(ValueError, match=f"Execution.{field} .*{value}"):
        execution.Execution(**{field: value})
