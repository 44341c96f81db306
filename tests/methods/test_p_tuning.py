"""P-Tuning: what makes the prompt, where its rows stand, and what every method must hold."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.checkpoints import described
from prompt_tuning.methods import added
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import initializers
from tests import models
from tests.methods import adding

UNIFORM = initializers.Uniform()


def of(reparameterization="lstm", pattern="[2] {inputs} [3]", **changes):
    return p_tuning.PTuning(pattern, reparameterization, **({"initializer": UNIFORM} | changes))


METHODS = {kind: of(kind) for kind in p_tuning.REPARAMETERIZATIONS}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture(scope="module")
def base():
    return models.tiny_model()


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def sigmoid(x):
    return 1 / (1 + np.exp(-x))


def lstm(x, weights):
    """A direction of an LSTM in NumPy: gates i, f, o and candidate g of input and state."""
    state = cell = np.zeros(weights["hi/bias"].shape)
    states = []
    for row in x:
        i, f, g, o = (
            row @ weights[f"i{gate}/kernel"]
            + state @ weights[f"h{gate}/kernel"]
            + weights[f"h{gate}/bias"]
            for gate in "ifgo"
        )
        cell = sigmoid(f) * cell + sigmoid(i) * np.tanh(g)
        state = sigmoid(o) * np.tanh(cell)
        states.append(state)
    return np.array(states)


@pytest.mark.parametrize("kind", ["lstm", "mlp"])
def test_the_prompt_is_made_by_an_lstm_and_an_mlp(base, kind):
    """Equations 4 and 5, row by row: the LSTM has read up to a row from either side."""
    learned, _ = adding.trained(base, of(kind, hidden=6), scale=0.5)
    prefix = f"{p_tuning.ENCODER}/"
    weights = {k.removeprefix(prefix): np.asarray(x, np.float64) for k, x in learned.items()}
    x = weights[p_tuning.EMBEDDING]
    if kind == "lstm":
        parts = {
            name: {k.removeprefix(f"{name}/"): x for k, x in weights.items() if name in k}
            for name in ("forward", "backward")
        }
        x = [lstm(x, parts["forward"]), lstm(x[::-1], parts["backward"])[::-1]]
        x = np.concatenate(x, axis=1)
    hidden = np.maximum(x @ weights["hidden/kernel"] + weights["hidden/bias"], 0)
    expected = hidden @ weights["rows/kernel"] + weights["rows/bias"]
    made = of(kind, hidden=6).materialize(learned)
    assert list(made) == ["encoder/prompt/prompt/prompt"]
    np.testing.assert_allclose(made["encoder/prompt/prompt/prompt"], expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("size", ["small", "xl"])
def test_count(size):
    """P D, and of the LSTM 2 * 4 u (D + u + 1), u = h / 2; of the MLP h (h + 1) + D (h + 1)."""
    base = models.paper_model(size)
    width, rows = base.config.d_model, 6
    adding.check_count(base, p_tuning.PTuning(reparameterization="none"), rows * width)
    hidden, half = 64, 32
    mlp = p_tuning.PTuning(reparameterization="mlp", hidden=hidden)
    both = rows * width + width * (hidden + 1)
    adding.check_count(base, mlp, both + hidden * (width + 1))
    recurrent = 8 * half * (width + half + 1)
    method = p_tuning.PTuning(hidden=hidden)
    adding.check_count(base, method, both + hidden * (hidden + 1) + recurrent)


def test_width_is_the_models_own_unless_it_is_set(base):
    shapes = {name: x.shape for name, x in of().initial(base, jax.random.key(0)).items()}
    assert shapes["added/encoder/hidden/kernel"] == (16, 16)
    assert shapes["added/encoder/forward/hi/kernel"] == (8, 8)


@pytest.mark.parametrize(
    ("pattern", "location"), [("[3] {inputs}", "front"), ("{inputs} [3]", "end")]
)
def test_rows_at_one_place_are_a_soft_prompt(base, batch, pattern, location):
    method = of("none", pattern)
    learned, frozen = adding.trained(base, method, scale=0.5)
    soft = soft_prompt.SoftPrompt(3, UNIFORM, location)
    found = adding.logits(base, method, learned, frozen, batch)
    np.testing.assert_array_equal(found, adding.logits(base, soft, learned, frozen, batch))


def test_rows_stand_where_the_pattern_puts_them(base, batch):
    """Rows that are tokens' embeddings give what these tokens give, written among the input's."""
    method = of("none", "[1] is: [2] {inputs} [1]")
    ids = base.vocabulary.encode("wxyz")
    w, x, y, z = ([i] for i in ids)
    texts = ["it is: a b", "b is: c", "no other", "is: is:"]
    is_, end = base.vocabulary.encode("is:"), [1]
    inputs, written = [], []
    for text in texts:
        tokens = base.vocabulary.encode(text)
        inputs.append(tokens + end)
        before, found, after = text.partition("is:")
        before, after = map(base.vocabulary.encode, (before, after))
        if found:
            written.append([*w, *before, *is_, *x, *y, *after, *end, *z])
        else:
            written.append([*w, *tokens, *end, *x, *y, *z])

    def rows(tokens, length):
        return np.array([[*row, *[0] * (length - len(row))] for row in tokens], np.int32)

    given = {name: array[:4] for name, array in batch.items()}
    prompt = {p_tuning.PROMPT: jnp.asarray(base.table)[np.array(ids)]}
    found = adding.logits(
        base, method, prompt, base.params, given | {"encoder_input_tokens": rows(inputs, 12)}
    )
    expected = adding.plain_logits(base, given | {"encoder_input_tokens": rows(written, 16)})
    np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-5)


@each_method
def test_steps_train_it(base, batch, method):
    adding.check_step(base, method, batch)


@each_method
def test_files(base, batch, method, tmp_path):
    adding.check_files(base, method, batch, tmp_path)
    arrays, about = described.read(tmp_path / added.FILE)
    assert {name: x.shape for name, x in arrays.items()} == {p_tuning.PROMPT: (5, 16)}
    assert about["pattern"] == "[2] {inputs} [3]"


def test_a_prompt_is_served_whatever_made_it(base, batch, tmp_path):
    learned, frozen = adding.trained(base, of(hidden=6), scale=0.5)
    of(hidden=6).write(base, learned, tmp_path, {})
    free = of("none", initializer=initializers.SampledVocab(first=200))  # which draws its numbers
    read = {name: jnp.asarray(x) for name, x in free.read(base, tmp_path).items()}
    served = adding.logits(base, free, read, frozen, batch)
    expected = adding.logits(base, of(hidden=6), learned, frozen, batch)
    np.testing.assert_array_equal(served, expected)


def test_decoding_and_padding(base, batch):
    method = of("none", "[1] a [2] {inputs} [1]")
    adding.check_decoding(base, method, batch)
    adding.check_padding(base, method, batch)
    assert method.slots is None


def test_another_pattern_is_refused(base, tmp_path):
    of().write(base, adding.trained(base, of())[0], tmp_path, {})
    with pytest.raises(ValueError, match=r"was trained with pattern \[2\] {inputs} \[3\], found"):
        of(pattern="[3] {inputs} [2]").read(base, tmp_path)


def test_it_is_no_soft_prompt(base, tmp_path):
    method = of("none", "[3] {inputs}")
    method.write(base, adding.trained(base, method)[0], tmp_path, {})
    soft = soft_prompt.SoftPrompt(3, UNIFORM)
    with pytest.raises(ValueError, match="trained with SoftPrompt.location 'pattern'"):
        soft.read(base, tmp_path / added.FILE)
    soft.write(base, soft.initial(base, jax.random.key(0)), tmp_path, soft.identity)
    with pytest.raises(ValueError, match="was trained with location front, found pattern"):
        method.read(base, tmp_path / "prompt.safetensors")


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(pattern="{inputs}"), "PTuning.pattern must be rows and text"),
        (dict(reparameterization="gru"), "PTuning.reparameterization must be one of .*found 'gru'"),
        (dict(hidden=5), "PTuning.hidden must be even.*found 5"),
        (dict(hidden=0), "PTuning.hidden must be even.*found 0"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        dataclasses.replace(of(), **change)
