"""Vocabularies shared by the data tests."""

import pytest
from hypothesis import settings

from prompt_tuning.data.vocabulary import ByteVocabulary, SentencePieceVocabulary
from tests.data.helpers import POCKET

# Shared machines stall at random; the same cases every time, and no limit on how long one takes.
settings.register_profile("shared_machine", deadline=None, derandomize=True)
settings.load_profile("shared_machine")


@pytest.fixture(scope="session")
def pocket() -> SentencePieceVocabulary:
    """The vocabulary of the model that ships with the project (it folds case)."""
    return SentencePieceVocabulary(POCKET)


@pytest.fixture(scope="session")
def letters() -> ByteVocabulary:
    return ByteVocabulary()
