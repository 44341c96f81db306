"""Writes the labelled tasks that ship with the project: OUTPUT/NAME/SPLIT.tsv.

    python scripts/pocket_t5/make_tasks.py [--folder build/pocket_t5] [--output DIR]

Columns `id`, `inputs`, `targets`; rows in an order that tells nothing. Every item is held
out from all training text (`held_out.py`), and no two splits share a source item: a
synset, a chapter, a word, or an e-mail and its near copies. Run `make_corpus.py` first:
what happens to stand in its text is no item either.
"""

import argparse
from collections import Counter
from itertools import groupby
from pathlib import Path
from typing import NamedTuple
from collections.abc import Callable, Iterator

from emails import clusters, read_emails
from held_out import RUN_LENGTH, KnownText, split_synsets, split_verses
from sources import Verse, bare, read_wordnet, unit_hash
from word_in_context import Pair, word_in_context_pairs

SPLITS = ("test", "validation", "train")
CATEGORY_WORDS = {
    "noun.animal": "animal",
    "noun.plant": "plant",
    "noun.person": "person",
    "noun.artifact": "object",
    "noun.food": "food",
    "noun.substance": "substance",
    "noun.act": "act",
    "noun.body": "body",
}
ROWS_PER_CATEGORY = {"test": 100, "validation": 50, "train": 500}
SHORTEST_TEXT = RUN_LENGTH  # words, of a gloss or a verse
LONGEST_GLOSS = 40
VERSES = {"test": 400, "validation": 200, "train": 1500}  # two rows each
LONGEST_PAIR = 70  # words
EMAILS = {"test": 800, "validation": 400, "train": 3000}
SPAM_SHARE = 0.285  # as among all the usable e-mails


class Row(NamedTuple):
    id: str
    inputs: str
    target: str


Splits = dict[str, list[Row]]


def gloss_category(sources: Path, known: KnownText) -> Splits:
    """The gloss of a noun -> one of eight categories, balanced."""
    synsets = split_synsets(sources).held_out
    uses = Counter(bare(synset.gloss) for synset in synsets)
    splits: Splits = {split: [] for split in SPLITS}
    for category, word in CATEGORY_WORDS.items():
        rows = iter(
            Row(synset.key, synset.gloss, word)
            for synset in sorted(synsets, key=lambda synset: unit_hash("gloss", synset.key))
            if synset.category == category
            and uses[bare(synset.gloss)] == 1
            and _is_item(synset.gloss, known)
            and len(synset.gloss.split()) <= LONGEST_GLOSS
        )
        for split in SPLITS:
            splits[split] += _take(rows, ROWS_PER_CATEGORY[split])
    return splits


def verse_paraphrase(sources: Path, known: KnownText) -> Splits:
    """A King James verse with its own World English text in one row, a neighbour's in another."""
    verses = split_verses(sources).held_out
    uses = Counter(
        bare(text) for verse in verses for text in (verse.king_james, verse.world_english)
    )
    verses = [
        verse
        for verse in verses
        if all(
            _is_item(text, known) and uses[bare(text)] == 1
            for text in (verse.king_james, verse.world_english)
        )
    ]
    chapters = [
        list(chapter)
        for _, chapter in groupby(verses, key=lambda verse: (verse.book, verse.chapter))
    ]
    chapters.sort(key=lambda chapter: unit_hash("verses", chapter[0].book, chapter[0].chapter))
    remaining = iter(chapters)
    splits: Splits = {}
    for split in SPLITS:
        splits[split] = rows = []
        while len(rows) < 2 * VERSES[split]:
            rows += [row for pair in _verse_rows(next(remaining)) for row in pair]
        del rows[2 * VERSES[split] :]
    return splits


