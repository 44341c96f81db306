"""Held-out loss."""

import dataclasses

import jax
import numpy as np
import pytest

from prompt_tuning.data import batches
from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import held_out
from prompt_tuning.t5 import parameters
from tests.t5 import tiny

VOCABULARY = vocabularies.ByteVocabulary()


def test_held_out_loss_is_a_mean_over_tokens():
    config = dataclasses.replace(tiny.CONFIG, vocab_size=260, num_decoder_layers=1)
    model = tiny.build(config, encoder_prompt=2)
    params = tiny.random_params(model)
    fields = [{"inputs": "ab", "targets": text} for text in ("a", "bcdef", "gh")]
    examples = data.examples_from_text(["0", "1", "2"], fields, VOCABULARY, 4, 7)
    rows = batches.ExampleRows(examples, seed=0, shuffle=False)

    found = held_out.make_evaluate_loss(model)(
        parameters.flatten(params), batches.eval_batches(rows, 2, 4, 7)
    )

    batch = batches.collate([rows.row(i) for i in range(3)], 3, 4, 7)
    logits = tiny.applied(model)(
        params, batch["encoder_input_tokens"], batch["decoder_input_tokens"]
    )
    targets = batch["decoder_target_tokens"]
    logp = np.take_along_axis(jax.nn.log_softmax(logits), targets[..., None], -1)[..., 0]
    assert (targets != 0).sum() == 2 + 6 + 3
    np.testing.assert_allclose(found["loss_per_token"], -logp[targets != 0].mean(), rtol=1e-5)
    hits = (np.argmax(logits, -1) == targets)[targets != 0]
    np.testing.assert_allclose(found["token_accuracy"], 100 * hits.mean())


def test_held_out_loss_of_nothing_is_an_error():
    with pytest.raises(ValueError, match="at least one batch"):
        held_out.make_evaluate_loss(tiny.build())({}, [])
