"""Vocabularies shared by the data tests."""

import sys
import tempfile

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


@pytest.fixture(scope="module", autouse=True)
def own_temporary_folder(tmp_path_factory):
    """TFDS leaves a folder behind with every dataset it is asked for; these go with a file's tests."""
    with (
        tempfile.TemporaryDirectory(dir=tmp_path_factory.getbasetemp()) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        yield
