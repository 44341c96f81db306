"""A vocabulary of whole words, and a table whose rows say their id."""

import numpy as np

from prompt_tuning.data import vocabulary

V, D = 12, 4


class Words(vocabulary.Vocabulary):
    """Ids 3 to 9 are words; rows 10 and 11 of the table are past the vocabulary."""

    name, vocab_size = "words", 10
    words = ["▁", "true", "false", "not", "entail", "ment", "maybe"]

    def encode(self, text):
        return [
            self.words.index(word) + 3 if word in self.words else vocabulary.UNK_ID
            for word in text.split()
        ]

    def piece(self, token):
        return ["<pad>", "</s>", "<unk>", *self.words][token]


TABLE = np.arange(V, dtype=np.float32)[:, None] * 10 + np.arange(D, dtype=np.float32)


def row_ids(prompt):
    """Which rows of the table these are."""
    ids = np.asarray(prompt)[:, 0] / 10
    np.testing.assert_array_equal(prompt, TABLE[ids.astype(int)])
    return ids.astype(int).tolist()
