"""A seqio task for T5X's runs, registered as users' own are (MIXTURE_OR_TASK_MODULE)."""

import seqio
import tensorflow as tf

from prompt_tuning import models

VOCABULARY = seqio.SentencePieceVocabulary(str(models.ASSETS / "pocket_t5/vocabulary.model"), 32)
LENGTHS = {"inputs": 10, "targets": 4}
NAME = "colour_or_animal"
_WORDS = [("red", "colour"), ("cat", "animal"), ("blue", "colour"), ("dog", "animal")]


def _dataset(split, shuffle_files, seed=None):
    del shuffle_files, seed
    rows = [_WORDS[i % 4] for i in range({"train": 40, "validation": 12, "test": 10}[split])]
    inputs = [f"{split}: {word} {i}" for i, (word, _) in enumerate(rows)]
    targets = [target for _, target in rows]
    return tf.data.Dataset.from_tensor_slices({"inputs": inputs, "targets": targets})


def exact(targets, predictions):
    return {"exact": sum(map(str.__eq__, targets, predictions)) / len(targets)}


seqio.TaskRegistry.add(
    NAME,
    source=seqio.FunctionDataSource(_dataset, splits=["train", "validation", "test"]),
    preprocessors=[seqio.preprocessors.tokenize, seqio.preprocessors.append_eos],
    output_features={side: seqio.Feature(VOCABULARY) for side in LENGTHS},
    metric_fns=[exact],
)
