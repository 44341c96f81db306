"""Prefix-Tuning: keys and values in front of every attention's, and the MLPs that make them."""

from flax import linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.methods import prefix_tuning
from prompt_tuning.planning import programs
from prompt_tuning.t5 import attention
from prompt_tuning.t5 import beam_search
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import parameters
from prompt_tuning.training import step as training_step
from tests import models
from tests.methods import adding

MADE = prefix_tuning.PrefixTuning(length=3, hidden=5)
ITSELF = prefix_tuning.PrefixTuning(length=3, reparameterize=False)
METHODS = {"reparameterised": MADE, "itself": ITSELF}
each_method = pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
LAYERS = {"encoder": 1, "decoder": 2}
KINDS = {
    "encoder/layers_{}/attention": "encoder",
    "decoder/layers_{}/self_attention": "decoder",
    "decoder/layers_{}/encoder_decoder_attention": "decoder",
}
NAMES = {
    f"{kind.format(n)}/added/{x}"
    for kind, stack in KINDS.items()
    for n in range(LAYERS[stack])
    for x in ("key", "value")
}


@pytest.fixture(scope="module")
def base():
    """H * K is 3 / 4 of D, as T5 1.1 small has it, and the stacks differ in depth."""
    shape = dict(num_heads=6, head_dim=2, num_encoder_layers=1, num_decoder_layers=2)
    return models.tiny_model(**shape)


@pytest.fixture(scope="module")
def batch():
    return models.random_batch(0)


def attend(queries, keys, mask, bias, params, heads):
    """NumPy's attention of T5, the rows of a prefix concatenated in front; one head at a time."""
    out = []
    for h in range(heads):

        def own(x, name, h=h):
            return x @ np.split(params[f"{name}/kernel"], heads, axis=1)[h]

        prefix_key, prefix_value = (params[f"added/{x}"][:, h] for x in ("key", "value"))
        of_rows = []
        for row in range(len(queries)):
            key = np.concatenate([prefix_key, own(keys[row], "key")])
            value = np.concatenate([prefix_value, own(keys[row], "value")])
            logits = own(queries[row], "query") @ key.T
            columns = logits[:, len(prefix_key) :]
            if bias is not None:
                columns += bias[min(row, len(bias) - 1), h]
            columns[~np.broadcast_to(mask[min(row, len(mask) - 1), 0], columns.shape)] = -np.inf
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            of_rows.append(weights / weights.sum(axis=1, keepdims=True) @ value)
        out.append(np.stack(of_rows))
    return np.concatenate(out, axis=-1) @ params["out/kernel"]


@pytest.mark.parametrize(("inputs", "targets"), [(12, 5), (40, 2)])
def test_every_attention_is_over_concatenated_keys_and_values(base, inputs, targets):
    """The plain network, whose attentions are computed by hand, has the same logits; also with so few
    queries that, had it no prefixes, cross-attention would leave the encoder's rows unprojected.
    """
    batch = models.random_batch(0, inputs=inputs, targets=targets)
    learned, frozen = adding.trained(base, MADE, scale=0.5)
    params = {n: np.float64(x) for n, x in {**frozen, **MADE.materialize(learned)}.items()}
    seen = []

    def by_hand(run, args, kwargs, context):
        module = context.module
        if not isinstance(module, attention.MultiHeadAttention):
            return run(*args, **kwargs)
        where = "/".join(module.path) + "/"
        seen.append(where)
        own = {n.removeprefix(where): x for n, x in params.items() if n.startswith(where)}

        def attended(*args):
            args = (None if x is None else np.array(x) for x in args)
            return np.float32(attend(*args, own, module.num_heads))

        return jax.pure_callback(attended, jax.typeof(args[0]), *args)

    with nn.intercept_methods(by_hand):
        expected = adding.plain_logits(base, batch)
    assert len(seen) == len(set(seen)) == 1 + 2 + 2
    found = adding.logits(base, MADE, learned, frozen, batch)
    np.testing.assert_allclose(found, expected, rtol=1e-3, atol=1e-3)
    assert np.abs(found - adding.plain_logits(base, batch)).max() > 0.1


