"""WARP: class logits by hand, and the tokens' probabilities that are made of them."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.methods import warp
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import rank_scoring
from prompt_tuning.training import diagnostics
from prompt_tuning.training import step as training_step
from tests import models
from tests.methods import adding

P, LENGTH = 3, 5  # rows of the prompt; tokens of a target, at most
SHARED = ("ab", "ac", "b", "abc")  # some start alike, one with all of another
APART = ("cat", "dog", "emu")


def of(labels, **changes):
    return warp.WARP(labels, P, initializers.Uniform(), **changes)


METHOD = of(SHARED)


@pytest.fixture(scope="module")
def base():
    return models.tiny_model()


def texts(base, labels):
    rows = np.zeros((len(labels), LENGTH), np.int32)
    for row, label in zip(rows, labels):
        tokens = [*base.vocabulary.encode(label), decoding.EOS_ID]
        row[: len(tokens)] = tokens
    return rows


def labelled(base, labels):
    """A batch whose targets are labels, and the number of each row's."""
    batch = models.random_batch(0, targets=LENGTH)
    which = np.arange(8) % len(labels)
    targets = texts(base, labels)[which]
    batch |= {
        "decoder_input_tokens": np.pad(targets, ((0, 0), (1, 0)))[:, :-1],
        "decoder_target_tokens": targets,
        "decoder_loss_weights": (targets > 0).astype(np.float32),
    }
    return batch, which


@pytest.fixture(scope="module")
def batch(base):
    return labelled(base, SHARED)[0]


def learned(base, method, scale=3.0):
    """Class embeddings that differ, so that classes do."""
    trained, frozen = adding.trained(base, method, scale=scale)
    return trained, frozen, parameters.unflatten({**frozen, **trained})


def log_probs_by_hand(base, method, trained, batch):
    """Of the plain encoder, whose token table ends in the prompt's rows: [B, C]."""
    table = np.array(base.table)
    rows = len(table) + np.arange(P)
    config = dataclasses.replace(base.config, vocab_size=len(table) + P)
    prompt = np.asarray(trained["encoder/prompt/prompt/prompt"])
    params = dict(base.params)
    params["token_embedder/embedding"] = np.concatenate([table, prompt])
    tokens = batch["encoder_input_tokens"]
    in_front = np.append(rows, base.vocabulary.sentinel_id(0))
    tokens = np.concatenate([np.tile(in_front, (len(tokens), 1)), tokens], axis=1)
    encoded = network.T5(config).apply(
        {"params": parameters.unflatten(params)},
        jnp.asarray(tokens),
        enable_dropout=False,
        method="encode",
    )
    classes = np.asarray(trained["decoder/added/classes"])
    logits = np.asarray(encoded)[:, P] @ classes.T / np.sqrt(base.config.d_model)
    return logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))


def test_labels_may_be_what_a_file_s_are_mapped_to():
    assert of({"0": "no", "1": "yes", "n": "no"}) == of(("no", "yes"))


@pytest.mark.parametrize("labels", [SHARED, APART], ids=["shared starts", "apart"])
def test_every_way_to_predict(base, labels):
    """Ranking has the classes' own probabilities; beams find the best; greedy goes by the prefix."""
    method = of(labels)
    batch, _ = labelled(base, labels)
    trained, _, params = learned(base, method)
    expected = log_probs_by_hand(base, method, trained, batch)
    assert len(set(expected.argmax(axis=1))) > 1
    model, inputs = method.network(base), jnp.asarray(batch["encoder_input_tokens"])
    candidates = texts(base, labels)

    scores = jax.jit(lambda p, x: rank_scoring.rank_scores(model, p, x, jnp.asarray(candidates)))(
        params, inputs
    )
    np.testing.assert_allclose(scores, expected, rtol=0, atol=1e-4)

    count = len(labels)
    found = jax.jit(
        lambda p, x: beam_search.n_best(model, p, x, LENGTH, num_beams=count, length_penalty=0.0)
    )(params, inputs)
    order = np.argsort(-expected, axis=1)
    np.testing.assert_array_equal(found.tokens, candidates[order])
    np.testing.assert_allclose(
        found.log_probs, np.take_along_axis(expected, order, axis=1), rtol=0, atol=1e-4
    )

    greedy = jax.jit(lambda p, x: decoding.greedy(model, p, x, LENGTH))(params, inputs)
    chosen = [_greedy_by_hand(candidates, np.exp(row)) for row in expected]
    np.testing.assert_array_equal(greedy.tokens, candidates[chosen])
    np.testing.assert_allclose(greedy.log_probs, expected[np.arange(8), chosen], rtol=0, atol=1e-4)
    if labels is APART:
        np.testing.assert_array_equal(chosen, expected.argmax(axis=1))


def _greedy_by_hand(candidates, probs):
    """Class whose text begins, token by token, as the likeliest of those left begin."""
    left, place = list(range(len(probs))), 0
    while len(left) > 1:
        by_token = {}
        for c in left:
            by_token.setdefault(candidates[c][place], []).append(c)
        left = max(by_token.values(), key=lambda classes: sum(probs[c] for c in classes))
        place += 1
    return left[0]


