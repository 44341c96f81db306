"""seqio tasks as examples: seqio reads, preprocesses, tokenises and scores; cutting, caching and
batching are ours.

Tasks that this project defines are in the other files of this folder.
"""

import functools
import hashlib
import importlib
import logging
from collections.abc import Collection, Mapping, Sequence

import numpy as np
import seqio
import tensorflow as tf
import tensorflow_datasets as tfds

from prompt_tuning.data.examples import DataError, Examples, Report, examples_from_tokens
from prompt_tuning.data.paths import PathLike
from prompt_tuning.data.tables import nearest
from prompt_tuning.data.tasks import ExamplesTask, MixtureTask, Task
from prompt_tuning.data.vocabulary import ByteVocabulary, Vocabulary, sentencepiece_fingerprint

log = logging.getLogger(__name__)
_SIDES = ("inputs", "targets")
_KNOWN_SOURCES = (seqio.TfdsDataSource, seqio.FileDataSource)  # of which `_sources` tells a change


def find_task(name: str, module: str | None = None) -> Task:
    """The task, or the mixture at its own rates, that is registered in seqio as `name`.

    Args:
      name: MIXTURE_OR_TASK_NAME.
      module: MIXTURE_OR_TASK_MODULE, imported first because it registers tasks.
    """
    if module:
        try:
            importlib.import_module(module)
        except ImportError as error:
            raise DataError(
                f"MIXTURE_OR_TASK_MODULE {module!r} cannot be imported: {error}"
            ) from error
    known = [*seqio.TaskRegistry.names(), *seqio.MixtureRegistry.names()]
    if name not in known:
        raise DataError(
            f"seqio knows no task or mixture {name!r}{nearest(name, known)}; "
            "is MIXTURE_OR_TASK_MODULE right?"
        )
    found = seqio.get_mixture_or_task(name)
    if isinstance(found, seqio.Task):
        return SeqioTask(found)
    tasks = {task.name: SeqioTask(task) for task in found.tasks}
    return MixtureTask(name, tasks, {task.name: found.get_rate(task) for task in found.tasks})


class SeqioTask(ExamplesTask):
    """A seqio task with seqio's vocabularies and metrics.

    Rows come out as seqio makes them, except that one that is too long keeps its eos, as plain
    files' rows do (T5X loses it where a task appends eos before it trims).
    """

    def __init__(self, task: seqio.Task):
        self.name, self._task = task.name, task

    @property
    def metrics(self) -> Sequence[str]:
        """The names of the metric functions; what these call their scores is up to them."""
        return [_function_name(function) for function in self._task.metric_fns]

    @property
    def splits(self) -> Collection[str]:
        return list(self._task.splits)

    def check(self, split: str, vocabulary: Vocabulary) -> None:
        super().check(split, vocabulary)
        features = self._task.output_features
        for side in _SIDES:
            if side not in features:
                raise DataError(
                    f"task {self.name} has features {', '.join(features)}; {side} are needed"
                )
            if _fingerprint(features[side].vocabulary) != vocabulary.fingerprint:
                raise DataError(
                    f"task {self.name} makes its {side} with {features[side].vocabulary}, "
                    f"the model reads {vocabulary.name}"
                )

    def cache_folder(self, cache_dir: PathLike | None) -> PathLike | None:
        """None where nothing tells when the source has changed."""
        source = self._task.source
        if cache_dir is None or isinstance(source, _KNOWN_SOURCES):
            return cache_dir
        log.warning(
            "task %s is not kept in CACHE_DIR: nothing tells when its source, a %s, has changed",
            self.name,
            type(source).__name__,
        )
        return None

    def identity(self, split: str) -> dict[str, object]:
        """The names of preprocessors with what partials give them, and the source's name and version
        or its files' hashes.
        """
        return {
            "definition": [_definition(step) for step in self._task.preprocessors],
            "sources": _sources(self._task.source, split),
        }

    def read(
        self, split: str, vocabulary: Vocabulary, inputs_length: int, targets_length: int
    ) -> Examples:
        dataset = self._task.get_dataset(sequence_length=None, split=split, shuffle=False)
        rows = list(tfds.as_numpy(dataset))
        if not rows:
            raise DataError(f"task {self.name}, split {split!r}: seqio gave no examples")
        fields = [_fields(row, vocabulary) for row in rows]
        ids = [str(row.get("id", f"{split}:{i}")) for i, row in enumerate(fields)]
        inputs, targets = ([row[side].tolist() for row in rows] for side in _SIDES)
        return examples_from_tokens(
            ids, fields, inputs, targets, inputs_length, targets_length, Report(rows_read=len(rows))
        )

    def score(
        self, examples: Examples, predictions: Sequence[str], vocabulary: Vocabulary
    ) -> dict[str, float]:
        """The task's own metrics, after its own postprocessing of targets and predictions."""
        rows = [
            row | {f"{side}_pretokenized": row[side] for side in _SIDES} for row in examples.fields
        ]
        postprocess = self._task.postprocess_fn
        targets = [postprocess(row["targets"], example=row, is_target=True) for row in rows]
        answers = [
            postprocess(text, example=row, is_target=False) for text, row in zip(predictions, rows)
        ]
        scores: dict[str, float] = {}
        for function in self._task.predict_metric_fns:
            scores |= {
                name: float(getattr(value, "value", value))
                for name, value in function(targets, answers).items()
            }
        return scores


