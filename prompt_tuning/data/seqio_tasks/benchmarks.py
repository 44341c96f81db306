"""Benchmark tasks and mixtures in seqio's registry, on demand, so that T5X trains on the very same
examples.

The tasks' text, rows and metrics are data/benchmarks/'s; here is only what seqio wants around them.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

import seqio
import tensorflow as tf

from prompt_tuning.data.benchmarks.names import find_benchmark, parse
from prompt_tuning.data.benchmarks.rows import Folder, Tfds
from prompt_tuning.data.benchmarks.task import BenchmarkTask
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary, Vocabulary

# The vocabularies that the public checkpoints were trained with.
_PUBLIC = {
    "": "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model",
    "mt5_": "gs://t5-data/vocabs/mc4.250000.100extra/sentencepiece.model",
}
_SIDES = ("inputs", "targets")
_TEXTS = {name: tf.TensorSpec((), tf.string) for name in (*_SIDES, "fields")}


def register(
    name: str,
    vocabulary: SentencePieceVocabulary | ByteVocabulary | None = None,
    folder: PathLike | None = None,
    tfds_data_dir: PathLike | None = None,
) -> seqio.Task | seqio.Mixture:
    """Adds a benchmark's task, or a mixture with its members, to seqio's registry.

    What seqio has under a name already (another call's, or t5's own) stays as it is.

    Args:
      name: as in data/benchmarks/names.py.
      vocabulary: of the model; None for that of the public checkpoints that the name's prefix
        means, which is fetched.
      folder: with the benchmark's files; None for TensorFlow Datasets.
      tfds_data_dir: where these have their data.

    Raises:
      DataError: the name means nothing, or the vocabulary is of the wrong kind.
    """
    found = find_benchmark(name, Folder(folder) if folder else Tfds(tfds_data_dir))
    vocabulary = vocabulary or _public_vocabulary(parse(name).model)
    if isinstance(found, BenchmarkTask):
        _add(found, vocabulary)
        return seqio.TaskRegistry.get(name)
    for member in found.tasks.values():
        _add(member, vocabulary)
    if name not in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.add(name, [(task, float(r)) for task, r in found.rates.items()])
    return seqio.MixtureRegistry.get(name)


def _add(task: BenchmarkTask, vocabulary: Vocabulary) -> None:
    if task.name in seqio.TaskRegistry.names():
        return
    task.check_vocabulary(vocabulary)
    seqio.TaskRegistry.add(
        task.name,
        source=seqio.FunctionDataSource(_dataset(task), splits=list(task.splits)),
        preprocessors=[
            seqio.preprocessors.tokenize,
            *_index_step(task, vocabulary),
            seqio.CacheDatasetPlaceholder(),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={side: seqio.Feature(_of_seqio(vocabulary)) for side in _SIDES},
        postprocess_fn=_fields_or_text,
        metric_fns=[_metric(task, metric, vocabulary) for metric in task.metrics],
    )


def _dataset(task: BenchmarkTask) -> Callable[..., tf.data.Dataset]:
    """A function that gives a split's texts, with all of an example's fields as JSON."""

    def texts(split: str) -> Iterator[dict[str, str]]:
        for examples in task.examples(split):
            for fields in examples:
                yield {side: fields[side] for side in _SIDES} | {"fields": json.dumps(fields)}

    def dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        del shuffle_files, seed
        return tf.data.Dataset.from_generator(lambda: texts(split), output_signature=_TEXTS)

    return dataset


def _index_step(task: BenchmarkTask, vocabulary: Vocabulary) -> list[Callable]:
    if task.form.task_index is None:
        return []
    index = vocabulary.sentinel_id(task.form.task_index)

    @seqio.map_over_dataset
    def add_task_index(row: Mapping[str, tf.Tensor]) -> dict[str, tf.Tensor]:
        return {**row, "inputs": tf.concat([[index], row["inputs"]], axis=0)}

    return [add_task_index]


def _fields_or_text(
    text: str, example: Mapping, is_target: bool = False
) -> dict[str, object] | str:
    """For metrics: all of the target's fields, and the predicted text as it is."""
    return json.loads(example["fields"]) if is_target else text


def _metric(task: BenchmarkTask, name: str, vocabulary: Vocabulary) -> Callable:
    """The task's scores by one metric, which seqio knows by the metric's name."""

    def metric(targets: Sequence[dict], predictions: Sequence[str]) -> dict[str, float]:
        return task.score_fields(targets, predictions, vocabulary, [name])

    metric.__name__ = name
    return metric


def _of_seqio(vocabulary: Vocabulary) -> seqio.Vocabulary:
    if isinstance(vocabulary, ByteVocabulary):
        return seqio.ByteVocabulary(vocabulary.extra_ids)
    return seqio.SentencePieceVocabulary(str(vocabulary.path), vocabulary.extra_ids)


def _public_vocabulary(model: str) -> Vocabulary:
    if model not in _PUBLIC:
        return ByteVocabulary()
    path = Path(tempfile.mkdtemp(), "sentencepiece.model")
    tf.io.gfile.copy(_PUBLIC[model], str(path))
    return SentencePieceVocabulary(path)
