"""Beam search against Hugging Face, exhaustive search, greedy decoding and teacher forcing."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import decoding
from tests.t5 import reference
from tests.t5 import tiny

INPUTS = jnp.array(tiny.tokens(1, [6, 2, 4], width=6))


def searching(model, length, num_beams, eos_id=decoding.EOS_ID):
    """n_best, compiled once for all length penalties."""
    return jax.jit(
        lambda params, inputs, penalty: beam_search.n_best(
            model,
            params,
            inputs,
            length,
            num_beams=num_beams,
            length_penalty=penalty,
            eos_id=eos_id,
        )
    )


@pytest.mark.parametrize("case", ["plain", "prompted"])
@pytest.mark.parametrize("num_beams", [2, 4])
def test_all_hypotheses_equal_hugging_face(case, num_beams):
    model, params, inputs, expected = reference.hugging_face(case)
    searches = expected[f"beams_{num_beams}"]
    length = expected["greedy"]["tokens"].shape[1]
    search = searching(model, length, num_beams)
    for name, outputs in searches.items():
        penalty = float(name.removeprefix("penalty_"))

        found = search(params, inputs, penalty)

        np.testing.assert_array_equal(found.tokens, outputs["tokens"], name)
        np.testing.assert_allclose(found.scores, outputs["scores"], 1e-4, 1e-4, err_msg=name)
    assert len(searches) == 5


def test_one_beam_is_greedy_decoding():
    model, params, inputs, expected = reference.hugging_face("prompted")
    greedy = expected["greedy"]
    search = searching(model, greedy["tokens"].shape[1], num_beams=1)
    for penalty in (-1.0, 0.0, 2.0):
        found = search(params, inputs, penalty)
        np.testing.assert_array_equal(found.tokens[:, 0], greedy["tokens"])
        np.testing.assert_allclose(found.log_probs[:, 0], greedy["log_probs"], atol=1e-4)


L, N, EOS = 5, 3, 17
MODEL = tiny.build(encoder_prompt=3, decoder_prompt=2, location="after_first")
PARAMS = jax.tree.map(jnp.array, tiny.random_params(MODEL, seed=1))


@pytest.fixture(scope="module")
def search():
    """With a prompt on both stacks."""
    return searching(MODEL, L, N, EOS)


def test_log_probs_are_those_of_teacher_forcing(search):
    """Each hypothesis went on from its own cache, the decoder's prompt in it."""
    penalty = 0.7

    found = search(PARAMS, INPUTS, penalty)

    tokens = np.asarray(found.tokens)
    expected = reference.forced_log_probs(
        MODEL, PARAMS, np.repeat(INPUTS, N, axis=0), tokens.reshape(-1, L), EOS
    ).reshape(found.log_probs.shape)
    np.testing.assert_allclose(found.log_probs, expected, rtol=1e-4, atol=1e-4)
    scores = expected / reference.lengths(tokens, EOS) ** penalty
    np.testing.assert_allclose(found.scores, scores, rtol=1e-4, atol=1e-4)
    assert np.all(np.diff(found.scores) <= 0)
    assert all(len(np.unique(hypotheses, axis=0)) == N for hypotheses in tokens)
    assert EOS in tokens


def every_text(vocab_size, length, eos_id):
    """All texts of at most `length` tokens, as rows with padding behind eos."""
    texts = {
        text[: text.index(eos_id) + 1] if eos_id in text else text
        for text in itertools.product(range(vocab_size), repeat=length)
    }
    return np.array([text + (0,) * (length - len(text)) for text in sorted(texts)], np.int32)


def test_enough_beams_find_the_best_of_all_texts():
    config = dataclasses.replace(tiny.CONFIG, vocab_size=5)
    model = tiny.build(config, encoder_prompt=2, decoder_prompt=2)
    params, length, eos_id = tiny.random_params(model, seed=2), 3, 1
    inputs = np.array([[3, 4, 2], [2, 0, 0], [4, 4, 0]], np.int32)
    texts = every_text(config.vocab_size, length, eos_id)

    pairs = np.repeat(inputs, len(texts), axis=0), np.tile(texts, (len(inputs), 1))
    log_probs = reference.forced_log_probs(model, params, *pairs, eos_id).reshape(len(inputs), -1)
    search = jax.jit(
        lambda params, inputs, penalty: beam_search.beam_search(
            model, params, inputs, length, num_beams=20, length_penalty=penalty, eos_id=eos_id
        )
    )

    for penalty in (0.0, 1.0):
        found = search(params, inputs, penalty)

        best = np.argmax(log_probs / reference.lengths(texts, eos_id) ** penalty, axis=1)
        np.testing.assert_array_equal(found.tokens, texts[best])
        expected = log_probs[np.arange(len(best)), best]
        np.testing.assert_allclose(found.log_probs, expected, rtol=1e-4)


def test_rows_of_padding_are_empty_and_change_nothing(search):
    padded = INPUTS.at[1].set(0)

    expected, found = search(PARAMS, INPUTS, 1.0), search(PARAMS, padded, 1.0)

    np.testing.assert_array_equal(found.tokens[::2], expected.tokens[::2])
    assert np.all(found.tokens[1] == 0)
    assert np.all(found.log_probs[1] == 0)


def test_stops_when_no_beam_can_get_better(monkeypatch):
    logits = jnp.log(jnp.array([[[0.01, 0.6, 0.39]], [[0.01, 0.98, 0.01]]]))
    steps = []

    def advance(cache, tokens):
        steps.append(tokens.tolist())
        return jnp.repeat(logits[1], 2, axis=0), cache

    monkeypatch.setattr(decoding, "begin", lambda *_: (logits[0], {}, advance))
    with jax.disable_jit():
        found = beam_search.n_best(
            tiny.build(), {}, jnp.ones((1, 3), int), 9, num_beams=2, length_penalty=1.0
        )
    # (0.39 * 0.98) ** (1 / 2) is more than 0.6.
    assert found.tokens[0, :, :3].tolist() == [[2, 1, 0], [1, 0, 0]]
    np.testing.assert_allclose(found.scores[0], [np.log(0.39 * 0.98) / 2, np.log(0.6)], rtol=1e-5)
    assert steps == [[2, 0]]


def test_inputs_are_encoded_once():
    search = lambda: beam_search.beam_search(MODEL, PARAMS, INPUTS, L, num_beams=N)
    assert reference.encoded_rows(search) == [len(INPUTS)]


def test_no_beam_is_an_error():
    with pytest.raises(ValueError, match="num_beams must be at least 1, found 0"):
        beam_search.beam_search(MODEL, PARAMS, INPUTS, L, num_beams=0)
