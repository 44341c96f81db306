"""Rows of tables, each damaged in one way, and what has to become of them.

Each mutant says so beforehand, by what is wrong with it and not by what a reader makes of it: refused,
with a reason that is its own, or kept, with this text.
"""

from collections.abc import Iterator
import csv
from dataclasses import dataclass, replace
import io
import json
import random
import sys

COLUMNS, LABELS = ("id", "text", "label"), ("no", "yes")
HEADERS = {".tsv": b"id\ttext\tlabel\n", ".csv": b"id,text,label\n", ".jsonl": b""}
TABLES, JSON = (".tsv", ".csv"), ".jsonl"
THIRD_ROW = {".tsv": 4, ".csv": 4, ".jsonl": 3}  # its number in a file
HUGE = 140_000  # more than the csv module takes if it is not told
WORDS = "plain words grün 日本語 🦜 e\u0301 NaN null it's a,b # \\ {x} %s".split()
CONTROL = [c for c in map(chr, [*range(32), *range(127, 160)]) if c not in "\t\n\r"]
if sys.version_info < (3, 11):
    CONTROL.remove("\0")  # that csv module refuses the row
NO_UTF8 = (b"\xff", b"\xc3", b"\xe2\x82", b"\xed\xa0\x80", b"\xf8", b"\x80", b"\xc0\xaf")


@dataclass(frozen=True)
class Mutant:
    """A row, and what has to become of it.

    Attributes:
      line: as it stands in the file.
      text: what is kept of its inputs.
      refused: why a task refuses it; None where it is kept.
      refused_alone: the same where inputs alone are read, and ids.
      cleaned: control characters were replaced.
      swallows: the rows behind it cannot be told from it.
      kind: what was done to it.
    """

    line: bytes
    text: str
    refused: str | None = None
    refused_alone: str | None = None
    cleaned: bool = False
    swallows: bool = False
    kind: str = ""


@dataclass(frozen=True)
class Row:
    """A good row, to be spoilt."""

    suffix: str
    id: object
    text: object
    label: object

    def line(self, *more: str) -> bytes:
        cells = [self.id, self.text, self.label, *more]
        if self.suffix == JSON:
            return json.dumps(dict(zip(COLUMNS, cells))).encode()
        if self.suffix == ".tsv":
            return "\t".join(cells).encode()
        out = io.StringIO()
        csv.writer(out, lineterminator="").writerow(cells)
        return out.getvalue().encode()

    def kept(self, text: str | None = None, **changes) -> Mutant:
        return Mutant(self.line(), self.text if text is None else text, **changes)

    def refused(self, why: str, **changes) -> Mutant:
        """By a task; with the inputs alone there is nothing wrong."""
        return Mutant(self.line(), self.text, why, **changes)

    def unreadable(self, why: str, line: bytes | None = None, **changes) -> Mutant:
        return Mutant(self.line() if line is None else line, "", why, why, **changes)


KINDS = {suffix: [] for suffix in HEADERS}


def of(*suffixes: str):
    """Registers a kind of damage for these formats."""

    def register(spoil):
        for suffix in suffixes:
            KINDS[suffix].append(spoil)
        return spoil

    return register


def mutants(suffix: str, count: int) -> Iterator[Mutant]:
    """Of each kind about as many, always the same."""
    rng = random.Random(suffix)
    for number in range(count):
        spoil = KINDS[suffix][number % len(KINDS[suffix])]
        text = " ".join(rng.choices(WORDS, k=rng.randint(1, 6)))
        row = Row(suffix, f"mutant{number}", text, rng.choice(LABELS))
        yield replace(spoil(rng, row), kind=spoil.__name__)


@of(*TABLES, JSON)
def good(rng, row):
    return row.kept()


