"""The adaptation tasks: for each an item -> (fields of the input, answer).

An answer is a text, or the index of a label (0 is yes) that the phrasing names
(`adaptation_phrasings.py`). None says that the item makes no row. None of these is one
of the labelled tasks: no category of a gloss, no verse of one translation judged
against the other, no word judged in two sentences, no e-mail.
"""

import random
from typing import Callable, NamedTuple

from adaptation_material import Blank, Material, Sentence
from sources import Synset, Verse, bare

Row = tuple[dict[str, str], str | int]
YES, NO = 0, 1


class Task(NamedTuple):
    items: Callable[[Material], list]
    row: Callable[..., Row | None]  # (item, material, rng)


# --- words ---------------------------------------------------------------------------


def headword(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    word = synset.lemmas[0]
    return ({"text": synset.gloss}, word) if len(word.split()) <= 2 else None


def definition(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    gloss = synset.gloss.split(";")[0]
    return ({"word": rng.choice(synset.lemmas)}, gloss) if len(gloss.split()) <= 15 else None


def kind_of_gloss(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    parents = material.parents(synset)
    return ({"text": synset.gloss}, parents[0].lemmas[0]) if parents else None


def kind_of_word(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    parents = material.parents(synset)
    return ({"word": synset.lemmas[0]}, parents[0].lemmas[0]) if parents else None


def part_of_speech(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    if synset.pos == "n" and rng.random() < 0.75:
        return None
    return {"text": synset.gloss}, "nvar".index(synset.pos)


def synonyms(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    lemmas = [lemma for lemma in synset.lemmas if len(lemma.split()) <= 2]
    if len(lemmas) < 2:
        return None
    first, second = rng.sample(lemmas, 2)
    if rng.random() < 0.5:
        return {"a": first, "b": second}, YES
    other = material.sibling(synset, rng) or material.cousin(synset, rng)
    second = rng.choice(other.lemmas)
    if any(second in sense.lemmas for sense in material.senses[first]):
        return None
    return {"a": first, "b": second}, NO


def entailment(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    ancestors = material.ancestors(synset)[:5]
    if synset.pos != "n" or not ancestors:
        return None
    word, kind = synset.lemmas[0], rng.choice(ancestors).lemmas[0]
    if rng.random() < 0.5:
        return {"a": word, "b": kind}, YES
    if rng.random() < 0.3:
        word, kind = kind, word
    else:
        others = material.ancestors(material.cousin(synset, rng))[:5]
        kind = rng.choice(others).lemmas[0] if others else kind
    return None if material.is_kind_of(word, kind) else ({"a": word, "b": kind}, NO)


def word_has_gloss(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    word = synset.lemmas[0]
    if rng.random() < 0.5:
        return {"word": word, "text": synset.gloss}, YES
    other = material.sibling(synset, rng) if rng.random() < 0.5 else material.cousin(synset, rng)
    if other is None or other in material.senses[word]:
        return None
    return {"word": word, "text": other.gloss}, NO


def choose_gloss(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    other = material.sibling(synset, rng) if rng.random() < 0.5 else material.cousin(synset, rng)
    if other is None or other in material.senses[synset.lemmas[0]]:
        return None
    answer = rng.randrange(2)
    glosses = (synset.gloss, other.gloss)
    return {"word": synset.lemmas[0], "a": glosses[answer], "b": glosses[1 - answer]}, answer


def choose_headword(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    """The word itself is the answer, out of four."""
    others = [material.cousin(synset, rng) for _ in range(2)] + [material.sibling(synset, rng)]
    words = [synset.lemmas[0], *(other.lemmas[0] for other in others if other)]
    if any(other in material.senses[words[0]] for other in others):
        return None
    rng.shuffle(words)
    return {"text": synset.gloss, "options": ", ".join(words)}, synset.lemmas[0]


def glosses_share_kind(synset: Synset, material: Material, rng: random.Random) -> Row | None:
    if not material.parents(synset):
        return None
    answer = rng.choice((YES, NO))
    other = material.sibling(synset, rng) if answer == YES else material.cousin(synset, rng)
    return ({"a": synset.gloss, "b": other.gloss}, answer) if other else None


def fill_blank(blank: Blank, material: Material, rng: random.Random) -> Row | None:
    return {"text": blank.sentence}, blank.word


def choose_for_blank(blank: Blank, material: Material, rng: random.Random) -> Row | None:
    other = rng.choice(material.blanks)
    while other.synset.pos != blank.synset.pos or other.word == blank.word:
        other = rng.choice(material.blanks)
    a, b = rng.sample((blank.word, other.word), 2)
    return {"text": blank.sentence, "a": a, "b": b}, blank.word


# --- texts ---------------------------------------------------------------------------


def follows(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    if sentence.place + 1 == len(sentence.around):
        return None
    if rng.random() < 0.5:
        return {"a": sentence.text, "b": sentence.around[sentence.place + 1]}, YES
    other = rng.choice(material.sentences).text if rng.random() < 0.7 else rng.choice(sentence.around)
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
    return None if middle == words[start:end] else ({"text": " ".join(words[:start] + middle + words[end:])}, NO)


def restore_order(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    words = bare(sentence.text).split()
    return ({"text": " ".join(rng.sample(words, len(words)))}, " ".join(words)) if len(words) <= 9 else None


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


def group_of_sentence(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    return {"text": sentence.text}, sentence.group


def genre(sentence: Sentence, material: Material, rng: random.Random) -> Row | None:
    """Of three sentences: one tells too little."""
    text = " ".join(sentence.around[sentence.place : sentence.place + 3])
    return {"text": text}, sentence.group


def _synsets(material: Material) -> list[Synset]:
    return material.synsets


def _sentences(material: Material) -> list[Sentence]:
    return material.sentences


TASKS = {
    **{
        task.__name__: Task(_synsets, task)
        for task in (
            headword, definition, kind_of_gloss, kind_of_word, part_of_speech, synonyms, entailment,
            word_has_gloss, choose_gloss, choose_headword, glosses_share_kind,
        )
    },
    **{task.__name__: Task(lambda material: material.blanks, task) for task in (fill_blank, choose_for_blank)},
    **{
        task.__name__: Task(_sentences, task)
        for task in (follows, natural_order, restore_order, contains_word, nth_word, noisy_copy, find_copy)
    },
    **{task.__name__: Task(lambda material: material.verses, task) for task in (to_modern, to_old, old_or_modern)},
    "book_group": Task(lambda material: material.bible, group_of_sentence),
    "genre": Task(lambda material: material.brown, genre),
}
