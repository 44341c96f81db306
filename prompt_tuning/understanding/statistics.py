"""What the nearest vocabulary pieces of a prompt's rows tell together (paper, section 7).

The neighbours themselves are prompts/neighbors.py's part, the control is control.py's.
"""

from collections.abc import Mapping, Sequence
import dataclasses

from jaxtyping import Float
import numpy as np

from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.prompts import neighbors

SPACE = "▁"  # the piece that SentencePiece puts in front of characters that it lacks
Pieces = Mapping[str, Sequence[str]]  # of each label


@dataclasses.dataclass(frozen=True)
class Statistics:
    """Of the k nearest pieces of each of P rows.

    Attributes:
      similarity: mean cosine of a row and its nearest piece.
      distinct_nearest: how many pieces are the nearest of some row, at most P.
      distinct: how many are among the k nearest of some row, at most k P.
      alike: mean cosine in the table of two of a row's k nearest, over pairs and rows: how tight a
        cluster they are.
      with_label: in how many rows some piece of some label is among the k nearest.
      by_label: the same for each label.
    """

    similarity: float
    distinct_nearest: int
    distinct: int
    alike: float
    with_label: int
    by_label: dict[str, int]


def statistics(
    nearest: neighbors.Neighbors,
    table: neighbors.Table,
    vocabulary: vocabularies.Vocabulary,
    labels: Pieces,
) -> Statistics:
    """Statistics of what `neighbors.nearest` gave for this table and vocabulary.

    `labels` are those of `label_pieces`; without any, no row has one.
    """
    rows = [[piece for piece, _ in row] for row in nearest]
    by_label = {label: _rows_with(rows, pieces) for label, pieces in labels.items()}
    of_any = [piece for pieces in labels.values() for piece in pieces]
    return Statistics(
        similarity=float(np.mean([row[0][1] for row in nearest])),
        distinct_nearest=len({row[0] for row in rows}),
        distinct=len({piece for row in rows for piece in row}),
        alike=float(np.mean(_alike(rows, table, vocabulary))),
        with_label=_rows_with(rows, of_any),
        by_label=by_label,
    )


def label_pieces(
    labels: Sequence[str], vocabulary: vocabularies.Vocabulary
) -> dict[str, list[str]]:
    """The pieces that the vocabulary splits each label into, but for unknown ones and bare spaces.

    Raises ValueError for a label that has none.
    """
    found = {}
    for label in labels:
        known = [i for i in vocabulary.encode(label) if i != vocabularies.UNK_ID]
        found[label] = [piece for piece in map(vocabulary.piece, known) if piece != SPACE]
        if not found[label]:
            raise ValueError(
                f"labels: {label!r} has no piece in the vocabulary {vocabulary.name}: leave it out."
            )
    return found


def _rows_with(rows: Sequence[Sequence[str]], pieces: Sequence[str]) -> int:
    return sum(not set(pieces).isdisjoint(row) for row in rows)


def _alike(
    rows: Sequence[Sequence[str]], table: neighbors.Table, vocabulary: vocabularies.Vocabulary
) -> Float[np.ndarray, "P"]:
    """Of each row, the mean cosine of two of its pieces."""
    ids = {vocabulary.piece(i): i for i in range(vocabulary.vocab_size)}
    means = []
    for row in rows:
        vectors = table[np.array([ids[piece] for piece in row])]
        cosines = neighbors.cosine_similarities(vectors, vectors)
        means.append(cosines[np.triu_indices(len(row), 1)].mean())
    return np.array(means, np.float64)
