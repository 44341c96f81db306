"""The network's contract with T5X, its switches, and what may not change a row."""

import dataclasses
import inspect

from flax import traverse_util
from hypothesis import given, settings, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import network
from tests.t5 import tiny

V, D, F, HK, BUCKETS = 40, 12, 20, 10, 8
ATTENTION = {
    "query/kernel": ((D, HK), ("embed", "joined_kv")),
    "key/kernel": ((D, HK), ("embed", "joined_kv")),
    "value/kernel": ((D, HK), ("embed", "joined_kv")),
    "out/kernel": ((HK, D), ("joined_kv", "embed")),
}
MLP = {
    "mlp/wi_0/kernel": ((D, F), ("embed", "mlp")),
    "mlp/wi_1/kernel": ((D, F), ("embed", "mlp")),
    "mlp/wo/kernel": ((F, D), ("mlp", "embed")),
}
SCALE = ((D,), ("embed",))
NEAR = dict(rtol=1e-4, atol=1e-4)  # of logits, which are about 1
RELPOS = ((2, BUCKETS), ("heads", "relpos_buckets"))


def under(prefix, entries):
    return {f"{prefix}/{name}": entry for name, entry in entries.items()}


ENCODER_LAYER = (
    under("attention", ATTENTION)
    | MLP
    | {"pre_attention_layer_norm/scale": SCALE, "pre_mlp_layer_norm/scale": SCALE}
)
DECODER_LAYER = (
    under("self_attention", ATTENTION)
    | MLP
    | under("encoder_decoder_attention", ATTENTION)
    | {
        "pre_self_attention_layer_norm/scale": SCALE,
        "pre_cross_attention_layer_norm/scale": SCALE,
        "pre_mlp_layer_norm/scale": SCALE,
    }
)
T5X_PARAMETERS = {
    "token_embedder/embedding": ((V, D), ("vocab", "embed")),
    "encoder/relpos_bias/rel_embedding": RELPOS,
    **under("encoder/layers_0", ENCODER_LAYER),
    "encoder/encoder_norm/scale": SCALE,
    "decoder/relpos_bias/rel_embedding": RELPOS,
    **under("decoder/layers_0", DECODER_LAYER),
    **under("decoder/layers_1", DECODER_LAYER),
    "decoder/decoder_norm/scale": SCALE,
    "decoder/logits_dense/kernel": ((D, V), ("embed", "vocab")),
}
PROMPTS = {
    "encoder/prompt/prompt/prompt": ((4, D), ("prompt", "embed")),
    "decoder/prompt/prompt/prompt": ((3, D), ("prompt", "embed")),
}


def found_parameters(model):
    found = tiny.shapes(model)
    axes = {name.removesuffix("_axes"): axes.names for name, axes in found["params_axes"].items()}
    assert axes.keys() == found["params"].keys()
    return {name: (array.shape, axes[name]) for name, array in found["params"].items()}


def test_parameters_have_t5x_names_shapes_and_logical_axes():
    assert found_parameters(tiny.build()) == T5X_PARAMETERS


def test_prompts_add_one_array_each():
    model = tiny.build(encoder_prompt=4, decoder_prompt=3)
    assert found_parameters(model) == T5X_PARAMETERS | PROMPTS


def test_t5_1_0_has_one_wide_layer_and_no_logits_kernel():
    config = dataclasses.replace(tiny.CONFIG, gated=False, activation="relu", tied_logits=True)
    expected = {
        name.replace("wi_0", "wi"): entry
        for name, entry in T5X_PARAMETERS.items()
        if "wi_1" not in name and "logits_dense" not in name
    }
    assert found_parameters(tiny.build(config)) == expected


def test_umt5_has_a_table_for_each_layer():
    config = dataclasses.replace(tiny.CONFIG, relpos_per_layer=True)
    expected = {name: entry for name, entry in T5X_PARAMETERS.items() if "relpos" not in name}
    for layer in ("encoder/layers_0", "decoder/layers_0", "decoder/layers_1"):
        expected[f"{layer}/relpos_bias/rel_embedding"] = RELPOS
    assert found_parameters(tiny.build(config)) == expected


@pytest.mark.parametrize(
    "method, positional, keyword",
    [
        (
            "__call__",
            [
                "encoder_input_tokens",
                "decoder_input_tokens",
                "decoder_target_tokens",
                "encoder_segment_ids",
                "decoder_segment_ids",
                "encoder_positions",
                "decoder_positions",
            ],
            ["enable_dropout", "decode"],
        ),
        (
            "encode",
            ["encoder_input_tokens", "encoder_segment_ids", "encoder_positions"],
            ["enable_dropout"],
        ),
        (
            "decode",
            [
                "encoded",
                "encoder_input_tokens",
                "decoder_input_tokens",
                "decoder_target_tokens",
                "encoder_segment_ids",
                "decoder_segment_ids",
                "decoder_positions",
            ],
            ["enable_dropout", "decode", "max_decode_length"],
        ),
    ],
)
def test_methods_take_t5x_arguments(method, positional, keyword):
    parameters = inspect.signature(getattr(network.T5, method)).parameters
    assert list(parameters)[1 : 1 + len(positional)] == positional
    assert set(keyword) <= set(parameters)
    # T5X gives prefill_lengths to every module that has a prefill.
    assert "prefill" not in parameters


