"""Adaptation tasks about words and their definitions.

Each is a function of an item, the material and a generator -> (fields of the input, answer).
An answer is a text, or the index of a label (0 is yes) that the phrasing names
(`adaptation_phrasings.py`). None says that the item makes no row. The labelled tasks are
not among them: no category of a gloss, and no word judged in two sentences.
"""

import random

from adaptation_material import NO, YES, Blank, Material, Row
from sources import Synset


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


WORD_TASKS = {  # by the material's list of items
    "synsets": (
        headword,
        definition,
        kind_of_gloss,
        kind_of_word,
        part_of_speech,
        synonyms,
        entailment,
        word_has_gloss,
        choose_gloss,
        choose_headword,
        glosses_share_kind,
    ),
    "blanks": (fill_blank, choose_for_blank),
}