def test_prefixes_are_made_as_the_paper_makes_them(base):
    """tanh between two layers, of each kind of attention its own; in NumPy."""
    learned, _ = adding.trained(base, MADE, scale=0.3)
    found = MADE.materialize(learned)
    assert found.keys() == NAMES
    for kind, stack in KINDS.items():
        where = "added/" + kind.replace("/layers_{}", "")
        own = {n.removeprefix(where + "/"): np.float64(x) for n, x in learned.items() if where in n}
        assert own["embedding"].shape == (3, base.config.d_model)
        hidden = np.tanh(own["embedding"] @ own["hidden/weight"] + own["hidden/bias"])
        weight, bias = own["prefixes/weight"], own["prefixes/bias"]
        assert hidden.shape == (3, 5) and bias.shape == (LAYERS[stack], 2, 6, 2)
        for n in range(LAYERS[stack]):
            for i, name in enumerate(("key", "value")):
                expected = np.einsum("pe,ehk->phk", hidden, weight[:, n, i]) + bias[n, i]
                np.testing.assert_allclose(
                    found[f"{kind.format(n)}/added/{name}"], expected, rtol=1e-4, atol=1e-5
                )


def test_each_prefix_matters(base, batch):
    """Those of the encoder to its output, at every row; those of the decoder to the logits alone."""
    learned, frozen = adding.trained(base, ITSELF, scale=0.3)
    network = ITSELF.network(base)
    tokens = jnp.asarray(batch["encoder_input_tokens"])

    @jax.jit
    def outputs(learned):
        params = {"params": parameters.unflatten({**frozen, **learned})}
        encoded = network.apply(params, tokens, enable_dropout=False, method=network.encode)
        return encoded, adding.logits(base, ITSELF, learned, frozen, batch)

    encoded, logits = outputs(learned)
    for name in NAMES:
        changed = outputs(learned | {name: learned[name] + 1.0})
        moved = np.abs(changed[0] - encoded).max(axis=-1) > 0
        assert moved.tolist() == ((tokens != 0) & name.startswith("encoder")).tolist(), name
        assert not np.allclose(changed[1], logits, atol=1e-3), name


def test_training_and_serving_agree(base, batch, tmp_path):
    """The loss of a step, through the MLPs, is that of what was written, without them."""
    batch = {name: jnp.asarray(x) for name, x in batch.items()}
    learned, frozen = adding.trained(base, MADE, scale=0.1)
    gradient = training_step.make_gradient(MADE.network(base), 0, MADE.materialize)
    state = training_step.TrainState(jnp.zeros((), jnp.int32), learned, None)
    _, sums = jax.jit(gradient)(state, frozen, batch, 0)
    MADE.write(base, learned, tmp_path, {})
    served = ITSELF.read(base, tmp_path)
    assert {name: x.shape for name, x in served.items()} == dict.fromkeys(NAMES, (3, 6, 2))
    params = dict(base.params) | {name: jnp.asarray(x) for name, x in served.items()}
    found = training_step.batch_loss(ITSELF.network(base), params, batch)
    np.testing.assert_allclose(found.loss, sums.loss, rtol=1e-5)


@pytest.mark.parametrize(("size", "length"), [("small", 100), ("xl", 1)])
def test_counts(size, length):
    """While training, and of what is kept (prompt tuning's Figure 4)."""
    base = models.paper_model(size)
    config = base.config
    columns = 2 * config.num_heads * config.head_dim
    encoder, decoder = config.num_encoder_layers, config.num_decoder_layers
    kept = length * columns * (encoder + 2 * decoder)
    adding.check_count(base, prefix_tuning.PrefixTuning(length, reparameterize=False), kept)

    method = prefix_tuning.PrefixTuning(length, hidden=16)
    into_hidden = 3 * (length * config.d_model + (config.d_model + 1) * 16)
    trained = into_hidden + (16 + 1) * columns * (encoder + 2 * decoder)
    adding.check_count(base, method, trained)
    written = jax.eval_shape(method.materialize, programs.added_shapes(method, base))
    assert sum(x.size for x in written.values()) == kept


