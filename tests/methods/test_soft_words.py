"""Soft words: texts to start from, what is added in every layer, and the mixture."""

import dataclasses

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.methods import soft_prompt
from prompt_tuning.methods import soft_words
from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import execution
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import rank_scoring
from prompt_tuning.training import diagnostics
from tests import models
from tests.methods import adding

PROMPT = "encoder/prompt/prompt/prompt"
ONE = soft_words.SoftWords("abc")
MIXED = soft_words.SoftWords(("abc", "de"))
METHODS = {"one": ONE, "mixture": MIXED}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())


@pytest.fixture(scope="module")
def base():
    return models.tiny_model()


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def with_text(base, batch, text):
    tokens = batch["encoder_input_tokens"]
    in_front = np.tile(base.vocabulary.encode(text), (len(tokens), 1))
    return dict(batch, encoder_input_tokens=np.concatenate([in_front, tokens], axis=1))


def of_one(learned, k):
    """What the k-th prompt of a mixture has learned, as a method of one."""
    return {name: x[k] for name, x in learned.items() if name != "added/weights"}


def mixed_by_hand(base, learned, frozen, batch):
    """The log of the weighted sum of each prompt's own distributions, [B, L, V]."""
    weights = np.exp(learned["added/weights"]) / np.exp(learned["added/weights"]).sum()
    probs = [
        jax.nn.softmax(adding.logits(base, ONE, of_one(learned, k), frozen, batch))
        for k in range(2)
    ]
    return np.log(sum(w * np.asarray(p) for w, p in zip(weights, probs)))


def test_it_starts_as_its_text(base, batch):
    found = adding.logits(base, ONE, *adding.trained(base, ONE), batch)
    expected = adding.plain_logits(base, with_text(base, batch, "abc"))
    adding.check_close(found, expected, 1e-5)


def test_a_mixture_starts_as_its_texts_alike(base, batch):
    """The shorter of them is repeated."""
    found = adding.logits(base, MIXED, *adding.trained(base, MIXED), batch)
    texts = [adding.plain_logits(base, with_text(base, batch, text)) for text in ("abc", "ded")]
    expected = np.log(sum(np.asarray(jax.nn.softmax(x)) for x in texts) / 2)
    adding.check_close(found, expected, 1e-5)


def test_rows_are_changed_before_every_layer(base, batch):
    """As in a network of the same prompt, whose layers are given what something else changed."""
    learned, frozen = adding.trained(base, ONE, scale=0.3)
    plain = soft_prompt.SoftPrompt(3).network(base)

    def perturb(call, args, kwargs, context):
        module = context.module
        if isinstance(module, network.EncoderLayer) and context.method_name == "__call__":
            delta = learned[f"{'/'.join(module.path)}/added/delta"]
            changed = np.pad(delta, ((0, args[0].shape[1] - 3), (0, 0)))
            args = (args[0] + changed, *args[1:])
        return call(*args, **kwargs)

    with nn.intercept_methods(perturb):
        expected = plain.apply(
            {"params": parameters.unflatten({**frozen, PROMPT: learned[PROMPT]})},
            jnp.asarray(batch["encoder_input_tokens"]),
            jnp.asarray(batch["decoder_input_tokens"]),
            enable_dropout=False,
        )
    found = adding.logits(base, ONE, learned, frozen, batch)
    adding.check_close(found, expected, 1e-5)
    # And it is the deltas that did it.
    without = {n: x if n == PROMPT else jnp.zeros_like(x) for n, x in learned.items()}
    plainly = adding.logits(base, ONE, without, frozen, batch)
    assert np.max(np.abs(plainly - found)) > 1e-2


def test_a_mixture_is_the_weighted_sum_of_its_prompts(base, batch):
    learned, frozen = adding.trained(base, MIXED, scale=0.3)
    learned["added/weights"] = jnp.asarray([1.0, -0.5])
    found = adding.logits(base, MIXED, learned, frozen, batch)
    adding.check_close(found, mixed_by_hand(base, learned, frozen, batch), 1e-5)


