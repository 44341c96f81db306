"""The open text and words from which the adaptation tasks are made, ready to draw from.

Nothing held out for the labelled tasks is here (`held_out.py`), nor any sentence of the
held-out loss text.
"""

import random
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from collections.abc import Iterator

from held_out import KnownText, split_synsets, split_verses
from sources import BROWN_GENRES, Synset, bare, inflections, irregular_forms, read_brown

GENRES = tuple(BROWN_GENRES.values())
BOOK_GROUPS = ("law", "history", "poetry", "prophets", "gospel", "letters")
FIRST_BOOKS = (1, 6, 18, 23, 40, 45)  # of each group; Acts counts with the gospels
YES, NO = 0, 1  # places of the labels in a phrasing
Row = tuple[dict[str, str], str | int]  # fields of the input, answer


class Sentence(NamedTuple):
    """One sentence and where it stands in its chapter or text."""

    text: str
    around: tuple[str, ...]
    place: int
    group: int  # index of the genre (Brown) or of the group of books (Bible)

    def neighbour(self, rng: random.Random) -> str:
        near = [self.place + step for step in (-2, -1, 1, 2)]
        return self.around[rng.choice([place for place in near if 0 <= place < len(self.around)])]


class Blank(NamedTuple):
    synset: Synset
    sentence: str  # with "___" for the word
    word: str


class Material:
    def __init__(self, folder: Path):
        sources, loss_text = folder / "sources", KnownText([folder / "corpus/heldout.txt"])
        self.synsets = [s for s in split_synsets(sources).open if not loss_text.has(s.gloss)]
        self.by_key = {synset.key: synset for synset in self.synsets}
        self.senses: dict[str, list[Synset]] = {}
        self.children: dict[str, list[Synset]] = {}
        self.by_category: dict[str, list[Synset]] = {}
        for synset in self.synsets:
            self.by_category.setdefault(synset.category, []).append(synset)
            for lemma in synset.lemmas:
                self.senses.setdefault(lemma, []).append(synset)
            for parent in self.parents(synset):
                self.children.setdefault(parent.key, []).append(synset)
        self.blanks = list(_blanks(self.synsets, irregular_forms(sources), loss_text))
        self.verses = [
            verse
            for verse in split_verses(sources).open
            if not (loss_text.has(verse.king_james) or loss_text.has(verse.world_english))
        ]
        self.bible = [s for s in _bible_sentences(self.verses) if _is_handy(s)]
        self.brown = [s for s in _brown_sentences(sources, loss_text) if _is_handy(s)]
        self.sentences = self.brown + self.bible

    def parents(self, synset: Synset) -> list[Synset]:
        return [
            self.by_key[key]
            for symbol, key in synset.pointers
            if symbol == "@" and key in self.by_key
        ]

    def ancestors(self, synset: Synset) -> list[Synset]:
        found: list[Synset] = []
        for parent in self.parents(synset)[:1]:
            found += [parent, *self.ancestors(parent)]
        return found

    def is_kind_of(self, word: str, kind: str) -> bool:
        """In any sense of both words."""
        return any(
            kind in ancestor.lemmas
            for sense in self.senses[word]
            for ancestor in self.ancestors(sense)
        )

    def sibling(self, synset: Synset, rng: random.Random) -> Synset | None:
        """Another synset of the same kind."""
        others = [
            s
            for parent in self.parents(synset)
            for s in self.children[parent.key]
            if s is not synset
        ]
        return rng.choice(others) if others else None

    def cousin(self, synset: Synset, rng: random.Random) -> Synset:
        """A synset of another kind; one time in two of the same category."""
        pool = self.by_category[synset.category] if rng.random() < 0.5 else self.synsets
        kinds = set(self.parents(synset))
        while True:
            other = rng.choice(pool)
            if other is not synset and not kinds & set(self.parents(other)):
                return other


def _blanks(
    synsets: list[Synset], irregular: dict[tuple[str, str], set[str]], loss_text: KnownText
) -> Iterator[Blank]:
    for synset in synsets:
        forms = {
            form for lemma in synset.lemmas for form in inflections(lemma, synset.pos, irregular)
        }
        for example in synset.examples:
            words = example.split()
            places = [place for place, word in enumerate(words) if bare(word) in forms]
            if len(places) == 1 and len(words) > 3 and not loss_text.has(example):
                word = bare(words[places[0]])
                words[places[0]] = words[places[0]].lower().replace(word, "___")
                yield Blank(synset, " ".join(words), word)


def _bible_sentences(verses) -> Iterator[Sentence]:
    for (book, _), chapter in groupby(verses, key=lambda verse: (verse.book, verse.chapter)):
        group = sum(book >= first for first in FIRST_BOOKS) - 1 if book < 66 else 3
        chapter = list(chapter)
        for texts in zip(*((v.king_james, v.world_english) for v in chapter), strict=True):
            yield from (Sentence(text, texts, place, group) for place, text in enumerate(texts))


def _brown_sentences(sources: Path, loss_text: KnownText) -> Iterator[Sentence]:
    for text in read_brown(sources):
        sentences = tuple(s for s in text.sentences if not loss_text.has(s))
        group = GENRES.index(text.genre)
        yield from (Sentence(s, sentences, place, group) for place, s in enumerate(sentences))


def _is_handy(sentence: Sentence) -> bool:
    return 5 <= len(bare(sentence.text).split()) <= 28 and len(sentence.around) > 4