def test_the_papers_hidden_layer_at_t5_small():
    """P = 100; H * K is 384, where D is 512."""
    method = prefix_tuning.PrefixTuning(100)
    adding.check_count(models.paper_model("small"), method, 10_397_184)


def test_it_starts_small_or_as_linear_layers_do(base):
    for x in adding.trained(base, ITSELF)[0].values():
        assert 0 < np.abs(x).max() < 5 * prefix_tuning.STDDEV
    method = prefix_tuning.PrefixTuning(length=50, hidden=400)
    learned, _ = adding.trained(base, method)
    where = "added/encoder/attention/"
    assert np.abs(np.std(learned[where + "embedding"]) - 1) < 0.2
    for name, inputs in {"hidden/weight": 16, "prefixes/weight": 400}.items():
        largest = np.abs(learned[where + name]).max()
        assert 0.9 * inputs**-0.5 < largest <= inputs**-0.5
    others = [learned[name] for name in learned if name.endswith("embedding")]
    assert len(others) == 3 and not np.allclose(others[0], others[1])


@each_method
def test_steps_train_it(base, batch, method):
    adding.check_step(base, method, batch)


@each_method
def test_files(base, batch, tmp_path, method):
    adding.check_files(base, method, batch, tmp_path)


def test_decoding_padding_and_packing(base, batch):
    adding.check_decoding(base, MADE, batch)
    adding.check_padding(base, MADE, batch)
    adding.check_packed(base, MADE)


def test_beams_share_the_prefixes(base, batch):
    """The scores of hypotheses whose caches moved between beams are those of teacher forcing."""
    learned, frozen = adding.trained(base, ITSELF, scale=0.3)
    inputs = jnp.asarray(batch["encoder_input_tokens"])
    found = beam_search.beam_search(
        ITSELF.network(base), parameters.unflatten({**frozen, **learned}), inputs, 5, num_beams=3
    )
    shifted = jnp.pad(found.tokens, ((0, 0), (1, 0)))[:, :-1]
    given = adding.logits(base, ITSELF, learned, frozen, batch | {"decoder_input_tokens": shifted})
    scores = decoding.log_probs_of(found.tokens, given)
    expected = jnp.sum(scores, axis=1, where=found.tokens != 0)
    np.testing.assert_allclose(found.log_probs, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("dtype", [jnp.float32, jnp.bfloat16])
def test_rows_have_the_dtype_of_what_they_stand_in_front_of(dtype):
    rows = jnp.ones((2, 6, 4, 2), dtype)
    module = prefix_tuning.Prefix(3)
    params = module.init(jax.random.key(0), rows, rows)
    assert {x.dtype for x in jax.tree.leaves(params["params"])} == {jnp.dtype("float32")}
    for x in module.apply(params, rows, rows):
        assert x.shape == (2, 6, 7, 2) and x.dtype == dtype


def test_another_length_is_refused(base, tmp_path):
    MADE.write(base, adding.trained(base, MADE)[0], tmp_path, {})
    other = prefix_tuning.PrefixTuning(length=4)
    message = r"does not fit PrefixTuning: .*expected \[4, 6, 2\], found \[3, 6, 2\]"
    with pytest.raises(ValueError, match=message):
        other.read(base, tmp_path)


@pytest.mark.parametrize("name", ["length", "hidden"])
def test_bad_settings(name):
    with pytest.raises(ValueError, match=f"PrefixTuning.{name} must be at least 1, found 0"):
        prefix_tuning.PrefixTuning(**{name: 0})
