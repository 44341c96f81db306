"""T5X's own programs train, evaluate and predict with this project's network."""

import json

import jax
import numpy as np
import pytest

pytest.importorskip("t5x", reason="T5X is not installed; README.md says how")

import seqio
from t5x import utils

from prompt_tuning.checkpoints import t5x as t5x_checkpoints
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import arrangements
from prompt_tuning.data.seqio_tasks import provider
from prompt_tuning.data.vocabulary import SentencePieceVocabulary
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import learned
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.training import loop
from prompt_tuning.training import optimizers
from tests.t5x import tiny_task
from tests.t5x.conftest import BATCH_SIZE, CONFIG, PROMPT_LENGTH, SEED, STEP

pytestmark = pytest.mark.t5x
NAME = "encoder/prompt/prompt/prompt"
METHOD = soft_prompt.SoftPrompt(PROMPT_LENGTH, initializers.SampledVocab(first=2000))
STOPS = (4, 7)  # steps after which T5X's run stops


@pytest.fixture(scope="module")
def model_dir(command, tmp_path_factory):
    """MODEL_DIR of a run that stopped once."""
    folder = tmp_path_factory.mktemp("run")
    for steps in STOPS:
        command(
            "train",
            "gin/t5x/runs/prompt_finetune.gin",
            MODEL_DIR=str(folder),
            TRAIN_STEPS=STEP + steps,
            BATCH_SIZE=BATCH_SIZE,
            RANDOM_SEED=SEED,
            DROPOUT_RATE=0.0,
            EVAL_PERIOD=4,
            EVAL_STEPS=1,
            **{"utils.SaveCheckpointConfig.period": 4},
        )
    return folder


@pytest.fixture(scope="module")
def base(checkpoint):
    file = tiny_task.VOCABULARY.sentencepiece_model_file
    return weights.load_model(
        checkpoint, config=CONFIG, vocabulary=SentencePieceVocabulary(file, 32)
    )


class T5XBatches(arrangements.ArrangedBatches):
    """What T5X's run saw: seqio's batches from its seed, anew after a stop."""

    def __init__(self):
        self.step = arrangements.Step(BATCH_SIZE, *tiny_task.LENGTHS.values())
        config = utils.DatasetConfig(
            tiny_task.NAME, tiny_task.LENGTHS, "train", BATCH_SIZE, shuffle=True, seed=SEED
        )
        dataset = utils.get_dataset(config, 0, 1, seqio.EncDecFeatureConverter)
        self._seen = [
            batch | {"decoder_loss_weights": batch["decoder_loss_weights"].astype(np.float32)}
            for batch in dataset.take(STOPS[0]).as_numpy_iterator()
        ]

    def __call__(self, step):
        return [self._seen[step % STOPS[0]]], [str(i) for i in range(BATCH_SIZE)]


def prompt_at(model_dir, step):
    return files.read_prompt(
        model_dir / f"numpy_checkpoints/checkpoint_{STEP + step}/{files.file_name('encoder')}"
    )


def test_the_prompt_is_that_of_our_own_loop(model_dir, base, tmp_path):
    start = METHOD.initial(base, jax.random.key(SEED))[NAME]
    np.testing.assert_array_equal(prompt_at(model_dir, 0), start)
    for steps in STOPS:
        ours = loop.train(
            base,
            METHOD,
            T5XBatches(),
            model_dir=tmp_path,
            steps=steps,
            optimizer=optimizers.adafactor(),
            seed=SEED,
        ).trained[NAME]
        theirs = prompt_at(model_dir, steps)
        assert np.sqrt(np.mean((theirs - start) ** 2)) > 0.3  # it has moved
        np.testing.assert_allclose(theirs, ours, rtol=1e-4, atol=1e-5)


def test_frozen_weights_stay_and_the_prompt_file_is_the_states(model_dir, checkpoint, base):
    saved = str(model_dir / f"checkpoint_{STEP + STOPS[-1]}")
    after = weights.load_model(saved, config=CONFIG, vocabulary=base.vocabulary)
    assert set(after.params) == set(base.params)
    for name, before in base.params.items():
        np.testing.assert_array_equal(after.params[name], before, err_msg=name)
    prompts = t5x_checkpoints.read_t5x_prompt(saved)
    np.testing.assert_array_equal(prompts[NAME], prompt_at(model_dir, STOPS[-1]))


def test_our_own_programs_read_what_t5x_wrote(model_dir, base):
    found = learned.adapt(base, METHOD, model_dir)
    np.testing.assert_array_equal(found.params[NAME], prompt_at(model_dir, STOPS[-1]))


@pytest.fixture(scope="module")
def ours(model_dir, base):
    """What this project predicts for a split's inputs with the run's prompt."""

    def predictions(split):
        task = provider.SeqioTask(seqio.TaskRegistry.get(tiny_task.NAME))
        examples = task.read(split, base.vocabulary, *tiny_task.LENGTHS.values())
        adapted = learned.adapt(base, METHOD, model_dir)
        predictor = predict.Predictor(
            adapted.network, base.vocabulary, BATCH_SIZE, *tiny_task.LENGTHS.values()
        )
        return [row["prediction"] for row in predictor(adapted.params, examples)]

    return predictions


def json_lines(path):
    return [json.loads(line) for line in path.read_text().splitlines()]


def test_eval_with_a_prompt_file(command, model_dir, ours, tmp_path):
    file = (
        model_dir / f"numpy_checkpoints/checkpoint_{STEP + STOPS[-1]}/encoder.prompt.prompt.prompt"
    )
    command(
        "eval", "gin/t5x/runs/prompt_eval.gin", PROMPT_FILE=str(file), EVAL_OUTPUT_DIR=str(tmp_path)
    )
    rows = json_lines(tmp_path / f"inference_eval/{tiny_task.NAME}-{STEP}.jsonl")
    assert [row["prediction"] for row in rows] == ours("validation")
    scores = json_lines(tmp_path / f"inference_eval/{tiny_task.NAME}-metrics.jsonl")
    assert set(scores[0]) == {"step", "exact"}


def test_infer_with_the_prompt_of_a_run(command, model_dir, ours, tmp_path):
    command(
        "infer",
        "gin/t5x/runs/prompt_infer.gin",
        PROMPT_FILE=str(model_dir),
        INFER_OUTPUT_DIR=str(tmp_path),
    )
    rows = json_lines(tmp_path / f"{tiny_task.NAME}-predict.jsonl-00000-of-00001")
    assert [row["prediction"] for row in rows] == ours("test")
