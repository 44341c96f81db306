"""Readers of the four sources of the pocket T5's text: WordNet, the Bibles, Brown, SpamAssassin.

Each reader takes the folder that `fetch.sh` fills (`build/pocket_t5/sources`) and
returns plain records with clean text. What may be used for what (the held-out rule) is
in `held_out.py`; what is written is in the `make_*` scripts.
"""

import ast
import hashlib
import re
from pathlib import Path
from typing import NamedTuple
from collections.abc import Iterable

LEXICOGRAPHER_FILES = [
    f"{part_of_speech}.{name}"
    for part_of_speech, names in (
        ("adj", "all pert"),
        ("adv", "all"),
        (
            "noun",
            "Tops act animal artifact attribute body cognition communication event feeling food "
            "group location motive object person phenomenon plant possession process quantity "
            "relation shape state substance time",
        ),
        (
            "verb",
            "body change cognition communication competition consumption contact creation "
            "emotion motion perception possession social stative weather",
        ),
        ("adj", "ppl"),
    )
    for name in names.split()
]
BROWN_GENRES = dict(
    zip(
        "abcdefghjklmnpr",
        [
            "news",
            "editorial",
            "reviews",
            "religion",
            "hobbies",
            "lore",
            "letters",
            "government",
            "science",
            "fiction",
            "mystery",
            "science fiction",
            "adventure",
            "romance",
            "humor",
        ],
        strict=True,
    )
)
FORMULA = re.compile(r"\*\*|\b[AT]f\b")  # how Brown marks what is no English text


class Synset(NamedTuple):
    key: str  # part of speech and offset, e.g. "n02084071"
    pos: str  # n, v, a, r
    category: str  # the lexicographer file, e.g. "noun.animal"
    lemmas: tuple[str, ...]  # with spaces for underscores
    gloss: str  # the definition without its examples
    examples: tuple[str, ...]
    pointers: tuple[tuple[str, str], ...]  # (symbol, key of the other synset)


class Verse(NamedTuple):
    book: int
    chapter: int
    number: int
    king_james: str
    world_english: str


class BrownText(NamedTuple):
    name: str
    genre: str
    sentences: list[str]