def test_ranking_and_beams_of_a_mixture(base, batch):
    """With the cache, whose rows beams repeat and choose among, and without it."""
    learned, frozen = adding.trained(base, MIXED, scale=0.3)
    params = parameters.unflatten({**frozen, **learned})
    model, inputs = MIXED.network(base), jnp.asarray(batch["encoder_input_tokens"])
    found = jax.jit(lambda p, x: beam_search.n_best(model, p, x, 4, num_beams=3))(params, inputs)

    for beam in range(3):
        tokens = np.asarray(found.tokens[:, beam])
        forced = dict(batch, decoder_input_tokens=np.pad(tokens, ((0, 0), (1, 0)))[:, :-1])
        log_probs = mixed_by_hand(base, learned, frozen, forced)
        chosen = np.take_along_axis(log_probs, tokens[..., None], axis=-1)[..., 0]
        expected = np.where(tokens > 0, chosen, 0).sum(axis=1)
        np.testing.assert_allclose(found.log_probs[:, beam], expected, rtol=1e-4, atol=1e-4)
    assert len({tuple(x) for x in np.asarray(found.tokens[0])}) == 3

    candidates = found.tokens[0]
    scores = jax.jit(lambda p, x: rank_scoring.rank_scores(model, p, x, candidates))(params, inputs)
    np.testing.assert_allclose(scores[0], found.log_probs[0], rtol=1e-4, atol=1e-4)


def test_one_prompt_is_the_plain_network(base):
    assert type(ONE.network(base)) is network.T5
    assert ONE.initial(base, jax.random.key(0))[PROMPT].shape == (3, 16)


@each_method
def test_the_network_has_the_models_parameters_and_the_methods(base, method):
    tokens = jnp.ones((2, 4), jnp.int32)
    shapes = jax.eval_shape(
        lambda key: method.network(base).init(key, tokens, tokens, enable_dropout=False),
        jax.random.key(0),
    )
    shapes = {name: x.shape for name, x in parameters.flatten(shapes["params"]).items()}
    expected = dict(base.params) | method.initial(base, jax.random.key(0))
    assert shapes == {name: x.shape for name, x in expected.items()}


@pytest.mark.parametrize("size", ["small", "xl"])
@pytest.mark.parametrize("prompts", [1, 3])
def test_count(size, prompts):
    """K P D of prompts, as much for each of the encoder's layers, and K weights of a mixture."""
    base = models.paper_model(size)
    rows = prompts * 100 * base.config.d_model
    expected = rows * (1 + base.config.num_encoder_layers) + (prompts if prompts > 1 else 0)
    adding.check_count(base, soft_words.SoftWords(("a", "b", "c")[:prompts], 100), expected)


@each_method
def test_steps_train_it(base, batch, method):
    adding.check_step(base, method, batch)


@each_method
def test_files(base, batch, method, tmp_path):
    adding.check_files(base, method, batch, tmp_path)


@each_method
def test_decoding_and_padding(base, batch, method):
    adding.check_decoding(base, method, batch)
    adding.check_padding(base, method, batch)
    assert method.slots is None


def test_attention_of_a_mixture_is_its_prompts_mean(base, batch):
    learned, frozen = adding.trained(base, MIXED, scale=0.3)
    batch = jax.tree.map(jnp.asarray, batch)
    found = diagnostics.make_diagnostics(MIXED.network(base))({**frozen, **learned}, batch)
    each = diagnostics.make_diagnostics(ONE.network(base))
    ones = [each({**frozen, **of_one(learned, k)}, batch) for k in range(2)]
    masses = [name for name in found if "attention_mass" in name]
    assert len(masses) == 5
    for name in masses:
        np.testing.assert_allclose(found[name], np.mean([x[name] for x in ones]), rtol=1e-5)


@pytest.mark.parametrize("text", ["", [], ["a", ""], ["a", "b", "a"]])
def test_bad_texts(text):
    with pytest.raises(ValueError, match="PROMPT_TEXT.* must be a text, or several that differ"):
        soft_words.SoftWords(text)


def test_too_long_a_text_is_refused(base):
    with pytest.raises(ValueError, match=r"'abc' has 3 pieces.*SoftWords.length is 2"):
        soft_words.SoftWords(("a", "abc"), 2).network(base)


def test_scanned_layers_are_refused(base):
    scanned = dataclasses.replace(base, execution=execution.Execution(scan_layers=True))
    tokens = jnp.ones((2, 4), jnp.int32)
    with pytest.raises(ValueError, match="adds to every layer.*Execution.scan_layers to False"):
        MIXED.network(scanned).init(jax.random.key(0), tokens, tokens)