def _fields(row: dict, vocabulary: Vocabulary) -> dict:
    """What an example holds besides tokens, in a form that JSON keeps; its text is that of before
    tokenisation.
    """
    fields = {
        name: _plain(value)
        for name, value in row.items()
        if name.removesuffix("_pretokenized") not in _SIDES
    }
    for side in _SIDES:
        text = row.get(f"{side}_pretokenized")
        fields[side] = vocabulary.decode(row[side]) if text is None else _plain(text)
    return fields


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.decode("utf-8", errors="replace")
    if isinstance(
        value, np.ndarray | np.generic | tf.RaggedTensor | tf.compat.v1.ragged.RaggedTensorValue
    ):
        return _plain(value.to_list() if hasattr(value, "to_list") else value.tolist())
    return [_plain(item) for item in value] if isinstance(value, list | tuple) else value


def _fingerprint(vocabulary: seqio.Vocabulary) -> str | None:
    """As ours (vocabulary.py), so that the same vocabulary is recognised; None for kinds that we
    have none of.
    """
    if isinstance(vocabulary, seqio.SentencePieceVocabulary):
        with tf.io.gfile.GFile(vocabulary.sentencepiece_model_file, "rb") as file:
            return sentencepiece_fingerprint(file.read(), vocabulary.extra_ids)
    if isinstance(vocabulary, seqio.ByteVocabulary):
        return ByteVocabulary(vocabulary.extra_ids).fingerprint
    return None


def _sources(source: seqio.DataSource, split: str) -> list:
    """What tells a changed source: a TFDS name with version, or the hashes of files; of others
    nothing.
    """
    if isinstance(source, seqio.TfdsDataSource):
        return [source.tfds_dataset.name]
    if isinstance(source, seqio.FileDataSource):
        return [_hash(path) for path in source.list_shards(split)]
    return []


def _hash(path: str) -> str:
    with tf.io.gfile.GFile(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def _definition(value: object) -> object:
    """What JSON can keep of a preprocessor or an argument of one: of a partial what it binds, of
    plain values all, of anything else the name.
    """
    if isinstance(value, functools.partial):
        return [_definition(part) for part in (value.func, value.args, value.keywords)]
    if isinstance(value, Mapping):
        return [[repr(key), _definition(item)] for key, item in value.items()]
    if isinstance(value, list | tuple):
        return [_definition(item) for item in value]
    plain = value is None or isinstance(value, bool | int | float | str | bytes)
    return repr(value) if plain else _function_name(value)


def _function_name(function: object) -> str:
    while isinstance(function, functools.partial):
        function = function.func
    return getattr(function, "__name__", type(function).__name__)
