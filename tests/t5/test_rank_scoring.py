"""Scores of candidates against teacher forcing, one candidate at a time."""

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import losses
from prompt_tuning.t5 import rank_scoring
from tests.t5 import reference
from tests.t5 import tiny

INPUTS = tiny.tokens(1, [6, 2, 4], width=6)
CANDIDATES = np.array([[7, 1, 0, 0], [30, 8, 9, 1], [1, 0, 0, 0], [7, 8, 1, 0]], np.int32)


def test_scores_are_the_losses_of_teacher_forcing():
    model = tiny.build(encoder_prompt=3, decoder_prompt=2, location="after_first")
    params = tiny.random_params(model)
    forced = tiny.applied(model)

    found = jax.jit(lambda params, *tokens: rank_scoring.rank_scores(model, params, *tokens))(
        params, INPUTS, CANDIDATES
    )

    for i, j in np.ndindex(len(INPUTS), len(CANDIDATES)):
        target = CANDIDATES[j : j + 1]
        logits = forced(params, INPUTS[i : i + 1], tiny.shifted(target))
        weights = jnp.float32(target != 0)
        expected = -losses.cross_entropy(logits, jnp.array(target), weights).cross_entropy
        np.testing.assert_allclose(found[i, j], expected, rtol=1e-4, atol=1e-4)


def test_greedy_text_has_the_score_that_decoding_gave_it():
    model, params, inputs, expected = reference.hugging_face("prompted")
    # A score does not count the token 0, which this model predicts now and then.
    rows = [i for i, row in enumerate(expected["greedy"]["tokens"]) if 0 not in np.trim_zeros(row)]
    texts = expected["greedy"]["tokens"][rows]

    found = jax.jit(lambda params, *tokens: rank_scoring.rank_scores(model, params, *tokens))(
        params, inputs, texts
    )

    np.testing.assert_allclose(
        found[rows, np.arange(len(rows))], expected["greedy"]["log_probs"][rows], atol=1e-4
    )
    assert decoding.EOS_ID in texts


def test_inputs_are_encoded_once():
    model = tiny.build()
    params = tiny.random_params(model)
    tokens = jnp.array(INPUTS), jnp.array(CANDIDATES)
    score = lambda: rank_scoring.rank_scores(model, params, *tokens)
    assert reference.encoded_rows(score) == [len(INPUTS)]
