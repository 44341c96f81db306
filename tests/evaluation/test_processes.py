"""Two real processes of four devices evaluate what one of eight does, and one of one device: every
example once, the same predictions, the same loss.
"""

import json
import pathlib

import jax
import numpy as np
import pytest

from prompt_tuning import eval as evaluation
from prompt_tuning.data import batches
from prompt_tuning.data.files import FilesTask
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import held_out
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import sharding
from tests import models
from tests import processes

pytestmark = pytest.mark.xdist_group("processes evaluate")  # they share what takes long

METHOD = soft_prompt.SoftPrompt(3, initializers.Uniform(-9.0, 9.0))
MODEL = sharding.Layout(model_parallel=8)  # one copy of the model on both processes
CASES = {
    "ranked": (decoders.RankLabels(), sharding.Layout()),
    "greedy": (decoders.Greedy(), MODEL),
}
SHAPE = 8, 16, 8


def tiny_model():
    return models.tiny_model(
        d_model=8, num_heads=8, head_dim=2, num_encoder_layers=1, num_decoder_layers=1
    )


def evaluate(data, output_dir, *prompts):
    """An ensemble that ranks labels, one prompt that decodes, and the loss without any."""
    base, labels = tiny_model(), ("animal", "colour")
    task = FilesTask("colours", {"validation": data}, labels=labels, id_column="id")
    alone = jax.device_count() == 1
    for name, (decoder, layout) in CASES.items():
        evaluation.evaluate(
            base,
            METHOD,
            task,
            output_dir=pathlib.Path(output_dir, name),
            task_feature_lengths={"inputs": 16, "targets": 8},
            prompt_file=prompts if name == "ranked" else prompts[0],
            decoder=decoder,
            batch_size=SHAPE[0],
            layout=sharding.Layout() if alone else layout,
        )
    scores = _loss(base, task, sharding.Layout() if alone else sharding.Layout(2, True))
    if jax.process_index() == 0:
        pathlib.Path(output_dir, "loss.json").write_text(json.dumps(scores))


def _loss(base, task, layout):
    mesh, network = layout.mesh(), model_tuning.ModelTuning().network(base)
    rows = task.rows("validation", base.vocabulary, *SHAPE[1:], seed=0, shuffle=False)
    local = sharding.local_rows(mesh, SHAPE[0])
    return held_out.make_evaluate_loss(network, mesh)(
        layout.put_params(network, base.params, mesh), batches.eval_batches(rows, *SHAPE, local)
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory, data_files):
    """What came of it in `1x1`, `1x8` (processes x devices) and `2x4`."""
    folder, base = tmp_path_factory.mktemp("processes"), tiny_model()
    prompts = [str(folder / f"{seed}.npy") for seed in range(2)]
    for seed, path in enumerate(prompts):
        prompt = METHOD.initial(base, jax.random.key(seed))[METHOD.trainable[0]]
        files.write_prompt(path, np.asarray(prompt))
    for count, devices in ((1, 1), (1, 8), (2, 8)):
        output = folder / f"{count}x{devices // count}"
        processes.run(count, evaluate, data_files["validation"], output, *prompts, devices=devices)
    return folder


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("other", ["1x1", "1x8"])
def test_two_processes_predict_what_one_does(folder, name, other):
    found, expected = (
        [json.loads(line) for line in (folder / devices / name / "predictions.jsonl").open()]
        for devices in ("2x4", other)
    )
    assert [row["id"] for row in found] == [f"validation{i}" for i in range(12)]
    for row, one in zip(found, expected, strict=True):
        assert row["prediction"] == one["prediction"]
        np.testing.assert_allclose(row["score"], one["score"], rtol=1e-4)
    metrics = [folder / devices / name / "metrics.json" for devices in ("2x4", other)]
    assert metrics[0].read_text() == metrics[1].read_text()


@pytest.mark.parametrize("other", ["1x1", "1x8"])
def test_two_processes_find_the_loss_that_one_does(folder, other):
    found, expected = (
        json.loads((folder / devices / "loss.json").read_text()) for devices in ("2x4", other)
    )
    assert found == pytest.approx(expected, rel=1e-4)
