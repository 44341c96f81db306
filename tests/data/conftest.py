"""Vocabularies shared by the data tests."""

import pytest

from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET


@pytest.fixture(scope="session")
def pocket() -> SentencePieceVocabulary:
    """The vocabulary of the model that ships with the project (it folds case)."""
    return SentencePieceVocabulary(POCKET)


@pytest.fixture(scope="session")
def letters() -> ByteVocabulary:
    return ByteVocabulary()
