"""The held-out rule, in one place: what no pre-training or adaptation text may contain.

Items of the labelled tasks (of all three splits) come from what is held out here, and
training text from what is left open:
- Bible: about 12 % of the chapters, in both translations;
- WordNet: about 15 % of the synsets (more in three small noun categories), with their
  examples, and every sentence of the word-in-context task;
- e-mails: all.
What is the same but for case and punctuation counts as the same. The held-out loss text
(about 1 % of the open documents) is kept out of the adaptation text as well.
"""

from pathlib import Path
from typing import NamedTuple
from collections.abc import Iterable

from sources import Synset, Verse, bare, read_verses, read_wordnet, unit_hash, word_runs
from word_in_context import word_in_context_pairs

CHAPTER_SHARE = 0.12
SYNSET_SHARE = 0.15
CATEGORY_SHARES = {"noun.food": 0.32, "noun.body": 0.40, "noun.substance": 0.28}
LOSS_TEXT_SHARE = 0.01
RUN_LENGTH = 5  # words


class Split(NamedTuple):
    open: list
    held_out: list


def split_verses(sources: Path) -> Split:
    """Open and held-out verses. A verse that is also in an open chapter is no item of a task."""
    verses = read_verses(sources)
    chosen = [verse for verse in verses if _chapter_is_held_out(verse)]
    rest = [verse for verse in verses if not _chapter_is_held_out(verse)]
    known = {bare(text) for verse in rest for text in (verse.king_james, verse.world_english)}
    return Split(
        rest, [v for v in chosen if not {bare(v.king_james), bare(v.world_english)} & known]
    )


def _chapter_is_held_out(verse: Verse) -> bool:
    return unit_hash("chapter", verse.book, verse.chapter) < CHAPTER_SHARE


def split_synsets(sources: Path) -> Split:
    """Open synsets (without held-out sentences) and held-out synsets."""
    synsets = read_wordnet(sources)
    held_out = [synset for synset in synsets if _synset_is_held_out(synset)]
    pairs = word_in_context_pairs(synsets, sources)
    hidden = {bare(text) for synset in held_out for text in (synset.gloss, *synset.examples)}
    hidden |= {
        bare(use.sentence)
        for split in pairs.values()
        for pair in split
        for use in (pair.first, pair.second)
    }
    open_synsets = [
        synset._replace(
            examples=tuple(text for text in synset.examples if bare(text) not in hidden)
        )
        for synset in synsets
        if bare(synset.gloss) not in hidden
    ]
    return Split(open_synsets, held_out)


def _synset_is_held_out(synset: Synset) -> bool:
    return unit_hash("synset", synset.key) < CATEGORY_SHARES.get(synset.category, SYNSET_SHARE)


def is_loss_text(document: str) -> bool:
    """Whether a document of the open text is kept for the held-out loss."""
    return unit_hash("loss", document) < LOSS_TEXT_SHARE


class KnownText:
    """Which sentences may stand in the given files: those whose runs of five words all do."""

    def __init__(self, files: Iterable[Path]):
        lines = (line for file in files for line in file.read_text(encoding="utf-8").splitlines())
        self._runs = {hash(run) for line in lines for run in word_runs(line, RUN_LENGTH)}

    def has(self, text: str) -> bool:
        """False for what is shorter than a run: that cannot be told."""
        runs = {hash(run) for run in word_runs(text, RUN_LENGTH)}
        return bool(runs) and runs <= self._runs