def test_likely_starts_mislead_greedy_decoding_not_ranking(base):
    """Two classes of 0.3 that share their start outweigh one of 0.4."""
    tree_texts = tuple(tuple(t[t > 0].tolist()) for t in texts(base, ("ab", "ac", "b")))
    readout = warp.ClassReadout(tree_texts, 0)
    classes = np.log([[0.3], [0.3], [0.4]])
    logits = readout.apply(
        {"params": {"classes": jnp.asarray(classes, jnp.float32)}},
        jnp.zeros((1, 2, 288)),
        jnp.ones((1, 1, 1)),
        jnp.asarray([[0, tree_texts[0][0]]]),
        cached=False,
    )
    probs = np.exp(np.asarray(logits[0]))
    a, b, c = tree_texts[0][0], tree_texts[0][1], tree_texts[1][1]
    np.testing.assert_allclose(probs[0, [a, b]], [0.6, 0.4], rtol=1e-5)
    np.testing.assert_allclose(probs[1, [b, c]], [0.5, 0.5], rtol=1e-5)
    np.testing.assert_allclose(probs.sum(axis=1), 1, rtol=1e-5)


def test_the_loss_is_that_of_the_class(base):
    """Without any z-loss, as the logits are normalised."""
    batch, which = labelled(base, SHARED)
    trained, frozen, _ = learned(base, METHOD)
    expected = -log_probs_by_hand(base, METHOD, trained, batch)[np.arange(8), which]
    loss = jax.jit(functools.partial(training_step.batch_loss, METHOD.network(base)))
    found = loss({**frozen, **trained}, batch)
    np.testing.assert_allclose(found.cross_entropy, expected.sum(), rtol=1e-4)
    np.testing.assert_allclose(found.loss, found.cross_entropy, rtol=1e-4)


def test_targets_that_are_no_label_stay_finite(base):
    trained, frozen, _ = learned(base, METHOD)
    gradient = jax.jit(training_step.make_gradient(METHOD.network(base), 0))
    state = training_step.TrainState(jnp.zeros((), jnp.int32), trained, None)
    batch = models.random_batch(1, targets=LENGTH)
    grads, sums = gradient(state, frozen, batch, 0)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves((grads, sums)))
    assert sums.cross_entropy > -warp.NEVER


def test_the_decoder_plays_no_part(base, batch):
    trained, frozen, _ = learned(base, METHOD)
    expected = adding.logits(base, METHOD, trained, frozen, batch)
    without = {n: np.nan * x if n.startswith("decoder/") else x for n, x in frozen.items()}
    np.testing.assert_array_equal(adding.logits(base, METHOD, trained, without, batch), expected)


def test_all_classes_start_alike(base):
    """Each text has a probability of 1 / C, however texts share their starts."""
    batch, _ = labelled(base, SHARED)
    trained, frozen = adding.trained(base, METHOD)
    logits = adding.logits(base, METHOD, trained, frozen, batch)
    targets = jnp.asarray(batch["decoder_target_tokens"])
    log_probs = decoding.log_probs_of(targets, logits).sum(axis=1, where=targets > 0)
    np.testing.assert_allclose(log_probs, -np.log(len(SHARED)), rtol=1e-5)


@pytest.mark.parametrize("size", ["small", "xl"])
def test_count(size):
    """P rows and C class embeddings of D each."""
    base = models.paper_model(size)
    expected = (100 + len(SHARED)) * base.config.d_model
    adding.check_count(base, warp.WARP(SHARED, 100, initializers.Uniform()), expected)


def test_steps_train_it(base, batch):
    adding.check_step(base, METHOD, batch)


def test_files(base, batch, tmp_path):
    adding.check_files(base, METHOD, batch, tmp_path)


def test_decoding_and_padding(base, batch):
    adding.check_decoding(base, METHOD, batch)
    adding.check_padding(base, METHOD, batch)
    assert METHOD.slots is None


def test_diagnostics(base, batch):
    trained, frozen, _ = learned(base, METHOD)
    diagnose = diagnostics.make_diagnostics(METHOD.network(base))
    found = diagnose({**frozen, **trained}, jax.tree.map(jnp.asarray, batch))
    assert 0 < found["prompt/attention_mass/encoder_layer_0"] < 1
    assert "prompt/row_norm_mean/encoder" in found


def test_labels_in_another_order_are_refused(base, tmp_path):
    METHOD.write(base, adding.trained(base, METHOD)[0], tmp_path, {})
    with pytest.raises(ValueError, match=r"was trained with labels \[\"ab\".*found \[\"b\""):
        of(("b", "ab", "ac", "abc")).read(base, tmp_path)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(labels="ab"), "CLASS_LABELS.* at least two labels, found 'ab'"),
        (dict(labels=["ab"]), r"CLASS_LABELS.* at least two labels, found \['ab'\]"),
        (dict(labels=SHARED, length=0), r"WARP.length \(PROMPT_LENGTH\) must be at least 1"),
    ],
)
def test_bad_settings(change, message):
    with pytest.raises(ValueError, match=message):
        warp.WARP(**change)


def test_labels_of_the_same_tokens_are_refused(base):
    with pytest.raises(ValueError, match="'ab' and 'ab' have the same tokens"):
        of(("ab", "c", "ab")).network(base)