def test_unknown_point_is_named_with_the_known():
    model = network.T5(tiny.CONFIG, {"encoder/embeding": lambda: None})
    with pytest.raises(ValueError, match=r"no points.*embeding.*encoder/embedding"):
        tiny.shapes(model)


@pytest.fixture(scope="module")
def batch():
    targets = tiny.tokens(2, [4, 2], 4)
    return tiny.tokens(1, [5, 3], 5), tiny.shifted(targets), targets


def test_tied_logits_come_from_the_scaled_table(batch):
    config = dataclasses.replace(tiny.CONFIG, tied_logits=True)
    model = tiny.build(config)
    params = tiny.random_params(model)
    logits, state = jax.jit(
        lambda params, *batch: model.apply(
            {"params": params},
            *batch,
            enable_dropout=False,
            mutable=["intermediates"],
            capture_intermediates=lambda module, _: module.name == "decoder_norm",
        )
    )(params, *batch)
    hidden = state["intermediates"]["decoder"]["decoder_norm"]["__call__"][0]
    table = params["token_embedder"]["embedding"]
    np.testing.assert_allclose(logits, hidden @ table.T / np.sqrt(D), **NEAR)


def test_equal_tables_in_each_layer_are_one_shared_table(batch):
    shared = tiny.build()
    params = tiny.random_params(shared)
    expected = tiny.applied(shared)(params, *batch)
    flat = traverse_util.flatten_dict(params, sep="/")
    tables = {
        stack: flat.pop(f"{stack}/relpos_bias/rel_embedding") for stack in ("encoder", "decoder")
    }
    per_layer = tiny.build(dataclasses.replace(tiny.CONFIG, relpos_per_layer=True))
    for name in tiny.shapes(per_layer)["params"]:
        if "relpos" in name:
            flat[name] = tables[name.split("/")[0]]
    apply = tiny.applied(per_layer)
    found = apply(traverse_util.unflatten_dict(flat, sep="/"), *batch)
    np.testing.assert_allclose(found, expected, **NEAR)

    flat["decoder/layers_1/relpos_bias/rel_embedding"] += np.arange(BUCKETS, dtype=np.float32)
    changed = apply(traverse_util.unflatten_dict(flat, sep="/"), *batch)
    assert np.max(np.abs(changed - expected)) > 1e-3


def test_bfloat16_weights_are_cast_where_they_are_used(batch):
    model = tiny.build(encoder_prompt=2)
    stored = jax.tree.map(lambda x: jnp.asarray(x, jnp.bfloat16), tiny.random_params(model))
    expected = tiny.applied(model)(jax.tree.map(jnp.float32, stored), *batch)
    found = tiny.applied(model)(stored, *batch)
    np.testing.assert_allclose(found, expected, **NEAR)


def test_bfloat16_activations_give_float32_logits_nearby(batch):
    model = tiny.build(encoder_prompt=2)
    half = tiny.build(dataclasses.replace(tiny.CONFIG, dtype="bfloat16"), encoder_prompt=2)
    params = tiny.random_params(model)
    expected, found = tiny.applied(model)(params, *batch), tiny.applied(half)(params, *batch)
    assert found.dtype == jnp.float32
    assert tiny.applied(half, "encode")(params, batch[0]).dtype == jnp.bfloat16
    error = np.sqrt(np.mean((found - expected) ** 2) / np.mean(np.square(expected)))
    assert 0 < error < 0.05


def test_dropout_falls_on_the_prompt_too_and_follows_the_seed(batch):
    model = tiny.build(dataclasses.replace(tiny.CONFIG, dropout_rate=0.5), encoder_prompt=2)
    params = tiny.random_params(model)
    compiled = jax.jit(
        lambda params, inputs, seed: model.apply(
            {"params": params},
            inputs,
            enable_dropout=True,
            method="encode",
            rngs={"dropout": jax.random.key(seed)},
        )
    )
    encode = lambda seed: compiled(params, batch[0], seed)
    np.testing.assert_array_equal(encode(0), encode(0))
    assert np.any(encode(0)[:, :2] != encode(1)[:, :2])
    assert np.any(encode(0)[:, :2] == 0)


