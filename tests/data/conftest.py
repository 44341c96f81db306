"""Vocabularies shared by the data tests."""

import sys

import pytest

import prompt_tuning.data
from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET


@pytest.fixture(scope="session")
def pocket() -> SentencePieceVocabulary:
    """The vocabulary of the model that ships with the project (it folds case)."""
    return SentencePieceVocabulary(POCKET)


@pytest.fixture(scope="session")
def letters() -> ByteVocabulary:
    return ByteVocabulary()


@pytest.fixture
def without_seqio(monkeypatch):
    """The provider cannot be imported, as on a machine without the [seqio] extra."""
    monkeypatch.delattr(prompt_tuning.data, "seqio_tasks", raising=False)
    provider = "prompt_tuning.data.seqio_tasks"
    for name in [name for name in sys.modules if name.startswith(f"{provider}.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, provider, None)