@of(*TABLES, JSON)
def huge(rng, row):
    length = rng.choice([1_000, 5_000, 20_000, HUGE])
    return replace(row, text=(row.text + " ") * (length // len(row.text)) + "end").kept()


@of(*TABLES, JSON)
def huge_label(rng, row):
    return replace(row, label="x" * HUGE).refused("unknown label 'xxx")


@of(*TABLES, JSON)
def empty_inputs(rng, row):
    return replace(row, text=rng.choice(["", " ", "\u3000 "])).refused("the inputs are empty")


@of(*TABLES, JSON)
def control_characters_alone(rng, row):
    row = replace(row, text="".join(rng.choices(CONTROL, k=3)))
    return row.refused("the inputs are empty", cleaned=True)


@of(*TABLES, JSON)
def control_character(rng, row):
    place = rng.randrange(1, len(row.text) + 1)
    found = row.text[:place] + rng.choice(CONTROL) + row.text[place:] + "."
    return replace(row, text=found).kept(without_control_characters(found), cleaned=True)


@of(*TABLES, JSON)
def no_utf8(rng, row):
    line = replace(row, text="before HERE after").line()
    return row.unreadable("not UTF-8", line.replace(b"HERE", rng.choice(NO_UTF8)))


@of(*TABLES, JSON)
def empty_label(rng, row):
    return replace(row, label=rng.choice(["", " ", "\u00a0"])).refused("the targets are empty")


@of(*TABLES, JSON)
def unknown_label(rng, row):
    labels = ["maybe", "YES", "yes!", "NaN", "1", "None", "yes\u200b", "no yes"]
    return replace(row, label=rng.choice(labels)).refused("unknown label")


@of(*TABLES, JSON)
def missing_label(rng, row):
    if row.suffix == JSON:
        line = json.dumps({"id": row.id, "text": row.text}).encode()
        return replace(row.refused("no column 'label'"), line=line)
    return row.unreadable("2 columns where the header has 3", row.line()[: -len(row.label) - 1])


@of(*TABLES, JSON)
def blank(rng, row):
    return row.unreadable("not JSON" if row.suffix == JSON else "blank row", b"")


@of(*TABLES, JSON)
def repeated_id(rng, row):
    why = "id 'before1' was there before"
    return replace(row, id="before1").refused(why, refused_alone=why)


@of(*TABLES, JSON)
def empty_id(rng, row):
    return replace(row, id=" ").refused("the id. is empty")


@of(*TABLES, JSON)
def sentinel_of_no_vocabulary(rng, row):
    number = rng.choice(["100", "777", "9" * 12, "9" * 5000, "007", "-1", ""])
    return replace(row, text=f"{row.text} <extra_id_{number}> b").kept()


@of(*TABLES)
def one_cell_more(rng, row):
    return row.unreadable("4 columns where the header has 3", row.line("more"))


@of(*TABLES)
def quotes(rng, row):
    return replace(row, text=f'say "{row.text}" "').kept()


@of(*TABLES)
def broken_off(rng, row):
    return row.unreadable("columns where the header", row.line()[: rng.randint(1, 8)])


@of(".csv")
def quote_closed_early(rng, row):
    return row.unreadable("not CSV up to line", f'{row.id},"x"y,no'.encode())


@of(".csv")
def quote_never_closed(rng, row):
    line = f'{row.id},"never closed,no'.encode()
    return row.unreadable("not CSV up to line", line, swallows=True)


@of(JSON)
def wrong_type(rng, row):
    value = rng.choice([None, [], {}, ["x"], {"a": 1}])
    return replace(row, text=value).unreadable("column 'text' holds")


@of(JSON)
def label_of_wrong_type(rng, row):
    value = rng.choice([None, [], {"a": 1}, float("nan")])
    return replace(row, label=value).refused("column 'label' holds")


@of(JSON)
def no_number(rng, row):
    value = rng.choice([float("nan"), float("inf"), float("-inf")])
    return replace(row, text=value).unreadable("column 'text' holds (nan|-?inf)")


@of(JSON)
def number_or_truth(rng, row):
    value = rng.choice([3, -2.5, True, False, 10**300, 0, 1e-9])
    return replace(row, text=value).kept(json.dumps(value))


@of(JSON)
def no_object(rng, row):
    value = rng.choice([[1, 2], "x", 3, None, True, float("nan")])
    return row.unreadable("a JSON object is needed", json.dumps(value).encode())


@of(JSON)
def broken_json(rng, row):
    line = row.line()
    return row.unreadable("not JSON", line[: rng.randrange(1, len(line))])


@of(JSON)
def raw_control_character(rng, row):
    raw = rng.choice([c for c in CONTROL if c < " "]).encode()
    line = replace(row, text="a HERE b").line()
    return row.unreadable("not JSON", line.replace(b"HERE", raw))


@of(JSON)
def half_a_surrogate_pair(rng, row):
    line = replace(row, text="before HERE").line()
    return row.unreadable("not UTF-8", line.replace(b"HERE", rb"\ud83e"))


@of(JSON)
def too_deep(rng, row):
    return row.unreadable("not JSON", rng.choice([b"[", b'{"text":']) * 50_000)


@of(JSON)
def too_many_digits(rng, row):
    return row.unreadable("not JSON", b'{"text": ' + b"9" * 5000 + b"}")


def without_control_characters(text: str) -> str:
    return "".join(" " if c in CONTROL else c for c in text)
