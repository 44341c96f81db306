"""Exactness: no example notices what shares its row, its part or its step."""

import functools

from hypothesis import given, settings, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from prompt_tuning.data import arrangements
from prompt_tuning.data import batches as data_batches
from prompt_tuning.data import packing
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import prompt as prompts
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from tests import models

pytestmark = pytest.mark.usefixtures("quick_compilation")

T, L, B = 72, 3, 4
BASE = models.tiny_model(num_encoder_layers=1, num_decoder_layers=1)
PADDED, BUCKETED, PACKED = (
    arrangements.Padded(),
    arrangements.Bucketed(groups=2, tokens=1),
    arrangements.Packed(),
)
NEAR = dict(rtol=2e-4, atol=1e-5)
# Few, since each is a program for the example alone.
lengths = st.sampled_from([(1, 3), (31, 1), (70, 2)])


class LongAndShort:
    """Rows of random tokens and random lengths."""

    def row(self, index):
        rng = np.random.default_rng(index)
        return example(
            rng.integers(1, T if index % 3 == 0 else T // 3), rng.integers(1, L + 1), index
        )


def example(inputs, targets, seed):
    tokens = np.random.default_rng(seed).integers(3, 280, inputs + targets).astype(np.int32)
    return data_batches.Row(tokens[:inputs], tokens[inputs:], str(seed))


def method_at(location):
    return soft_prompt.SoftPrompt(3, initializers.Uniform(), location)


@functools.cache
def loss_and_gradient(location):
    """`(batch, weights) -> (loss, prompt gradient)`."""
    method = method_at(location)
    (name,) = method.trainable
    model, start = method.network(BASE), method.initial(BASE, jax.random.key(0))[name]

    def loss(prompt, batch, weights):
        batch = batch | {"decoder_loss_weights": weights}
        return training_step.batch_loss(model, {**BASE.params, name: prompt}, batch).loss

    return jax.jit(lambda batch, weights: jax.value_and_grad(loss)(start, batch, weights))


def alone(location, row):
    """The example without padding and in no company: T5X's arrays of one row."""
    batch = data_batches.collate([row], 1, len(row.inputs), len(row.targets))
    return loss_and_gradient(location)(batch, batch["decoder_loss_weights"])


def in_company(location, arrangement, rows):
    """{number of an example: its loss and its prompt gradient} where it was put."""
    step = arrangements.Step(B, T, L, slots=method_at(location).slots)
    parts = arrangement.parts(step, rows.__getitem__)
    arrays, _ = arrangements.ArrangedBatches(Given(rows), step, arrangement)(0)
    found = {}
    for part, batch in zip(parts, arrays, strict=True):
        weights = batch["decoder_loss_weights"]
        segments = batch.get("decoder_segment_ids", np.ones_like(weights))
        for i, row in enumerate(part.rows):
            for segment, number in enumerate(row, 1):
                of_example = weights * (segments == segment)
                of_example[np.arange(len(weights)) != i] = 0
                found[number] = loss_and_gradient(location)(batch, of_example)
    return found


class Given:
    def __init__(self, rows):
        self.row = rows.__getitem__


@pytest.mark.parametrize(
    "arrangement, location",
    [(BUCKETED, "end"), *((PACKED, location) for location in prompts.LOCATIONS)],
    ids=str,
)
@settings(max_examples=5)
@given(drawn=st.lists(lengths, min_size=B, max_size=B))
def test_an_example_has_the_loss_and_prompt_gradient_that_it_has_alone(
    arrangement, location, drawn
):
    rows = [example(*size, seed) for seed, size in enumerate(drawn)]
    found = in_company(location, arrangement, rows)
    assert sorted(found) == list(range(B))
    for number, (loss, gradient) in found.items():
        expected_loss, expected_gradient = alone(location, rows[number])
        np.testing.assert_allclose(loss, expected_loss, rtol=1e-5)
        np.testing.assert_allclose(gradient, expected_gradient, **NEAR)


def run(method, arrangement, devices=1, accumulate=1):
    """(state, metrics of every step) of a run's start, each of whose shapes is compiled once."""
    mesh = sharding.Layout().mesh(jax.devices()[:devices])
    model = method.network(BASE)
    params = {**BASE.params, **method.initial(BASE, jax.random.key(0))}
    params = {name: np.asarray(x) for name, x in params.items()}  # copies, for states are donated
    params = sharding.Layout().put_params(model, params, mesh)
    trained, frozen = partition.split(params, method.trainable)
    optimizer = optimizers.freeze(optax.sgd(0.05), method.trainable)
    state = sharding.put_state(training_step.TrainState.create(trained, optimizer), mesh)
    compiled = training_step.CompiledStep(model, optimizer, 0, state)
    step = arrangements.Step(16, T, L, devices, accumulate, method.slots)
    batches = arrangements.ArrangedBatches(LongAndShort(), step, arrangement)
    proceed, seen, shapes = sharding.put_state(jnp.array(True), mesh), [], set()
    for number in range(3):
        parts = [sharding.put_batch(part, mesh) for part in batches(number)[0]]
        state, metrics = compiled(state, frozen, parts, proceed)
        proceed = metrics["finite"]
        seen.append(jax.device_get(metrics))
        shapes |= {part["encoder_input_tokens"].shape for part in parts}
    assert (compiled._add if len(parts) > 1 else compiled._step)._cache_size() == len(shapes)
    for name, x in frozen.items():
        np.testing.assert_array_equal(x, BASE.params[name])
    return state, seen


@functools.cache
def padded_run(method):
    return run(method, PADDED)


PROMPT, MODEL = method_at("front"), model_tuning.ModelTuning()


@pytest.mark.parametrize(
    "method, arrangement, devices, accumulate",
    [
        (PROMPT, PADDED, 1, 4),
        (PROMPT, BUCKETED, 1, 1),
        (PROMPT, PACKED, 2, 4),
        (PROMPT, arrangements.Bucketed(tokens=1), 8, 1),
        (PROMPT, PACKED, 8, 1),
        (MODEL, PACKED, 1, 1),
        (MODEL, BUCKETED, 8, 1),
    ],
    ids=str,
)
def test_a_step_is_the_same_however_its_examples_are_arranged(
    method, arrangement, devices, accumulate
):
    expected, metrics_of_padded = padded_run(method)
    found, metrics = run(method, arrangement, devices, accumulate=accumulate)
    for one, other in zip(metrics, metrics_of_padded, strict=True):
        for name in one:
            np.testing.assert_allclose(one[name], other[name], rtol=1e-4, err_msg=name)
    for name, x in found.trained.items():
        np.testing.assert_allclose(x, expected.trained[name], rtol=1e-3, atol=1e-4, err_msg=name)


def test_rows_of_padding_weigh_nothing():
    """A packed step is that of its rows alone, however many rows of padding follow them."""
    rows, slots = [[example(20, 2, 0), example(9, 3, 1)]], method_at("front").slots
    batches = [packing.pack(rows + [[]] * more, T, 2 * L, slots) for more in (0, 3)]
    found = [loss_and_gradient("front")(batch, batch["decoder_loss_weights"]) for batch in batches]
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, **NEAR), *found)
