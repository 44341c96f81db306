"""Held-out loss, and files that are whole or absent."""

import dataclasses
import json

import jax
import numpy as np
import pytest

from prompt_tuning.data import batches
from prompt_tuning.data import examples as data
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.evaluation import evaluate
from prompt_tuning.training import partition
from tests.t5 import tiny

VOCABULARY = vocabularies.ByteVocabulary()


def test_held_out_loss_is_a_mean_over_tokens():
    config = dataclasses.replace(tiny.CONFIG, vocab_size=260, num_decoder_layers=1)
    model = tiny.build(config, encoder_prompt=2)
    params = tiny.random_params(model)
    fields = [{"inputs": "ab", "targets": text} for text in ("a", "bcdef", "gh")]
    examples = data.examples_from_text(["0", "1", "2"], fields, VOCABULARY, 4, 7)
    rows = batches.ExampleRows(examples, seed=0, shuffle=False)

    found = evaluate.make_evaluate_loss(model)(
        partition.flatten(params), batches.eval_batches(rows, 2, 4, 7)
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
        evaluate.make_evaluate_loss(tiny.build())({}, [])


def test_files_read_back(tmp_path):
    rows = [
        {"id": "0", "targets": "größer", "prediction": "line\nbreak"},
        {"id": "1", "targets": "b", "prediction": "\u2028"},
    ]
    evaluate.write_predictions(tmp_path / "new" / "predictions.jsonl", rows)
    evaluate.write_metrics(tmp_path / "new" / "metrics.json", {"accuracy": 1 / 3})

    lines = (tmp_path / "new" / "predictions.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in lines.split("\n")[:-1]] == rows
    assert "größer" in lines
    assert json.loads((tmp_path / "new" / "metrics.json").read_text()) == {"accuracy": 1 / 3}


def test_an_interrupted_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text("old\n")

    def interrupted():
        yield {"id": "0"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        evaluate.write_predictions(path, interrupted())
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]
