"""Writes the pre-training text: FOLDER/corpus/train.txt and heldout.txt, one document a line.

    python scripts/pocket_t5/make_corpus.py [--folder build/pocket_t5]

Bible and Brown passages of 60 to 120 words and WordNet entries, without anything held
out for the labelled tasks (`held_out.py`). About 1 % of the documents make heldout.txt,
the text of the held-out loss. Run `fetch.sh` first.
"""

import argparse
from itertools import groupby
from pathlib import Path
from collections.abc import Iterable, Iterator

from held_out import is_loss_text, split_synsets, split_verses
from sources import Synset, bare, read_brown, unit_hash


def passages(sentences: Iterable[str]) -> Iterator[str]:
    """Consecutive sentences joined until they reach a length between 60 and 120 words."""
    words: list[str] = []
    for sentence in sentences:
        words += sentence.split()
        if len(words) >= 60 + 60 * unit_hash("length", sentence):
            yield " ".join(words)
            words = []
    if len(words) > 20:
        yield " ".join(words)


def bible_documents(sources: Path) -> Iterator[str]:
    for _, chapter in groupby(
        split_verses(sources).open, key=lambda verse: (verse.book, verse.chapter)
    ):
        verses = list(chapter)
        yield from passages(verse.king_james for verse in verses)
        yield from passages(verse.world_english for verse in verses)


def brown_documents(sources: Path) -> Iterator[str]:
    for text in read_brown(sources):
        yield from passages(text.sentences)


def wordnet_documents(sources: Path) -> Iterator[str]:
    """Entries, each after its kind: `dog, domestic dog (a kind of canine): a member of ...`."""
    synsets = split_synsets(sources).open
    by_key = {synset.key: synset for synset in synsets}
    for synset in synsets:
        yield _entry(synset, by_key)


def _entry(synset: Synset, by_key: dict[str, Synset]) -> str:
    kinds = [
        by_key[key].lemmas[0] for symbol, key in synset.pointers if symbol == "@" and key in by_key
    ]
    kind = f" (a kind of {kinds[0]})" if kinds and unit_hash("kind", synset.key) < 0.5 else ""
    examples = "".join(f'; "{example}"' for example in synset.examples)
    return f"{', '.join(dict.fromkeys(synset.lemmas))}{kind}: {synset.gloss}{examples}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("build/pocket_t5"))
    folder = parser.parse_args().folder
    corpus = folder / "corpus"
    corpus.mkdir(parents=True, exist_ok=True)
    makers = {"bible": bible_documents, "brown": brown_documents, "wordnet": wordnet_documents}
    with open(corpus / "train.txt", "w") as train, open(corpus / "heldout.txt", "w") as heldout:
        for name, maker in makers.items():
            documents = list(
                {bare(document): document for document in maker(folder / "sources")}.values()
            )
            for document in documents:
                (heldout if is_loss_text(document) else train).write(document + "\n")
            kept = [document for document in documents if not is_loss_text(document)]
            words = sum(len(document.split()) for document in kept)
            print(f"{name}: {len(kept)} documents, {words} words for training")


if __name__ == "__main__":
    main()
