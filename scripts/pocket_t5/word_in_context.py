"""Pairs of WordNet example sentences that use one word in the same or in different senses.

Here because two things need the same pairs: the labelled task (`make_tasks.py`) and the
held-out rule (`held_out.py`), which keeps these sentences out of all training text.

Every word comes with as many `same` as `different` pairs, so the word alone tells
nothing; part of speech is one for both sentences of a pair; and a split shares no word,
no synset and no sentence with another.
"""

from itertools import combinations
from pathlib import Path
from typing import NamedTuple
from collections.abc import Iterator

from sources import Synset, bare, inflections, irregular_forms, unit_hash

PAIRS_PER_LABEL = 2
SIZES = {"test": 800, "validation": 400, "train": 3000}


class Use(NamedTuple):
    synset: str
    sentence: str


class Pair(NamedTuple):
    word: str
    pos: str
    first: Use
    second: Use
    label: str


def word_in_context_pairs(synsets: list[Synset], sources: Path) -> dict[str, list[Pair]]:
    uses = _uses(synsets, irregular_forms(sources))
    words = iter(sorted(uses, key=lambda word: unit_hash("word in context", *word)))
    splits: dict[str, list[Pair]] = {}
    taken: set[str] = set()
    for split, size in SIZES.items():
        splits[split] = pairs = []
        claimed: set[str] = set()
        while len(pairs) < size:
            word = next(words)
            free = [
                use
                for use in uses[word]
                if use.synset not in taken and bare(use.sentence) not in taken
            ]
            pairs += _balanced_pairs(word, free, (size - len(pairs)) // 2)
            claimed.update(part for use in free for part in (use.synset, bare(use.sentence)))
        taken |= claimed
    return splits


def _uses(
    synsets: list[Synset], irregular: dict[tuple[str, str], set[str]]
) -> dict[tuple[str, str], list[Use]]:
    """(word, part of speech) -> the sentences in which it stands once, with their synsets."""
    uses: dict[tuple[str, str], list[Use]] = {}
    for synset in synsets:
        for lemma in dict.fromkeys(synset.lemmas):
            if synset.pos == "r" or not (lemma.isalpha() and lemma.islower()):
                continue
            forms = inflections(lemma, synset.pos, irregular)
            for example in synset.examples:
                if sum(token in forms for token in bare(example).split()) == 1:
                    uses.setdefault((lemma, synset.pos), []).append(Use(synset.key, example))
    return uses


def _balanced_pairs(word: tuple[str, str], uses: list[Use], limit: int) -> Iterator[Pair]:
    candidates: dict[str, list[Pair]] = {"same": [], "different": []}
    for first, second in combinations(uses, 2):
        if bare(first.sentence) != bare(second.sentence):
            label = "same" if first.synset == second.synset else "different"
            pair = Pair(*word, first, second, label)
            swapped = pair._replace(first=second, second=first)
            candidates[label].append(pair if unit_hash(pair) < 0.5 else swapped)
    count = min(limit, PAIRS_PER_LABEL, *map(len, candidates.values()))
    for pairs in candidates.values():
        yield from sorted(pairs, key=unit_hash)[:count]
