"""Nearest vocabulary neighbours of a prompt's rows (paper, section 7).

Statistics over neighbours and reports are not here.
"""

from collections.abc import Iterator

from jaxtyping import Array, Float
import numpy as np

from prompt_tuning.data import vocabulary as vocabularies

BLOCK_ROWS = 4096
SPECIAL_IDS = [vocabularies.PAD_ID, vocabularies.EOS_ID, vocabularies.UNK_ID]
Prompt = Float[Array, "P D"] | Float[np.ndarray, "P D"]
# A table of another width is the user's error, not the caller's.
Table = Float[Array, "V _"] | Float[np.ndarray, "V _"]
Neighbors = list[list[tuple[str, float]]]


def cosine_similarities(
    prompt: Prompt, table: Table, block_rows: int = BLOCK_ROWS
) -> Float[np.ndarray, "P V"]:
    """Cosine of every prompt row with every row of the table; 0 for rows of zeros.

    The table is read in blocks, wherever it lies: a normalised float32 copy of
    it never exists.
    """
    if prompt.shape[1] != table.shape[1]:
        raise ValueError(
            f"The prompt's width is {prompt.shape[1]}, the embedding table's "
            f"{table.shape[1]}: they belong to different models."
        )
    prompt = _unit_rows(prompt)
    return np.concatenate(
        [prompt @ _unit_rows(block).T for block in _blocks(table, block_rows)], axis=1
    )


def nearest(
    prompt: Prompt, table: Table, vocabulary: vocabularies.Vocabulary, k: int = 5
) -> Neighbors:
    """For each prompt row, its k nearest (piece, cosine), nearest first.

    Left out are pad, eos and unk, and the table's rows past the vocabulary,
    which no text has trained. Sentinels are in.
    """
    similarity = cosine_similarities(prompt, table)[:, : vocabulary.vocab_size]
    similarity[:, SPECIAL_IDS] = -np.inf
    best = np.argsort(-similarity, axis=1, kind="stable")
    best = best[:, : min(k, similarity.shape[1] - len(SPECIAL_IDS))]
    return [
        [(vocabulary.piece(int(i)), float(similarity[row, i])) for i in ids]
        for row, ids in enumerate(best)
    ]


def format_table(neighbors: Neighbors) -> str:
    """One line a prompt row: its number, then pieces and cosines."""
    cells = [[f"{piece} {cosine:.2f}" for piece, cosine in row] for row in neighbors]
    widths = [max(map(len, column)) for column in zip(*cells)]
    lines = ["row  nearest pieces, cosine similarity"]
    for number, row in enumerate(cells):
        padded = [cell.ljust(width) for cell, width in zip(row, widths)]
        lines.append(f"{number:3d}  {'  '.join(padded)}".rstrip())
    return "\n".join(lines)


def _blocks(table: Table, rows: int) -> Iterator[Table]:
    return (table[start : start + rows] for start in range(0, len(table), rows))


def _unit_rows(x: Float[Array, "N D"] | Float[np.ndarray, "N D"]) -> Float[np.ndarray, "N D"]:
    x = np.asarray(x, np.float32)
    norms = np.linalg.norm(x, axis=1, keepdims=True)
    return x / np.where(norms > 0, norms, 1)
