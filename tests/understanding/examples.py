"""Prompts over a random table of bytes, for tests that need no model."""

import pathlib

import numpy as np

from prompt_tuning.data import vocabulary
from prompt_tuning.understanding import subjects

BYTES = vocabulary.ByteVocabulary()
V, D = 264, 16  # five rows are past the vocabulary


def embeddings(seed: int = 0) -> subjects.Embeddings:
    table = np.random.default_rng(seed).normal(0, 2, (V, D)).astype(np.float32)
    return subjects.Embeddings("table <of> bytes", table, BYTES)


def rows_of(base: subjects.Embeddings, text: str) -> np.ndarray:
    """A prompt made of the rows of a text's bytes."""
    return np.asarray(base.table)[BYTES.encode(text)]


def subject(name: str, about: dict[str, str] | None = None, **prompts) -> subjects.Subject:
    path = pathlib.Path("nowhere")
    return subjects.Subject(name, path, path, prompts, about or {})
