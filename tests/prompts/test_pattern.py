"""Where a pattern's rows stand among each example's own tokens."""

from hypothesis import given, strategies as st
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data import vocabulary
from prompt_tuning.prompts import pattern as patterns
from prompt_tuning.prompts import prompt as prompts
from tests.prompts import stubs

FRONT, END, TEXT_END = patterns.FRONT, patterns.END, patterns.TEXT_END
# A whole anchor, one in part at the end, one twice, none; and a row of nothing but padding.
TOKENS = np.array([[9, 7, 8, 5, 1], [9, 9, 9, 1, 7], [7, 8, 7, 8, 1], [7, 9, 1, 0, 0], [0] * 5])
X = np.arange(25.0).reshape(5, 5) + 100


def inserted(x, rows, positions):
    """One example, in plain Python."""
    found = []
    for column in range(len(x) + 1):
        found += [row for row, position in zip(rows, positions) if position == column]
        found += [x[column]] if column < len(x) else []
    return found


@st.composite
def insertions(draw):
    batch, columns, count = (
        draw(st.integers(1, 3)),
        draw(st.integers(0, 5)),
        draw(st.integers(0, 4)),
    )
    position = st.lists(st.integers(0, columns), min_size=count, max_size=count)
    positions = draw(st.lists(position, min_size=batch, max_size=batch))
    return columns, np.array(positions, np.int32).reshape(batch, count)


@given(insertions(), st.sampled_from([(), (2,), (2, 3)]))
def test_insertion_is_that_of_a_loop(case, shape):
    columns, positions = case
    batch, count = positions.shape
    numbers = np.arange(batch * (columns + count) * int(np.prod(shape)), dtype=np.float32)
    numbers = numbers.reshape(batch, columns + count, *shape)
    x, rows = numbers[:, :columns], -numbers[:, columns:]
    found = prompts.insert_rows(jnp.asarray(x), jnp.asarray(rows), jnp.asarray(positions))
    expected = np.array([inserted(*example) for example in zip(x, rows, positions)], np.float32)
    np.testing.assert_array_equal(found, expected.reshape(found.shape))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        (((1, FRONT),), [[0], [0], [0], [0], [0]]),
        (((2, END),), [[5, 5], [5, 5], [5, 5], [3, 3], [0, 0]]),
        (((1, TEXT_END),), [[4], [5], [4], [2], [0]]),
        (((1, (7, 8)),), [[3], [5], [2], [3], [0]]),
        (
            ((1, (7, 8)), (1, FRONT), (1, (9,))),
            [[3, 0, 1], [5, 0, 1], [2, 0, 5], [3, 0, 2], [0] * 3],
        ),
        (((1, (9, 1, 6)),), [[5], [5], [5], [3], [0]]),  # longer than what is left of a row
    ],
)
def test_positions(places, expected):
    """An anchor is found whole and first; where there is none, its rows are at the end."""
    module = patterns.PatternEmbedding(places, jax.nn.initializers.zeros)
    assert jax.jit(module.positions)(jnp.asarray(TOKENS)).tolist() == expected


def bound(places):
    count = sum(count for count, _ in places)
    rows = -1.0 - jnp.arange(count)[:, None]
    module = patterns.PatternEmbedding(places, jax.nn.initializers.zeros)
    return module.bind({"params": {"prompt": {"prompt": rows}}})


def test_rows_are_joined_in_their_order():
    module = bound(((1, FRONT), (2, (7, 8)), (1, TEXT_END), (1, END)))
    found = module(jnp.asarray(X[..., None], jnp.float32), jnp.asarray(TOKENS))
    assert found[..., 0].tolist() == [
        [-1, 100, 101, 102, -2, -3, 103, -4, 104, -5],
        [-1, 105, 106, 107, 108, 109, -2, -3, -4, -5],
        [-1, 110, 111, -2, -3, 112, 113, -4, 114, -5],
        [-1, 115, 116, -4, 117, -2, -3, -5, 118, 119],
        [-1, -2, -3, -4, -5, 120, 121, 122, 123, 124],
    ]


@pytest.mark.parametrize("places", [((2, (7, 8)), (1, END)), ((1, FRONT), (2, TEXT_END))])
def test_masks_are_joined_as_the_input_is(places):
    module, tokens = bound(places), jnp.asarray(TOKENS)
    rows = module(jnp.asarray(X[..., None], jnp.float32), tokens)[..., 0]
    marked = module.join(jnp.zeros(TOKENS.shape, bool), True, tokens)
    np.testing.assert_array_equal(marked, np.asarray(rows) < 0)
    unbound = patterns.PatternEmbedding(places, jax.nn.initializers.zeros)  # as diagnostics have it
    np.testing.assert_array_equal(unbound.join(jnp.asarray(X) * 2, -2, tokens)[marked], -2)


