"""Two real processes evaluate what one does: every example once, the same predictions."""

import json
import pathlib
import socket
import subprocess
import sys

import jax
import numpy as np

from prompt_tuning import eval as evaluation
from prompt_tuning.data.find_task import find_task
from prompt_tuning.evaluation import decoders
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from tests import models

REPOSITORY = pathlib.Path(__file__).parents[2]
FOLDER = REPOSITORY / "tests/fixtures/benchmarks/super_glue/official"
METHOD = soft_prompt.SoftPrompt(3, initializers.Uniform(-9.0, 9.0))


def evaluate(prompts, output_dir):
    """An ensemble that ranks labels, and one prompt that decodes, over all devices there are."""
    base = models.tiny_model(d_model=8, num_heads=2, num_encoder_layers=1, num_decoder_layers=1)
    task = find_task("byt5_super_glue_rte_v102", data_dir=FOLDER)
    for name, decoder, prompt_file in (
        ("ranked", decoders.RankLabels(), prompts),
        ("greedy", decoders.Greedy(), prompts[0]),
    ):
        evaluation.evaluate(
            base,
            METHOD,
            task,
            output_dir=pathlib.Path(output_dir, name),
            task_feature_lengths={"inputs": 32, "targets": 16},
            prompt_file=prompt_file,
            decoder=decoder,
            batch_size=8,
        )


def process(index, port, prompts, output_dir):
    """What each of the two processes runs, with two devices."""
    jax.config.update("jax_num_cpu_devices", 2)
    jax.config.update("jax_cpu_collectives_implementation", "gloo")
    jax.distributed.initialize(f"localhost:{port}", 2, int(index))
    evaluate(prompts.split(","), output_dir)


def test_two_processes_write_what_one_does(tmp_path):
    base = models.tiny_model(d_model=8)
    prompts = [str(tmp_path / f"{seed}.npy") for seed in range(2)]
    for seed, path in enumerate(prompts):
        prompt = METHOD.initial(base, jax.random.key(seed))[METHOD.trainable[0]]
        files.write_prompt(path, np.asarray(prompt))
    evaluate(prompts, tmp_path / "one")

    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    call = "import sys; from tests.evaluation import test_processes as t; t.process(*sys.argv[1:])"
    arguments = [str(port), ",".join(prompts), str(tmp_path / "two")]
    running = [
        subprocess.Popen([sys.executable, "-c", call, str(index), *arguments], cwd=REPOSITORY)
        for index in range(2)
    ]
    assert [each.wait(timeout=300) for each in running] == [0, 0]

    for name in ("ranked", "greedy"):
        found, expected = (
            [json.loads(line) for line in (tmp_path / count / name / "predictions.jsonl").open()]
            for count in ("two", "one")
        )
        assert [row["id"] for row in found] == [row["id"] for row in expected]
        for row, other in zip(found, expected):
            assert row["prediction"] == other["prediction"]
            np.testing.assert_allclose(row["score"], other["score"], rtol=1e-4)
        metrics = [tmp_path / count / name / "metrics.json" for count in ("two", "one")]
        assert metrics[0].read_text() == metrics[1].read_text()
