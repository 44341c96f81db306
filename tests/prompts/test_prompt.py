"""Where the prompt's rows stand, in the embedded input and in masks."""

from hypothesis import given, settings, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.prompts import prompt as prompts

X = np.array(
    [[[1.0], [2.0], [3.0], [4.0]], [[5.0], [6.0], [7.0], [8.0]], [[9.0], [9.0], [9.0], [9.0]]]
)
TOKENS = np.array([[11, 12, 13, 14], [11, 12, 0, 0], [0, 0, 0, 0]])
PROMPT = np.array([[-1.0], [-2.0]])


def module(location, length=2):
    return prompts.PromptEmbedding(
        length, lambda key, shape: jnp.asarray(PROMPT, jnp.float32), location
    )


def joined(location):
    params = {"params": {"prompt": {"prompt": jnp.asarray(PROMPT, jnp.float32)}}}
    found = module(location).apply(params, jnp.asarray(X, jnp.float32), jnp.asarray(TOKENS))
    return found[..., 0].tolist()


def test_front():
    assert joined("front") == [[-1, -2, 1, 2, 3, 4], [-1, -2, 5, 6, 7, 8], [-1, -2, 9, 9, 9, 9]]


def test_after_the_first_token():
    assert joined("after_first") == [
        [1, -1, -2, 2, 3, 4],
        [5, -1, -2, 6, 7, 8],
        [9, -1, -2, 9, 9, 9],
    ]


def test_end_of_the_text_in_front_of_the_padding():
    assert joined("end") == [[1, 2, 3, 4, -1, -2], [5, 6, -1, -2, 7, 8], [-1, -2, 9, 9, 9, 9]]


def test_each_segment_of_a_packed_row_has_its_own_copy():
    slots = np.array([[1, 1, 0, 0, 0, 1, 1], [0, 0, 1, 1, 1, 1, 0]], bool)
    embedded = jnp.arange(14, dtype=jnp.float32).reshape(2, 7, 1)
    bound = module("front").bind({"params": {"prompt": {"prompt": jnp.asarray(PROMPT)}}})
    found = bound.fill(embedded, jnp.asarray(slots))
    assert found[..., 0].tolist() == [[-1, -2, 2, 3, 4, -1, -2], [7, 8, -1, -2, -1, -2, 13]]


@pytest.mark.parametrize("location", prompts.LOCATIONS)
@settings(max_examples=15)
@given(lengths=st.lists(st.integers(0, 4), min_size=3, max_size=3))
def test_masks_are_joined_as_the_input_is(location, lengths):
    """Rows that hold the prompt are marked, and each token keeps its own value."""
    tokens = np.where(np.arange(4) < np.array(lengths)[:, None], 7, 0)
    values = np.arange(12).reshape(3, 4) + 100
    bound = module(location).bind({"params": {"prompt": {"prompt": jnp.full((2, 1), -1.0)}}})
    rows = bound(jnp.asarray(values[..., None], jnp.float32), jnp.asarray(tokens))[..., 0]
    np.testing.assert_array_equal(bound.join(jnp.asarray(values), -1, jnp.asarray(tokens)), rows)
    visible = bound.join(jnp.asarray(tokens != 0), True, jnp.asarray(tokens))
    assert visible.sum(axis=1).tolist() == [2 + length for length in lengths]
    assert np.all(np.asarray(visible)[np.asarray(rows) == -1])


def test_the_prompt_is_initialised_with_its_shape_and_kept_in_float32():
    shapes = []

    def initializer(key, shape):
        shapes.append(shape)
        return jnp.asarray(PROMPT, jnp.float32)

    embedded = jnp.asarray(X, jnp.bfloat16)
    found, variables = prompts.PromptEmbedding(2, initializer).init_with_output(
        jax.random.key(0), embedded, jnp.asarray(TOKENS)
    )
    assert shapes == [(2, 1)]
    assert found.dtype == jnp.bfloat16
    assert variables["params"]["prompt"]["prompt"].dtype == jnp.float32
    assert variables["params_axes"]["prompt"]["prompt_axes"].names == ("prompt", "embed")


def test_each_row_of_the_prompt_gets_the_gradient_of_every_example():
    def total(prompt, weights):
        rows = module("end").apply(
            {"params": {"prompt": {"prompt": prompt}}},
            jnp.asarray(X, jnp.float32),
            jnp.asarray(TOKENS),
        )
        return jnp.sum(rows[..., 0] * weights)

    weights = jnp.arange(18, dtype=jnp.float32).reshape(3, 6)
    gradient = jax.grad(total)(jnp.asarray(PROMPT, jnp.float32), weights)
    assert gradient[:, 0].tolist() == [4 + 8 + 12, 5 + 9 + 13]


@pytest.mark.parametrize(
    "location, length, message",
    [
        ("back", 2, "location must be one of .*'after_first'.*found 'back'"),
        ("front", 0, "PROMPT_LENGTH must be at least 1, found 0"),
    ],
)
def test_impossible_values_are_named(location, length, message):
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            module(location, length).init,
            jax.random.key(0),
            jnp.asarray(X, jnp.float32),
            jnp.asarray(TOKENS),
        )
