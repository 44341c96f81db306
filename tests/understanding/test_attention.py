"""Attention on prompts over a split against sums over examples one by one, without padding."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.data.files import FilesTask
from prompt_tuning.data import tasks
from prompt_tuning.t5 import parameters
from prompt_tuning.understanding import attention
from tests import models as tiny
from tests.understanding import examples

LENGTHS = {"inputs": 16, "targets": 10}
P, Q = 3, 2  # rows of the encoder's and of the decoder's prompt


@pytest.fixture(scope="module")
def base():
    model = tiny.tiny_model()
    # Weights of a usual size attend to all alike; these do not.
    sharp = {k: 6 * x if "query" in k else x for k, x in model.params.items()}
    return dataclasses.replace(model, params=sharp)


@pytest.fixture(scope="module")
def task(tmp_path_factory):
    """Long inputs with short targets, then the reverse: batches of 8 differ in what they weigh."""
    file = tmp_path_factory.mktemp("task") / "test.tsv"
    rows = [f"a long text {i}\tx" if i < 7 else f"t{i}\tlong one" for i in range(12)]
    file.write_text("\n".join(["inputs\ttargets", *rows]) + "\n")
    return FilesTask("lengths", {"test": str(file)})


def sown(base, subject):
    """`weights(inputs, targets)` of one example, by path: [queries, keys], the mean over heads."""
    network = subject.method.network(base)
    params = parameters.unflatten({**base.params, **subject.params})

    @jax.jit
    def apply(params, inputs, shifted):
        _, state = network.apply(
            {"params": params}, inputs, shifted, enable_dropout=False, mutable=["intermediates"]
        )
        return parameters.flatten(state["intermediates"])

    def weights(inputs, targets):
        tokens = [inputs], [[0, *targets[:-1]]]
        found = apply(params, *(jnp.array(rows, jnp.int32) for rows in tokens))
        return {path: np.asarray(x[0], np.float64) for path, (x,) in found.items()}

    return weights


@pytest.mark.parametrize("location", ["front", "end"])
def test_masses_are_those_of_examples_one_by_one(base, task, location):
    rng = np.random.default_rng(0)
    prompts = {
        "encoder": rng.normal(0, 3, (P, 16)).astype(np.float32),
        "decoder": rng.normal(0, 3, (Q, 16)).astype(np.float32),
    }
    subject = examples.subject("x", {"location": location}, **prompts)
    look = attention.AttentionMass(base, task, "test", LENGTHS, batch_size=8)
    found = look(subject)

    split = task.load("test", base.vocabulary, *LENGTHS.values())
    assert len(split) == 12  # so that the second batch has padding
    weights_of = sown(base, subject)
    on_prompt, on_text, uniform = {}, {}, []
    for i in range(len(split)):
        inputs, targets = split.inputs[i], split.targets[i]
        weights = weights_of(inputs, targets)
        first = P if location == "front" else 0  # of the text
        text = list(range(first, first + len(inputs)))
        prompt = [x for x in range(P + len(inputs)) if x not in text]
        asked = list(range(Q, Q + len(targets)))
        sites = {
            "encoder": ("encoder/layers_{}/attention", text, prompt),
            "cross": ("decoder/layers_{}/encoder_decoder_attention", asked, prompt),
            "decoder": ("decoder/layers_{}/self_attention", asked, list(range(Q))),
        }
        for site, (path, queries, columns) in sites.items():
            for layer in range(2):
                rows = weights[f"{path.format(layer)}/mean_weights"][queries]
                on = rows[:, columns].sum(axis=1)
                on_prompt.setdefault((site, layer), []).extend(on)
                rest = np.delete(rows, columns, axis=1).sum(axis=1)
                on_text.setdefault((site, layer), []).extend(rest)
        uniform += [P / (P + len(inputs))] * len(inputs)

    assert list(found.by_layer) == ["encoder", "cross", "decoder"]
    for site, shares in found.by_layer.items():
        assert len(shares) == 2
        for layer, share in enumerate(shares):
            expected = np.mean(on_prompt[site, layer])
            np.testing.assert_allclose(share, expected, rtol=1e-4)
            np.testing.assert_allclose(share + np.mean(on_text[site, layer]), 1, rtol=1e-4)
    np.testing.assert_allclose(found.uniform, np.mean(uniform), rtol=1e-5)
    assert abs(found.by_layer["encoder"][0] - found.uniform) > 0.01  # it is no matter of positions


def test_prompts_of_different_lengths_share_the_placed_weights(base, task):
    look = attention.AttentionMass(base, task, "test", LENGTHS, batch_size=8, max_examples=8)
    masses = [
        look(examples.subject("x", encoder=np.ones((length, 16), np.float32))) for length in (1, 9)
    ]
    assert masses[0].uniform < masses[1].uniform
    assert all(list(x.by_layer) == ["encoder", "cross"] for x in masses)
    assert look.of == "8 examples of lengths, test"


def test_what_cannot_be_looked_at(base, task):
    mixture = tasks.MixtureTask("both", {"a": task}, {"a": 1})
    with pytest.raises(ValueError, match="found the MixtureTask both"):
        attention.AttentionMass(base, mixture, "test", LENGTHS)
    with pytest.raises(ValueError, match="max_examples must be at least 1, found 0"):
        attention.AttentionMass(base, task, "test", LENGTHS, max_examples=0)
    with pytest.raises(ValueError, match="BATCH_SIZE must be a multiple of 8"):
        attention.AttentionMass(base, task, "test", LENGTHS, batch_size=3)
