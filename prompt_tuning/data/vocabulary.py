"""Vocabularies: text to token ids and back, with T5's special ids and sentinels.

What the ids are used for (truncation, end of sequence, corruption) lives in examples.py and
objectives.py.
"""

import hashlib
import re
from collections.abc import Sequence
from itertools import groupby
from pathlib import Path
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Int

from prompt_tuning.data.paths import PathLike

PAD_ID, EOS_ID, UNK_ID = 0, 1, 2
TokenIds = Sequence[int] | Int[np.ndarray, "n"]
_MAX_SENTINELS = (
    100  # what T5 was trained with, and what ByT5 and mT5 reuse from the top of their vocabularies
)
_EXTRA_ID = re.compile(r"<extra_id_(0|[1-9][0-9]{0,8})>")


@runtime_checkable
class Vocabulary(Protocol):
    """What the rest of the project asks of a vocabulary."""

    name: str
    vocab_size: int
    fingerprint: str

    def encode(self, text: str) -> list[int]: ...

    def decode(self, ids: TokenIds) -> str: ...

    def piece(self, token: int) -> str: ...

    def sentinel_id(self, index: int) -> int: ...


class _WithSentinels:
    """Sentinels count down from the top of the vocabulary: `<extra_id_0>` is the last id (T5 paper,
    section 3.1.4).
    """

    vocab_size: int
    extra_ids: int

    def sentinel_id(self, index: int) -> int:
        """The id of sentinel `index`; without extra ids the top 100 ordinary ids serve (ByT5)."""
        limit = self.extra_ids or _MAX_SENTINELS
        if not 0 <= index < limit:
            raise ValueError(
                f"sentinel {index} asked for, but {self.name} has {limit}: "
                "use shorter inputs or longer spans"
            )
        return self.vocab_size - 1 - index


def check_extra_ids(extra_ids: object, where: str) -> int:
    """The number of sentinels as it is; raises ValueError, which says where, if it is none."""
    if not isinstance(extra_ids, int) or extra_ids < 0:
        raise ValueError(f"{where}: expected a number of sentinels, found {extra_ids!r}")
    return extra_ids


def until_eos(ids: TokenIds) -> list[int]:
    """The ids before the first end of sequence, padding left out."""
    ids = [int(i) for i in ids]
    end = ids.index(EOS_ID) if EOS_ID in ids else len(ids)
    return [i for i in ids[:end] if i != PAD_ID]


def sentencepiece_fingerprint(model: bytes, extra_ids: int) -> str:
    """Tells vocabularies apart wherever their file lies, and whoever loads it (seqio's are compared
    with ours).
    """
    return hashlib.sha256(model + f"+{extra_ids}".encode()).hexdigest()


class SentencePieceVocabulary(_WithSentinels):
    """A SentencePiece model file with `extra_ids` sentinels appended, as T5 and seqio number them.

    Raises FileNotFoundError, or ValueError if the model does not have T5's special ids (pad 0, eos
    1, unk 2).
    """

    def __init__(self, path: PathLike, extra_ids: int = 100):
        from sentencepiece import SentencePieceProcessor  # byte vocabularies work without it

        self.path = Path(path)
        if not self.path.is_file():
            raise FileNotFoundError(
                f"no SentencePiece model at {self.path}: check the vocabulary path"
            )
        model = self.path.read_bytes()
        try:
            self._model = SentencePieceProcessor(model_proto=model)
            self._model.id_to_piece(list(range(self._model.get_piece_size())))  # all are UTF-8
        except (RuntimeError, UnicodeDecodeError) as error:
            raise ValueError(f"{self.path}: expected a SentencePiece model ({error})") from error
        found = self._model.pad_id(), self._model.eos_id(), self._model.unk_id()
        if found != (PAD_ID, EOS_ID, UNK_ID):
            raise ValueError(
                f"{self.path}: (pad, eos, unk) ids are {found}, T5 needs {(PAD_ID, EOS_ID, UNK_ID)}"
            )
        self.extra_ids = check_extra_ids(extra_ids, "EXTRA_IDS")
        self.vocab_size = self._model.get_piece_size() + extra_ids
        self.name = f"{self.path.name}+{extra_ids}"
        self.fingerprint = sentencepiece_fingerprint(model, extra_ids)

    def encode(self, text: str) -> list[int]:
        """Token ids of `text` without end of sequence; `<extra_id_n>` in the text becomes its
        sentinel, where the vocabulary has that many: otherwise it is text like any other (as seqio
        reads it).
        """
        if not self.extra_ids or "<extra_id_" not in text:
            return self._model.encode(text)
        ids = []
        for part, number in _split_sentinels(text, self.extra_ids):
            ids += self._model.encode(part)
            if number is not None:
                ids.append(self.sentinel_id(number))
        return ids

    def decode(self, ids: TokenIds) -> str:
        """Text up to the first end of sequence. Ids past the vocabulary (padded embedding rows)
        read as unknown.
        """
        base = self._model.get_piece_size()
        parts = []
        for sentinel, run in groupby(until_eos(ids), key=lambda i: base <= i < self.vocab_size):
            if sentinel:
                parts += [self.piece(i) for i in run]
            else:
                parts.append(self._model.decode([i if i < base else UNK_ID for i in run]))
        return " ".join(parts)

    def piece(self, token: int) -> str:
        """The vocabulary's own spelling of one id, with `▁` for a leading space."""
        base = self._model.get_piece_size()
        return (
            self._model.id_to_piece(token)
            if token < base
            else f"<extra_id_{self.vocab_size - 1 - token}>"
        )


class ByteVocabulary(_WithSentinels):
    """UTF-8 bytes shifted past the three special ids, as in ByT5 (2105.13626, section 3)."""

    def __init__(self, extra_ids: int = 0):
        self.extra_ids = check_extra_ids(extra_ids, "EXTRA_IDS")
        self.vocab_size = 3 + 256 + extra_ids
        self.name = f"bytes+{extra_ids}"
        self.fingerprint = hashlib.sha256(self.name.encode()).hexdigest()

    def encode(self, text: str) -> list[int]:
        """One id a byte, without end of sequence."""
        return [byte + 3 for byte in text.encode("utf-8")]

    def decode(self, ids: TokenIds) -> str:
        """Text up to the first end of sequence; ids that are no byte and bytes that are no UTF-8
        are left out.
        """
        return bytes(i - 3 for i in until_eos(ids) if 3 <= i < 259).decode("utf-8", errors="ignore")

    def piece(self, token: int) -> str:
        """A readable name for one id."""
        special = {PAD_ID: "<pad>", EOS_ID: "</s>", UNK_ID: "<unk>"}
        if token in special:
            return special[token]
        return (
            f"<0x{token - 3:02X}>" if token < 259 else f"<extra_id_{self.vocab_size - 1 - token}>"
        )


def _split_sentinels(text: str, count: int):
    """Yields (text before a sentinel, sentinel number below `count`), and (the rest, None) last."""
    end = 0
    for match in _EXTRA_ID.finditer(text):
        if int(match[1]) < count:
            yield text[end : match.start()], int(match[1])
            end = match.end()
    yield text[end:], None