def _verse_rows(chapter: list[Verse]) -> Iterator[tuple[Row, Row]]:
    for place, verse in enumerate(chapter):
        near = [chapter[other] for other in (place - 1, place + 1) if 0 <= other < len(chapter)]
        near = [v for v in near if bare(v.world_english) != bare(verse.world_english)]
        if near:
            neighbour = min(near, key=lambda other: unit_hash("neighbour", verse, other))
            pairs = [f"{verse.king_james} | {v.world_english}" for v in (verse, neighbour)]
            if all(len(pair.split()) <= LONGEST_PAIR for pair in pairs):
                name = f"{verse.book}.{verse.chapter}.{verse.number}"
                yield (
                    Row(f"{name}-same", pairs[0], "same"),
                    Row(f"{name}-different", pairs[1], "different"),
                )


def spam(sources: Path, known: KnownText) -> Splits:
    """Subject and start of an e-mail -> spam or ham. Near copies stay in train."""
    splits: Splits = {split: [] for split in SPLITS}
    counts = {
        split: Counter(spam=round(size * SPAM_SHARE), ham=size - round(size * SPAM_SHARE))
        for split, size in EMAILS.items()
    }
    for group in clusters(read_emails(sources)):
        allowed = SPLITS if len(group) == 1 else ("train",)
        for mail in group:
            split = next((split for split in allowed if counts[split][mail.label] > 0), None)
            if split:
                counts[split][mail.label] -= 1
                splits[split].append(Row(mail.name, mail.text, mail.label))
    return splits


def word_in_context(sources: Path, known: KnownText) -> Splits:
    """A word and two sentences -> whether it has the same sense in both."""
    splits: Splits = {}
    seen: set[str] = set()
    for split, pairs in word_in_context_pairs(read_wordnet(sources), sources).items():
        splits[split] = rows = []
        for (word, _), group in groupby(pairs, key=lambda pair: (pair.word, pair.pos)):
            group = list(group)
            if word not in seen and _is_sound(group, known):
                rows += [_word_row(pair, number) for number, pair in enumerate(group)]
            seen.add(word)
    return splits


def _is_sound(group: list[Pair], known: KnownText) -> bool:
    """No pair twice, no sentence in two senses, none that stands in the training text."""
    uses = {(bare(use.sentence), use.synset) for pair in group for use in (pair.first, pair.second)}
    sentences = {sentence for sentence, _ in uses}
    pairs = {frozenset((bare(pair.first.sentence), bare(pair.second.sentence))) for pair in group}
    return (
        len(pairs) == len(group)
        and len(sentences) == len(uses)
        and not any(map(known.has, sentences))
    )


def _word_row(pair: Pair, number: int) -> Row:
    return Row(
        f"{pair.word}.{pair.pos}.{pair.first.synset}.{pair.second.synset}.{number}",
        f"{pair.word}: {pair.first.sentence} | {pair.second.sentence}",
        pair.label,
    )


def _is_item(text: str, known: KnownText) -> bool:
    return len(bare(text).split()) >= SHORTEST_TEXT and not known.has(text)


def _take(rows: Iterator[Row], count: int) -> list[Row]:
    return [next(rows) for _ in range(count)]


TASKS: dict[str, Callable[[Path, KnownText], Splits]] = {
    task.__name__: task for task in (gloss_category, verse_paraphrase, spam, word_in_context)
}


def write(rows: list[Row], file: Path) -> None:
    rows = sorted(rows, key=lambda row: unit_hash("order", row.id))
    lines = ["id\tinputs\ttargets", *("\t".join(row) for row in rows)]
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("\n".join(lines) + "\n", encoding="utf-8")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/pocket_t5"))
    parser.add_argument("--output", type=Path, default=Path("prompt_tuning/assets/tasks"))
    arguments = parser.parse_args()
    known = KnownText(sorted(Path(arguments.folder, "corpus").glob("*.txt")))
    for name, task in TASKS.items():
        for split, rows in task(arguments.folder / "sources", known).items():
            write(rows, arguments.output / name / f"{split}.tsv")
            print(f"{name} {split}: {len(rows)} rows, {dict(Counter(row.target for row in rows))}")


if __name__ == "__main__":
    main()
