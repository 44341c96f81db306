"""The labelled tasks that ship with the project as seqio tasks, and `shipped_tasks`, a mixture of
all of them.

Importing this module registers them (MIXTURE_OR_TASK_MODULE). The same tasks as plain files are
data/shipped.py's.
"""

import json
from collections.abc import Sequence

import seqio
import tensorflow as tf

from prompt_tuning.data.metrics import METRICS, Results
from prompt_tuning.data.shipped import FOLDER, SHIPPED, SPLITS

_MODEL = FOLDER.parent / "pocket_t5"  # whose vocabulary the tasks are made with
_EXTRA_IDS = json.loads((_MODEL / "config.json").read_text())["vocabulary"]["extra_ids"]
_VOCABULARY = seqio.SentencePieceVocabulary(str(_MODEL / "vocabulary.model"), _EXTRA_IDS)
_COLUMNS = ("id", "inputs", "targets")


def _columns_of_tsv(dataset: tf.data.Dataset) -> tf.data.Dataset:
    return dataset.map(
        lambda line: dict(zip(_COLUMNS, tf.unstack(tf.strings.split(line, "\t"), len(_COLUMNS))))
    )


def _normalised(text: str, **_) -> str:
    """As the vocabulary gives it back, which folds case."""
    return _VOCABULARY.decode(_VOCABULARY.encode(text)).strip()


def accuracy(targets: Sequence[str], predictions: Sequence[str]) -> dict[str, float]:
    """Per cent of predictions that are their target."""
    return METRICS["accuracy"](Results(targets, predictions))


for _name in SHIPPED:
    seqio.TaskRegistry.add(
        _name,
        source=seqio.TextLineDataSource(
            {split: str(FOLDER / _name / f"{split}.tsv") for split in SPLITS}, skip_header_lines=1
        ),
        preprocessors=[
            _columns_of_tsv,
            seqio.preprocessors.tokenize,
            seqio.preprocessors.append_eos_after_trim,
        ],
        output_features={side: seqio.Feature(_VOCABULARY) for side in ("inputs", "targets")},
        postprocess_fn=_normalised,
        metric_fns=[accuracy],
    )

seqio.MixtureRegistry.add("shipped_tasks", list(SHIPPED), default_rate=1.0)