def unit_hash(*parts: object) -> float:
    """A number in [0, 1) that depends on the parts alone."""
    digest = hashlib.sha256("\t".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def clean(text: str) -> str:
    """One line, single spaces, plain quotes and dashes."""
    for old, new in (("’", "'"), ("‘", "'"), ("`", "'"), ("“", '"'), ("”", '"'), ("—", " - ")):
        text = text.replace(old, new)
    return " ".join(text.split())


def bare(text: str) -> str:
    """What two texts share when they are the same but for case, spacing and punctuation."""
    return " ".join(re.findall(r"[a-z0-9]+", text.lower()))


def word_runs(text: str, length: int) -> set[tuple[str, ...]]:
    """The runs of so many consecutive words."""
    words = bare(text).split()
    return set(zip(*(words[start:] for start in range(length)), strict=False))


# --- WordNet -------------------------------------------------------------------------


def read_wordnet(sources: Path) -> list[Synset]:
    folder = Path(sources, "wordnet/usr/share/wordnet")
    return [
        _synset(line)
        for name in ("noun", "verb", "adj", "adv")
        for line in (folder / f"data.{name}").read_text("latin-1").splitlines()
        if not line.startswith("  ")
    ]


def _synset(line: str) -> Synset:
    data, _, text = line.partition(" | ")
    offset, lexicographer, kind, word_count, *rest = data.split()
    pos = "a" if kind == "s" else kind
    words, rest = rest[: 2 * int(word_count, 16) : 2], rest[2 * int(word_count, 16) :]
    pointer_fields = rest[1 : 1 + 4 * int(rest[0])]
    pointers = zip(pointer_fields[::4], pointer_fields[1::4], pointer_fields[2::4], strict=True)
    definition, *quoted = re.split(r'"([^"]*)"', text)
    return Synset(
        key=pos + offset,
        pos=pos,
        category=LEXICOGRAPHER_FILES[int(lexicographer)],
        lemmas=tuple(re.sub(r"\(.*\)$", "", word).replace("_", " ") for word in words),
        gloss=clean(definition).strip(" ;:"),
        examples=tuple(clean(example) for example in quoted[::2] if len(example.split()) > 1),
        pointers=tuple(
            (symbol, ("a" if kind == "s" else kind) + target) for symbol, target, kind in pointers
        ),
    )


def irregular_forms(sources: Path) -> dict[tuple[str, str], set[str]]:
    """(part of speech, lemma) -> inflected forms that no rule makes."""
    forms: dict[tuple[str, str], set[str]] = {}
    for name, pos in (("noun", "n"), ("verb", "v"), ("adj", "a"), ("adv", "r")):
        for line in Path(sources, f"wordnet/usr/share/wordnet/{name}.exc").read_text().splitlines():
            inflected, *lemmas = line.split()
            for lemma in lemmas:
                forms.setdefault((pos, lemma), set()).add(inflected)
    return forms


def inflections(lemma: str, pos: str, irregular: dict[tuple[str, str], set[str]]) -> set[str]:
    """The lower-case forms in which a single word may stand in a sentence."""
    word = lemma.lower()
    endings = {"n": ("s",), "v": ("s", "ed", "ing"), "a": ("er", "est"), "r": ()}[pos]
    forms = {word} | irregular.get((pos, word), set())
    for ending in endings:
        forms.add(word + ending)
        if ending == "s":
            forms.add(word + "es")
            forms.add(word[:-1] + "ies" if word.endswith("y") else word)
        else:
            forms.add(word + word[-1] + ending)
            forms.add(word[:-1] + ending if word.endswith("e") else word)
            forms.add(word[:-1] + "i" + ending if word.endswith("y") else word)
    return forms


# --- the Bibles ----------------------------------------------------------------------


def read_verses(sources: Path) -> list[Verse]:
    """Verses that both translations have, in order."""
    king_james, world_english = (_bible(sources, name) for name in ("kjv", "web"))
    return [
        Verse(number // 10**6, number // 1000 % 1000, number % 1000, text, world_english[number])
        for number, text in king_james.items()
        if text and world_english.get(number)
    ]


def _bible(sources: Path, name: str) -> dict[int, str]:
    """Verse number (book, chapter, verse as BBCCCVVV) -> text. The module is read, not run."""
    source = Path(sources, f"bible/pythonbible_{name}/plain_text_readers_bible.py").read_text()
    calls = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.Call)]
    (call,) = [node for node in calls if getattr(node.func, "id", "") == "Bible"]
    _, text, starts, ends, *_ = call.args
    text, starts, ends = (ast.literal_eval(argument) for argument in (text, starts, ends))
    strip_brackets = str.maketrans("", "", "[]")
    return {
        number: clean(text[starts[number] : ends[number]].translate(strip_brackets))
        for number in starts
    }


# --- Brown ---------------------------------------------------------------------------


def read_brown(sources: Path) -> list[BrownText]:
    files = sorted(Path(sources, "brown/package").glob("c[a-r][0-9][0-9]"))
    return [_brown_text(file) for file in files]


def _brown_text(file: Path) -> BrownText:
    lines = (line.split() for line in file.read_text("latin-1").splitlines())
    sentences = [detokenise([token.rsplit("/", 1)[0] for token in line]) for line in lines if line]
    return BrownText(file.name, BROWN_GENRES[file.name[1]], _close_quotes(sentences))


def detokenise(tokens: Iterable[str]) -> str:
    """Brown's separate tokens as ordinary English text."""
    text = " ".join(tokens)
    text = re.sub(r"([;?!,]) \1", r"\1", text)
    text = re.sub(r"`` ?", '"', text)
    text = re.sub(r" ?''", '"', text)
    text = re.sub(r"([(\[]) ", r"\1", text)
    text = re.sub(r" ([)\],.;:?!])", r"\1", text)
    text = re.sub(r'"([,.?!])', r'\1"', text)
    return clean(text)


def _close_quotes(sentences: list[str]) -> list[str]:
    """Joins what only closes a sentence to it; drops sentences with formulas."""
    joined: list[str] = []
    for sentence in sentences:
        if joined and sentence.startswith('" '):
            joined[-1], sentence = joined[-1] + '"', sentence[2:]
        if joined and not bare(sentence):
            joined[-1] += sentence
        elif not FORMULA.search(sentence):
            joined.append(sentence)
    return joined
