"""What must hold of every method that adds something to a frozen model and trains it."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.data import arrangements
from prompt_tuning.data import batches as data_batches
from prompt_tuning.data import examples as data
from prompt_tuning.methods import method as methods
from prompt_tuning.planning import programs
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import step as training_step


def trained(base, method, scale=0.0, seed=0):
    """(trained, frozen): the first values, with normal noise of this scale on what is trained."""
    params = dict(base.params) | method.initial(base, jax.random.key(seed))
    start, frozen = partition.split(params, method.trainable)
    rng = np.random.default_rng(seed)
    noisy = {
        name: jnp.asarray(x, jnp.float32) + scale * rng.normal(size=x.shape).astype(np.float32)
        for name, x in start.items()
    }
    return noisy, frozen


def logits(base, method, learned, frozen, batch):
    """Of the network that is served: with what `materialize` makes of what was learned."""
    model = method.network(base)

    @jax.jit  # or every operation would be compiled by itself
    def apply(params, *tokens):
        params = parameters.unflatten(params)
        return model.apply({"params": params}, *tokens, enable_dropout=False)

    params = {**frozen, **method.materialize(learned)}
    return apply(params, batch["encoder_input_tokens"], batch["decoder_input_tokens"])


def check_close(found, expected, tolerance=2e-4):
    """Within so much of the largest value."""
    assert found.shape == expected.shape
    largest = np.max(np.abs(expected))
    np.testing.assert_allclose(found, expected, rtol=0, atol=tolerance * largest)


def plain_logits(base, batch):
    return logits(base, methods.Method(), {}, base.params, batch)


def check_count(base, method, expected):
    """The number of trained parameters; shapes are enough of the model."""
    shapes = programs.added_shapes(method, base)
    own, _ = partition.split(dict(base.params) | shapes, method.trainable)
    assert sum(x.size for x in own.values()) == expected


def check_step(base, method, batch, steps=8, learning_rate=0.02):
    """Steps lower the loss, move what is trained, all of it, and nothing else."""
    start, frozen = trained(base, method, scale=0.01)
    before = {name: np.array(x) for name, x in start.items()}
    optimizer = optimizers.freeze(
        optimizers.adamw(learning_rate, weight_decay=0.0), method.trainable
    )
    step = jax.jit(
        training_step.make_train_step(method.network(base), optimizer, 0, method.materialize)
    )
    state, losses = training_step.TrainState.create(start, optimizer), []
    for _ in range(steps):
        state, metrics = step(state, frozen, batch)
        losses.append(float(metrics["loss"]))
    assert losses[-1] < losses[0], losses
    for name, x in state.trained.items():
        assert not np.array_equal(x, before[name]), f"{name} has not moved"


def check_files(base, method, batch, folder):
    """What is written gives, read again, the same logits; and is refused by another model."""
    learned, frozen = trained(base, method, scale=0.1)
    method.write(base, learned, folder, {"fingerprint": base.fingerprint, "base_model": "tiny"})
    read = {name: jnp.asarray(x) for name, x in method.read(base, folder).items()}
    served = logits(base, _Served(method), read, dict(base.params), batch)
    np.testing.assert_array_equal(served, logits(base, method, learned, frozen, batch))
    other = dataclasses.replace(base, params={n: x + 1 for n, x in base.params.items()})
    try:
        method.read(other, folder)
    except ValueError as error:
        assert "PROMPT_FILE" in str(error) and "fingerprint" in str(error)
    else:
        raise AssertionError("what was learned on another model was taken")


class _Served(methods.Method):
    """A method's network, given what it wrote: nothing is to be made of that."""

    def __init__(self, method):
        self.network = method.network


def check_decoding(base, method, batch, length=5):
    """Greedy decoding with the cache chooses what teacher forcing on the same tokens chooses."""
    learned, frozen = trained(base, method, scale=0.3)
    params = {**frozen, **method.materialize(learned)}
    model = method.network(base)
    inputs = jnp.asarray(batch["encoder_input_tokens"])
    decode = jax.jit(lambda p, x: decoding.greedy(model, p, x, length, eos_id=-1))
    found = decode(parameters.unflatten(params), inputs)
    forced = dict(batch, decoder_input_tokens=jnp.pad(found.tokens, ((0, 0), (1, 0)))[:, :-1])
    given = logits(base, method, learned, frozen, forced)
    np.testing.assert_array_equal(found.tokens, jnp.argmax(given, axis=-1))
    scores = decoding.log_probs_of(found.tokens, given).sum(axis=1)
    np.testing.assert_allclose(found.log_probs, scores, rtol=1e-4, atol=1e-4)


def check_padding(base, method, batch, columns=3):
    """More padding changes nothing."""
    learned, frozen = trained(base, method, scale=0.3)
    inputs = np.pad(batch["encoder_input_tokens"], ((0, 0), (0, columns)))
    found = logits(base, method, learned, frozen, dict(batch, encoder_input_tokens=inputs))
    expected = logits(base, method, learned, frozen, batch)
    check_close(found, expected)


def check_packed(base, method):
    """Packed examples have the loss and the gradient that they have alone."""
    learned, frozen = trained(base, method, scale=0.1)
    gradient = jax.jit(training_step.make_gradient(method.network(base), 0, method.materialize))
    state = training_step.TrainState(jnp.zeros((), jnp.int32), learned, None)
    rows = _rows(base)
    found = []
    for arrangement in (arrangements.Padded(), arrangements.Packed()):
        step = arrangements.Step(8, 12, 5, slots=method.slots)
        parts, _ = arrangements.ArrangedBatches(rows, step, arrangement)(0)
        parts = [jax.tree.map(jnp.asarray, part) for part in parts]
        of_parts = [gradient(state, frozen, part, n) for n, part in enumerate(parts)]
        found.append(jax.tree.map(lambda *x: sum(x), *of_parts))
    jax.tree.map(functools.partial(check_close, tolerance=1e-3), *found)


def _rows(base):
    fields = [{"inputs": "abcdefgh"[: 2 + i % 6], "targets": "xyz"[: 1 + i % 3]} for i in range(8)]
    ids = [str(i) for i in range(8)]
    examples = data.examples_from_text(
        ids, fields, base.vocabulary, inputs_length=12, targets_length=5
    )
    return data_batches.ExampleRows(examples, seed=0)
