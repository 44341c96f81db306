"""Adaptation tasks about the sentences of the Bibles and Brown.

Each is a function of an item, the material and a generator -> (fields of the input, answer).
An answer is a text, or the index of a label (0 is yes) that the phrasing names
(`adaptation_phrasings.py`). None says that the item makes no row. The labelled tasks are
not among them: no verse is judged against its other translation, and there is no e-mail.
"""

import random

from adaptation_material import NO, YES, Sentence, Material, Row
from sources import Verse, bare


def follows(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    if sentence.place + 1 == len(sentence.around):
        return None
    if rng.random() < 0.5:
        return {"a": sentence.text, "b": sentence.around[sentence.place + 1]}, YES
    other = (
        rng.choice(material.sentences).text if rng.random() < 0.7 else rng.choice(sentence.around)
    )
    if other in sentence.around[sentence.place : sentence.place + 2]:
        return None
    return {"a": sentence.text, "b": other}, NO


def natural_order(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    if rng.random() < 0.5:
        return {"text": bare(sentence.text)}, YES
    words = bare(sentence.text).split()
    start = rng.randrange(len(words) - 3)
    end = rng.randrange(start + 4, len(words) + 1)
    middle = rng.sample(words[start:end], end - start)
    return (
        None
        if middle == words[start:end]
        else ({"text": " ".join(words[:start] + middle + words[end:])}, NO)
    )


def restore_order(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    words = bare(sentence.text).split()
    return (
        ({"text": " ".join(rng.sample(words, len(words)))}, " ".join(words))
        if len(words) <= 9
        else None
    )


def contains_word(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    answer = rng.choice((YES, NO))
    words = bare(sentence.text if answer == YES else sentence.neighbour(rng)).split()
    words = [word for word in words if len(word) > 3]
    word = rng.choice(words) if words else ""
    if not word or (answer == NO and word in bare(sentence.text).split()):
        return None
    return {"text": sentence.text, "word": word}, answer


def nth_word(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    words = bare(sentence.text).split()
    which = rng.choice(("first", "second", "third", "last"))
    place = {"first": 0, "second": 1, "third": 2, "last": -1}[which]
    return ({"text": " ".join(words), "which": which}, words[place]) if len(words) <= 14 else None


def noisy_copy(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    """Whether B is a spoilt copy of A, or of a neighbour of A."""
    answer = rng.choice((YES, NO))
    other = sentence.text if answer == YES else sentence.neighbour(rng)
    if answer == NO and (other == sentence.text or len(other.split()) > 28):
        return None
    return {"a": sentence.text, "b": _spoil(other, material, rng)}, answer


def _spoil(text: str, material: Material, rng: random.Random) -> str:
    words, strange = bare(text).split(), bare(rng.choice(material.sentences).text).split()
    share = rng.uniform(0.1, 0.5)
    kept = [word if rng.random() > share else rng.choice(strange + [""]) for word in words]
    for place in range(len(kept) - 1):
        if rng.random() < share / 2:
            kept[place], kept[place + 1] = kept[place + 1], kept[place]
    return " ".join(word for word in kept if word)


def find_copy(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    """Which of two texts is a spoilt copy of the first."""
    other = sentence.neighbour(rng)
    if other == sentence.text:
        return None
    texts = [_spoil(text, material, rng) for text in (sentence.text, other)]
    answer = rng.randrange(2)
    return {"text": sentence.text, "a": texts[answer], "b": texts[1 - answer]}, answer


def to_modern(verse: Verse, material: Material, rng: random.Random) -> Row | None:
    return {"text": verse.king_james}, verse.world_english


def to_old(verse: Verse, material: Material, rng: random.Random) -> Row | None:
    return {"text": verse.world_english}, verse.king_james


def old_or_modern(verse: Verse, material: Material, rng: random.Random) -> Row | None:
    answer = rng.randrange(2)
    return {"text": (verse.king_james, verse.world_english)[answer]}, answer


def book_group(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    return {"text": sentence.text}, sentence.group


def genre(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    """Of three sentences: one tells too little."""
    text = " ".join(sentence.around[sentence.place : sentence.place + 3])
    return {"text": text}, sentence.group


TEXT_TASKS = {  # by the material's list of items
    "sentences": (
        follows,
        natural_order,
        restore_order,
        contains_word,
        nth_word,
        noisy_copy,
        find_copy,
    ),
    "verses": (to_modern, to_old, old_or_modern),
    "bible": (book_group,),
    "brown": (genre,),
}
