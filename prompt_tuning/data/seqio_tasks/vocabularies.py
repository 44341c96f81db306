"""The vocabulary of registered tasks, as seqio has it and as this project does: a given one, or
that of the public checkpoints.
"""

import tempfile
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

import seqio
import tensorflow as tf

from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary, Vocabulary

SIDES = ("inputs", "targets")
# By a name's prefix, as T5X's own models name them (t5x/examples/t5), since T5X compares tasks'
# vocabularies with its model's by file name. The 100 sentinels are in the files.
PUBLIC = {
    "": "gs://t5-data/vocabs/cc_all.32000.100extra/sentencepiece.model",
    "mt5_": "gs://t5-data/vocabs/mc4.250000.100extra/sentencepiece.model",
}


class Vocabularies(NamedTuple):
    """One vocabulary twice.

    Attributes:
      seqio: what tokenises; a SentencePiece one reads its file when it is first used.
      ours: a function that gives what metrics and objectives use, fetched by the first call.
    """

    seqio: seqio.Vocabulary
    ours: Callable[[], Vocabulary]

    @property
    def features(self) -> dict[str, seqio.Feature]:
        """T5's: both sides are of this vocabulary and end in eos."""
        return {side: seqio.Feature(self.seqio, add_eos=True) for side in SIDES}


def given(vocabulary: SentencePieceVocabulary | ByteVocabulary) -> Vocabularies:
    """The vocabulary of a model at hand."""
    if isinstance(vocabulary, ByteVocabulary):
        return Vocabularies(seqio.ByteVocabulary(vocabulary.extra_ids), lambda: vocabulary)
    path, extra_ids = str(vocabulary.path), vocabulary.extra_ids
    return Vocabularies(seqio.SentencePieceVocabulary(path, extra_ids), lambda: vocabulary)


def public(model: str) -> Vocabularies:
    """That of the public checkpoints which a name's prefix `model` means: T5 (""), mT5 ("mt5_") or
    ByT5 ("byt5_"). Nothing is fetched before it is used.
    """
    if model not in PUBLIC:
        return given(ByteVocabulary())
    file = PUBLIC[model]
    return Vocabularies(seqio.SentencePieceVocabulary(file), cache(lambda: _fetch(file)))


def _fetch(file: str) -> SentencePieceVocabulary:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "sentencepiece.model")
        tf.io.gfile.copy(file, str(path))
        return SentencePieceVocabulary(path, extra_ids=0)