LOCATIONS = pytest.mark.parametrize("location", ["front", "after_first", "end"])


@pytest.fixture(scope="module")
def prompted():
    """By location: a model, its parameters, and its compiled logits."""
    built = {}
    for location in ("front", "after_first", "end"):
        model = tiny.build(encoder_prompt=3, location=location)
        built[location] = model, tiny.random_params(model), tiny.applied(model)
    return built


@LOCATIONS
def test_padding_changes_nothing(prompted, location):
    _, params, logits = prompted[location]
    inputs, targets = tiny.tokens(1, [4], 4), tiny.tokens(2, [3], 3)
    expected = logits(params, inputs, tiny.shifted(targets), targets)
    inputs, targets = np.pad(inputs, ((0, 0), (0, 5))), np.pad(targets, ((0, 0), (0, 2)))
    found = logits(params, inputs, tiny.shifted(targets), targets)[:, :3]
    np.testing.assert_allclose(found, expected, **NEAR)


def test_encoder_outputs_are_zero_at_padding_only(prompted):
    model, params, _ = prompted["end"]
    encoded = tiny.applied(model, "encode")(params, tiny.tokens(1, [4], 9))
    np.testing.assert_array_equal(encoded[:, 7:], 0)
    assert np.all(np.any(encoded[:, :7] != 0, axis=-1))


@LOCATIONS
@settings(max_examples=20)
@given(
    seeds=st.tuples(st.integers(0, 99), st.integers(0, 99)),
    lengths=st.lists(st.integers(0, 6), min_size=2, max_size=2),
    other_targets=st.integers(1, 4),
)
def test_other_rows_change_nothing(prompted, location, seeds, lengths, other_targets):
    _, params, logits = prompted[location]
    row, target = tiny.tokens(7, [4], 6), tiny.tokens(8, [3], 4)

    def first_row(seed, length):
        inputs = np.concatenate([row, tiny.tokens(seed, [length], 6)])
        targets = np.concatenate([target, tiny.tokens(seed, [other_targets], 4)])
        return logits(params, inputs, tiny.shifted(targets), targets)[0]

    found = [first_row(seed, length) for seed, length in zip(seeds, lengths)]
    np.testing.assert_allclose(found[0], found[1], **NEAR)


def test_every_kind_of_row_reaches_the_loss(prompted):
    """The counterpart of invariance: prompt and text both change the logits."""
    _, params, logits = prompted["front"]
    targets = tiny.tokens(2, [3], 3)
    call = lambda params, inputs: logits(params, inputs, tiny.shifted(targets), targets)
    inputs = tiny.tokens(1, [4], 4)
    base = call(params, inputs)
    flat = traverse_util.flatten_dict(params, sep="/")
    flat["encoder/prompt/prompt/prompt"] = flat["encoder/prompt/prompt/prompt"] + 1
    changed = call(traverse_util.unflatten_dict(flat, sep="/"), inputs)
    assert np.max(np.abs(changed - base)) > 1e-3
    assert np.max(np.abs(call(params, tiny.tokens(3, [4], 4)) - base)) > 1e-3


def test_packed_examples_do_not_see_each_other():
    model = tiny.build()
    params, apply = tiny.random_params(model), tiny.applied(model)
    inputs, targets = (
        [tiny.tokens(i, [3], 3) for i in (1, 2)],
        [tiny.tokens(i, [2], 2) for i in (3, 4)],
    )
    shifted = [tiny.shifted(target) for target in targets]
    separate = [apply(params, *example) for example in zip(inputs, shifted, targets)]
    segments = [np.repeat([[1, 2]], n, axis=1) for n in (3, 2)]
    positions = [np.tile(np.arange(n)[None], 2) for n in (3, 2)]
    packed = apply(
        params,
        *(np.concatenate(x, axis=1) for x in (inputs, shifted, targets)),
        *segments,
        *positions,
    )
    np.testing.assert_allclose(packed, np.concatenate(separate, axis=1), **NEAR)


@pytest.mark.parametrize(
    "prompts, given",
    [
        ((2, 0), "encoder_positions"),
        ((0, 2), "decoder_segment_ids"),
        ((0, 2), "decoder_positions"),
    ],
)
def test_packed_as_t5x_does_it_and_a_prompt_are_refused(prompts, given):
    model, tokens = tiny.build(tiny.CONFIG, *prompts), jnp.ones((1, 3), jnp.int32)
    point = f"{given.split('_')[0]}/embedding"
    with pytest.raises(ValueError, match=rf"Found {given}.*hook at '{point}'.*turn packing off"):
        jax.eval_shape(
            lambda key: model.init(key, tokens, tokens, **{given: tokens}, enable_dropout=False),
            jax.random.key(0),
        )
