"""Benchmark tasks and mixtures in seqio's registry, on demand, so that T5X trains on the very same
examples.

The tasks' text, rows and metrics are data/benchmarks/'s; here is only what seqio wants around them.
C4, which is text without examples, is c4.py's part.
"""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence

import seqio
import tensorflow as tf

from prompt_tuning.data.benchmarks.c4 import OBJECTIVES
from prompt_tuning.data.benchmarks.names import find_benchmark, parse
from prompt_tuning.data.benchmarks.rows import Folder, Tfds
from prompt_tuning.data.benchmarks.task import BenchmarkTask
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.seqio_tasks import c4
from prompt_tuning.data.seqio_tasks.vocabularies import SIDES, Vocabularies, given, public
from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary

_TEXTS = {name: tf.TensorSpec((), tf.string) for name in (*SIDES, "fields")}


def register(
    name: str,
    vocabulary: SentencePieceVocabulary | ByteVocabulary | None = None,
    folder: PathLike | None = None,
    tfds_data_dir: PathLike | None = None,
) -> seqio.Task | seqio.Mixture:
    """Adds a benchmark's task, or a mixture with its members, to seqio's registry.

    What seqio has under a name already (another call's, or t5's own) stays as it is.

    Args:
      name: as in data/benchmarks/names.py, or C4 under an objective (data/benchmarks/c4.py).
      vocabulary: of the model; None for that of the public checkpoints that the name's prefix
        means, which is fetched when it is first used.
      folder: with the benchmark's files; None for TensorFlow Datasets.
      tfds_data_dir: where these have their data.

    Raises:
      DataError: the name means nothing, or the vocabulary is of the wrong kind.
    """
    model = "" if name in OBJECTIVES else parse(name).model
    both = given(vocabulary) if vocabulary else public(model)
    if name in OBJECTIVES:
        return c4.register(name, both, folder, tfds_data_dir)
    found = find_benchmark(name, Folder(folder) if folder else Tfds(tfds_data_dir))
    tasks = [found] if isinstance(found, BenchmarkTask) else list(found.tasks.values())
    for task in tasks:
        if vocabulary:
            task.check_vocabulary(vocabulary)
        _add(task, both)
    if isinstance(found, BenchmarkTask):
        return seqio.TaskRegistry.get(name)
    if name not in seqio.MixtureRegistry.names():
        seqio.MixtureRegistry.add(name, [(task, float(r)) for task, r in found.rates.items()])
    return seqio.MixtureRegistry.get(name)


def _add(task: BenchmarkTask, vocabularies: Vocabularies) -> None:
    if task.name in seqio.TaskRegistry.names():
        return
    seqio.TaskRegistry.add(
        task.name,
        source=seqio.FunctionDataSource(_dataset(task), splits=list(task.splits)),
        preprocessors=[
            seqio.preprocessors.tokenize,
            *_index_step(task),
            seqio.CacheDatasetPlaceholder(),
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features=vocabularies.features,
        postprocess_fn=_fields_or_text,
        metric_fns=[_metric(task, metric, vocabularies) for metric in task.metrics],
    )


def _dataset(task: BenchmarkTask) -> Callable[..., tf.data.Dataset]:
    """A function that gives a split's texts, with all of an example's fields as JSON."""

    def texts(split: str) -> Iterator[dict[str, str]]:
        for examples in task.examples(split):
            for fields in examples:
                yield {side: fields[side] for side in SIDES} | {"fields": json.dumps(fields)}

    def dataset(split: str, shuffle_files: bool, seed: int | None = None) -> tf.data.Dataset:
        del shuffle_files, seed
        return tf.data.Dataset.from_generator(lambda: texts(split), output_signature=_TEXTS)

    return dataset


def _index_step(task: BenchmarkTask) -> list[Callable]:
    index = task.form.task_index
    if index is None:
        return []

    @seqio.map_over_dataset
    def add_task_index(
        row: Mapping[str, tf.Tensor], output_features: Mapping[str, seqio.Feature]
    ) -> dict[str, tf.Tensor]:
        sentinel = output_features["inputs"].vocabulary.vocab_size - 1 - index
        return {**row, "inputs": tf.concat([[sentinel], row["inputs"]], axis=0)}

    return [add_task_index]


def _fields_or_text(
    text: str, example: Mapping, is_target: bool = False
) -> dict[str, object] | str:
    """For metrics: all of the target's fields, and the predicted text as it is."""
    return json.loads(example["fields"]) if is_target else text


def _metric(task: BenchmarkTask, name: str, vocabularies: Vocabularies) -> Callable:
    """The task's scores by one metric, which seqio knows by the metric's name."""

    def metric(targets: Sequence[dict], predictions: Sequence[str]) -> dict[str, float]:
        return task.score_fields(targets, predictions, vocabularies.ours(), [name])

    metric.__name__ = name
    return metric
