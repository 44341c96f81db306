"""The loss against the same sums written out in numpy."""

from hypothesis import given, settings, strategies as st
import jax
import numpy as np

from prompt_tuning.t5 import losses

SEEDS = st.integers(0, 2**32 - 1)


@settings(max_examples=10)
@given(SEEDS, st.sampled_from([(1, 1, 2), (3, 4, 7)]), st.sampled_from([0.0, 1e-4, 0.1]))
def test_sums_equal_numpy(seed, shape, z_loss):
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, 5, shape)
    targets = rng.integers(0, shape[-1], shape[:2])
    weights = rng.integers(0, 2, shape[:2]).astype(np.float64)
    entropy = squared = correct = 0.0
    for row in np.ndindex(*shape[:2]):
        log_z = np.log(np.sum(np.exp(logits[row])))
        entropy += weights[row] * (log_z - logits[row][targets[row]])
        squared += weights[row] * log_z**2
        correct += weights[row] * (np.argmax(logits[row]) == targets[row])

    found = losses.cross_entropy(
        jax.numpy.float32(logits), jax.numpy.int32(targets), jax.numpy.float32(weights), z_loss
    )

    np.testing.assert_allclose(found.cross_entropy, entropy, rtol=1e-5, atol=1e-5)
    np.testing.assert_allclose(found.loss, entropy + z_loss * squared, rtol=1e-5, atol=1e-5)
    assert found.tokens == weights.sum()
    assert found.correct == correct


def test_large_logits_stay_finite():
    logits = jax.numpy.array([[[1e4, -1e4]]])
    found = losses.cross_entropy(logits, jax.numpy.array([[1]]), jax.numpy.ones((1, 1)), 0.0)
    assert found.loss == 2e4