@pytest.mark.parametrize(("place", "location"), [(FRONT, "front"), (END, "end")])
def test_one_block_stands_where_a_soft_prompt_does(place, location):
    rows = jnp.array([[-1.0], [-2.0]])
    params = {"params": {"prompt": {"prompt": rows}}}
    given_ = jnp.asarray(X[..., None], jnp.float32), jnp.asarray(TOKENS)
    zeros = jax.nn.initializers.zeros
    found = patterns.PatternEmbedding(((2, place),), zeros).apply(params, *given_)
    expected = prompts.PromptEmbedding(2, zeros, location).apply(params, *given_)
    np.testing.assert_array_equal(found, expected)


def test_the_prompt_is_kept_in_float32():
    module = patterns.PatternEmbedding(((2, FRONT), (1, END)), jax.nn.initializers.zeros)
    x = jnp.asarray(X[..., None], jnp.bfloat16)
    found, variables = module.init_with_output(jax.random.key(0), x, jnp.asarray(TOKENS))
    rows = variables["params"]["prompt"]["prompt"]
    assert (found.dtype, rows.dtype, rows.shape) == (jnp.bfloat16, jnp.float32, (3, 1))


def test_gradients_of_rows_at_different_places():
    """Each row has the weights of the columns where it stands, of all examples."""
    weights = jnp.arange(35.0).reshape(5, 7)
    module = patterns.PatternEmbedding(((1, (7, 8)), (1, END)), jax.nn.initializers.zeros)

    def total(rows):
        params = {"params": {"prompt": {"prompt": rows}}}
        x = jnp.asarray(X[..., None], jnp.float32)
        return jnp.sum(module.apply(params, x, jnp.asarray(TOKENS))[..., 0] * weights)

    columns = np.array([[3, 6], [5, 6], [2, 6], [3, 4], [0, 1]])
    expected = [sum(weights[i, c] for i, c in enumerate(column)) for column in columns.T]
    np.testing.assert_allclose(jax.grad(total)(jnp.zeros((2, 1)))[:, 0], expected)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("[3] {inputs} [3]", ((3, ""), (3, "{inputs}"))),
        ("[2]", ((2, ""),)),
        ("{inputs}[12]", ((12, "{inputs}"),)),
        ("[1][2] a b: [3] [4]", ((1, ""), (2, ""), (3, "a b:"), (4, "a b:"))),
        ("a: [3] b: [2] {inputs} [1]", ((3, "a:"), (2, "b:"), (1, "{inputs}"))),
        ("[1] a: [1] {inputs}", ((1, ""), (1, "a:"))),
    ],
)
def test_patterns(pattern, expected):
    assert patterns.parse(pattern, "X.pattern") == expected


@pytest.mark.parametrize(
    ("pattern", "message"),
    [
        ("", "every group of rows must have at least one"),
        ("{inputs}", "every group of rows must have at least one"),
        ("[0] {inputs} [2]", "every group of rows must have at least one"),
        ("[2] a:", "no rows stand behind 'a:'"),
        ("a: {inputs} [2]", "'a: {inputs}' is neither {inputs} nor text"),
        ("[2] {premise} [2]", "'{premise}' is neither {inputs} nor text"),
        ("{inputs} [2] a: [1]", "nothing can stand behind it"),
        ("{inputs} [2] {inputs}", "nothing can stand behind it"),
    ],
)
def test_what_is_no_pattern(pattern, message):
    with pytest.raises(ValueError) as caught:
        patterns.parse(pattern, "X.pattern")
    text = str(caught.value)
    assert text.startswith("X.pattern must be rows and text") and message in text
    assert f"found {pattern!r}" in text


def test_anchors_are_tokens():
    found = patterns.places("[1] not true [2] {inputs} [3]", "X.pattern", stubs.Words())
    assert found == ((1, FRONT), (2, (6, 4)), (3, END))


@pytest.mark.parametrize(
    ("known", "message"),
    [(stubs.Words(), "words has not all of its characters"), (None, "has no pieces for it")],
)
def test_anchors_that_no_input_has(known, message):
    class Nothing(vocabulary.ByteVocabulary):
        def encode(self, text):
            return []

    with pytest.raises(ValueError, match=f"X.pattern: 'where' is not to be found .*{message}"):
        patterns.places("[1] where [2]", "X.pattern", known or Nothing())
