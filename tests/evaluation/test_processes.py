"""Two real processes evaluate what one does: every example once, the same predictions."""

import json
import pathlib

import jax
import numpy as np

from prompt_tuning import eval as evaluation
from prompt_tuning.data.files import FilesTask
from prompt_tuning.evaluation import decoders
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from tests import models
from tests import processes

METHOD = soft_prompt.SoftPrompt(3, initializers.Uniform(-9.0, 9.0))


def evaluate(data, output_dir, *prompts):
    """An ensemble that ranks labels, and one prompt that decodes, over all devices there are."""
    base = models.tiny_model(d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1)
    labels = ("animal", "colour")
    task = FilesTask("colours", {"validation": data}, labels=labels, id_column="id")
    for name, decoder, prompt_file in (
        ("ranked", decoders.RankLabels(), prompts),
        ("greedy", decoders.Greedy(), prompts[0]),
    ):
        evaluation.evaluate(
            base,
            METHOD,
            task,
            output_dir=pathlib.Path(output_dir, name),
            task_feature_lengths={"inputs": 16, "targets": 8},
            prompt_file=prompt_file,
            decoder=decoder,
            batch_size=8,
        )


def test_two_processes_write_what_one_does(tmp_path, data_files):
    base = models.tiny_model(d_model=8)
    prompts = [str(tmp_path / f"{seed}.npy") for seed in range(2)]
    for seed, path in enumerate(prompts):
        prompt = METHOD.initial(base, jax.random.key(seed))[METHOD.trainable[0]]
        files.write_prompt(path, np.asarray(prompt))
    for count, name in ((1, "one"), (2, "two")):
        processes.run(count, evaluate, data_files["validation"], tmp_path / name, *prompts)

    for name in ("ranked", "greedy"):
        found, expected = (
            [json.loads(line) for line in (tmp_path / count / name / "predictions.jsonl").open()]
            for count in ("two", "one")
        )
        assert [row["id"] for row in found] == [f"validation{i}" for i in range(12)]
        for row, other in zip(found, expected, strict=True):
            assert row["prediction"] == other["prediction"]
            np.testing.assert_allclose(row["score"], other["score"], rtol=1e-4)
        metrics = [tmp_path / count / name / "metrics.json" for count in ("two", "one")]
        assert metrics[0].read_text() == metrics[1].read_text()
