"""Diagnostics against sums written out with explicit positions."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import execution
from prompt_tuning.t5 import parameters
from prompt_tuning.training import diagnostics
from prompt_tuning.training import weight_forms
from tests.t5 import tiny

CONFIG = dataclasses.replace(tiny.CONFIG, num_encoder_layers=2, num_decoder_layers=2)

# T = 4 and L = 3; a row without padding, one with, and one that is no example.
INPUTS = np.array([[5, 6, 7, 1], [8, 1, 0, 0], [0, 0, 0, 0]])
REAL_INPUTS = [(0, 0), (0, 1), (0, 2), (0, 3), (1, 0), (1, 1)]
REAL_TARGETS = [(0, 0), (0, 1), (0, 2), (1, 0)]
BATCH = {
    "encoder_input_tokens": jnp.array(INPUTS),
    "decoder_input_tokens": jnp.array([[0, 9, 8], [0, 0, 0], [0, 0, 0]]),
    "decoder_target_tokens": jnp.array([[9, 8, 1], [1, 0, 0], [0, 0, 0]]),
    "decoder_loss_weights": np.array([[1, 1, 1], [1, 0, 0], [0, 0, 0]], jnp.float32),
}
P = 2
# Where the prompt's columns are in each row, by the prompt's location.
COLUMNS = {"front": [[0, 1], [0, 1]], "after_first": [[1, 2], [1, 2]], "end": [[4, 5], [2, 3]]}


def attention_weights(model, params):
    """`weights(path)` of one attention module, [B, Q, S]."""
    _, state = jax.jit(
        lambda params: model.apply(
            {"params": parameters.unflatten(params)},
            BATCH["encoder_input_tokens"],
            BATCH["decoder_input_tokens"],
            enable_dropout=False,
            mutable=["intermediates"],
        )
    )(params)
    sown = parameters.flatten(state["intermediates"])
    return lambda path: sown[f"{path}/mean_weights"][0]


def mass_on(weights, queries, columns):
    """Mean over queries, pairs of (row, position); `columns` are each row's."""
    return np.mean([np.asarray(weights)[row, query, columns[row]].sum() for row, query in queries])


def uniform_mass(queries):
    return np.mean([P / (P + (INPUTS[row] != 0).sum()) for row, _ in queries])


def flat_params(model):
    return parameters.flatten(tiny.random_params(model))


@pytest.mark.parametrize("location, decoder_prompt", [("front", P), ("after_first", 0), ("end", 0)])
def test_attention_mass_looks_at_the_prompts_columns(location, decoder_prompt):
    model = tiny.build(CONFIG, P, decoder_prompt, location)
    params, columns = flat_params(model), COLUMNS[location]
    weights = attention_weights(model, params)
    text = [[i for i in range(4 + P) if i not in columns[row]] for row in (0, 1)]
    encoder_queries = [(row, text[row][i]) for row, i in REAL_INPUTS]
    decoder_queries = [(row, decoder_prompt + i) for row, i in REAL_TARGETS]
    sites = {
        "encoder": ("encoder/layers_{}/attention", encoder_queries, columns),
        "cross": ("decoder/layers_{}/encoder_decoder_attention", decoder_queries, columns),
    }
    if decoder_prompt:
        sites["decoder"] = ("decoder/layers_{}/self_attention", decoder_queries, [[0, 1], [0, 1]])
    expected = {
        f"prompt/attention_mass/{name}_layer_{i}": mass_on(weights(path.format(i)), queries, keys)
        for name, (path, queries, keys) in sites.items()
        for i in range(2)
    }
    expected["prompt/attention_mass/encoder_uniform"] = uniform_mass(REAL_INPUTS)

    found = diagnostics.make_diagnostics(model)(params, BATCH)

    assert {name for name in found if "attention" in name} == expected.keys()
    assert {type(value) for value in found.values()} == {float}
    for name, value in expected.items():
        np.testing.assert_allclose(found[name], value, rtol=1e-5, err_msg=name)


def test_a_scanned_network_has_the_same_diagnostics():
    model = tiny.build(CONFIG, P)
    params = flat_params(model)
    expected = diagnostics.make_diagnostics(model)(params, BATCH)
    scanned = model.clone(execution=execution.Execution(scan_layers=True))
    params = {
        name: np.asarray(x) for name, x in weight_forms.in_form(params, scanned.execution).items()
    }
    found = diagnostics.make_diagnostics(scanned)(params, BATCH)
    assert found == pytest.approx(expected, rel=1e-4)


def test_attention_without_preference_has_the_uniform_mass():
    model = tiny.build(CONFIG, P)
    indifferent = {
        name: np.zeros_like(x) if "query" in name or "relpos" in name else x
        for name, x in flat_params(model).items()
    }
    found = diagnostics.make_diagnostics(model)(indifferent, BATCH)
    for i in range(2):
        np.testing.assert_allclose(
            found[f"prompt/attention_mass/encoder_layer_{i}"], uniform_mass(REAL_INPUTS), rtol=1e-5
        )
        np.testing.assert_allclose(
            found[f"prompt/attention_mass/cross_layer_{i}"], uniform_mass(REAL_TARGETS), rtol=1e-5
        )


def test_prompt_norms_stand_beside_the_vocabularys():
    prompt = jnp.zeros((P, 16)).at[0, 3].set(-4.0)
    found = diagnostics.prompt_norms(
        {
            "encoder/prompt/prompt/prompt": prompt,
            "decoder/prompt/prompt/prompt": 2 * prompt,
            "token_embedder/embedding": jnp.full((5, 16), 0.25),
            "encoder/other": prompt,
        }
    )
    assert jax.tree.map(float, found) == {
        "prompt/row_norm_mean/encoder": 2.0,
        "prompt/row_norm_max/encoder": 4.0,
        "prompt/row_norm_mean/decoder": 4.0,
        "prompt/row_norm_max/decoder": 8.0,
        "prompt/row_norm_mean/vocabulary": 1.0,
    }


def test_a_model_without_prompts_has_none():
    model = tiny.build(CONFIG)
    assert diagnostics.make_diagnostics(model)(flat_params(model), BATCH) == {}


def test_update_ratio():
    ratio = diagnostics.update_ratio(
        {"update_norm": jnp.array(3.0), "trained_norm": jnp.array(4.0)}
    )
    assert ratio == {"prompt/update_ratio": 0.75}
    still = diagnostics.update_ratio(
        {"update_norm": jnp.array(0.0), "trained_norm": jnp.array(0.0)}
    )
    assert still == {"prompt/update_ratio": 0.0}
