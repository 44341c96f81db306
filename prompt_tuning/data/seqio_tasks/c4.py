"""C4 in seqio's registry, so that T5X pre-trains on it.

Its text and objectives are those of data/benchmarks/c4.py; here the text passes through once, in
the order in which seqio reads it.
"""

from collections.abc import Mapping, Sequence
from functools import partial

import numpy as np
import seqio
import tensorflow as tf

from prompt_tuning.data.benchmarks.c4 import OBJECTIVES, SPLITS, TFDS, c4_files
from prompt_tuning.data.objectives import Objective
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.seqio_tasks.vocabularies import Vocabularies
from prompt_tuning.data.text import text_of_json


def register(
    name: str,
    vocabularies: Vocabularies,
    folder: PathLike | None = None,
    tfds_data_dir: PathLike | None = None,
) -> seqio.Task:
    """Adds C4 under an objective of `OBJECTIVES` to seqio's registry, unless it is there.

    T5's own tasks of these names differ in two ways: they put no eos between documents, and their
    prefix LM does not join documents. Raises DataError where `folder` has no shards.
    """
    if name in seqio.TaskRegistry.names():
        return seqio.TaskRegistry.get(name)
    if folder:
        source = seqio.FileDataSource(_lines, c4_files(name, folder))
    else:
        data_dir = None if tfds_data_dir is None else str(tfds_data_dir)
        source = seqio.TfdsDataSource(TFDS, tfds_data_dir=data_dir, splits=SPLITS)
    return seqio.TaskRegistry.add(
        name,
        source=source,
        preprocessors=[
            _documents,
            partial(seqio.preprocessors.tokenize, copy_pretokenized=False, with_eos=True),
            seqio.CacheDatasetPlaceholder(),
            partial(_corrupted_chunks, name=name, vocabularies=vocabularies),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features=vocabularies.features,
    )


def _lines(file: tf.Tensor) -> tf.data.Dataset:
    """Of a shard, as TFDS has its rows."""
    return tf.data.TextLineDataset(file, compression_type="GZIP").map(_row)


def _row(line: tf.Tensor) -> dict[str, tf.Tensor]:
    text = tf.numpy_function(lambda line: text_of_json(line.decode("utf-8")), [line], tf.string)
    return {"text": tf.ensure_shape(text, ())}


def _documents(dataset: tf.data.Dataset) -> tf.data.Dataset:
    """Those that have text, which stands under "targets", as in T5's tasks."""
    texts = dataset.map(lambda row: {"targets": tf.strings.strip(row["text"])})
    return texts.filter(lambda row: tf.not_equal(row["targets"], ""))


def _corrupted_chunks(
    dataset: tf.data.Dataset,
    sequence_length: Mapping[str, int],
    name: str,
    vocabularies: Vocabularies,
) -> tf.data.Dataset:
    """Rows of the objective, from chunks of the documents' one stream of tokens."""
    lengths = sequence_length["inputs"], sequence_length["targets"]
    objective = OBJECTIVES[name](vocabularies.ours(), *lengths)
    tokens = dataset.map(lambda row: row["targets"])
    chunks = tokens.rebatch(objective.chunk_length, drop_remainder=True)
    return _corrupted(chunks, objective)


@seqio.map_over_dataset(num_seeds=1)
def _corrupted(
    tokens: tf.Tensor, objective: Objective, seed: Sequence[tf.Tensor]
) -> dict[str, tf.Tensor]:
    def corrupt(tokens: np.ndarray, seed: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return objective(tokens, np.random.default_rng(seed.astype(np.uint64)))

    sides = tf.numpy_function(corrupt, [tokens, tf.stack(seed)], [tf.int32, tf.int32])
    return {side: tf.ensure_shape(ids, [None]) for side, ids in zip(("inputs", "targets"), sides)}
