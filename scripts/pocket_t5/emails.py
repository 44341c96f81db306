"""Reader of the SpamAssassin e-mails: subject and start of the body as one plain line.

None of this text is ever trained on except by the labelled task `spam` itself.
"""

import email
import re
import unicodedata
from collections import Counter
from email.header import decode_header
from email.message import Message
from html.parser import HTMLParser
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

from sources import bare, clean, unit_hash, word_runs

CHARACTERS = 400
RUN_LENGTH = 5  # words
SHARED_RUNS = 0.2  # of an e-mail's runs, above which it repeats another
ADDRESS = re.compile(r"\S+@\S+")
LINK = re.compile(r"(?:https?://|www\.)\S+", re.IGNORECASE)
FOOTER = re.compile(r"--\s*$|_{20,}\s*$")  # a signature or what a mailing list adds
EXPLICIT = re.compile(
    r"porn|\bxxx|\bsex|\bpenis|\bcum\b|fuck|\bpussy|\bnude|viagra|\bslut|orgasm|condom|libido|enlarge",
    re.IGNORECASE,
)


class Email(NamedTuple):
    name: str  # group and file, e.g. "spam-1/00001"
    label: str  # "spam" or "ham"
    text: str


class _Text(HTMLParser):
    """Collects what a reader of the page sees."""

    def __init__(self):
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag, attributes):
        self._hidden += tag in ("style", "script", "title")

    def handle_endtag(self, tag):
        self._hidden -= tag in ("style", "script", "title") and self._hidden > 0

    def handle_data(self, data):
        if not self._hidden:
            self.parts.append(data)


def read_emails(sources: Path) -> list[Email]:
    """E-mails in English, without explicit ones, in an order that tells nothing."""
    data = Path(sources, "spam/package/data")
    files = sorted(
        data.glob("*-?/*.txt"), key=lambda file: unit_hash("email", file.parent.name, file.name)
    )
    emails = [mail for mail in map(_read, files) if _is_usable(mail.text)]
    emails = [
        mail._replace(text=clean(mail.text.encode("ascii", "ignore").decode())) for mail in emails
    ]
    return list({bare(mail.text): mail for mail in emails}.values())


def _read(file: Path) -> Email:
    message = email.message_from_bytes(file.read_bytes())
    text = ADDRESS.sub("(address)", LINK.sub("(link)", f"{_subject(message)} | {_body(message)}"))
    text = clean(unicodedata.normalize("NFKD", clean(text)))
    name = f"{file.parent.name}/{file.name.split('.')[0]}"
    return Email(name, "spam" if name.startswith("spam") else "ham", _start(text))


def _subject(message: Message) -> str:
    parts = decode_header(message.get("Subject", ""))
    return "".join(
        _decode(part, charset) if isinstance(part, bytes) else part for part, charset in parts
    )


def _body(message: Message) -> str:
    parts = {part.get_content_type(): part for part in reversed(list(message.walk()))}
    part = parts.get("text/plain") or parts.get("text/html")
    if part is None:
        return ""
    text = _decode(part.get_payload(decode=True) or b"", part.get_content_charset())
    if "<html" in text.lower() or part.get_content_type() == "text/html":
        reader = _Text()
        reader.feed(text)
        text = " ".join(reader.parts)
    written = (line for line in text.splitlines() if not line.lstrip().startswith(">"))
    return "\n".join(takewhile(lambda line: not FOOTER.match(line), written))


def _start(text: str) -> str:
    return text if len(text) <= CHARACTERS else text[:CHARACTERS].rsplit(" ", 1)[0]


def _decode(data: bytes, charset: str | None) -> str:
    try:
        return data.decode(charset or "latin-1")
    except (LookupError, UnicodeDecodeError):
        return data.decode("latin-1")


def _is_usable(text: str) -> bool:
    foreign = sum(not character.isascii() for character in text)
    return len(bare(text).split()) >= 15 and foreign < len(text) / 50 and not EXPLICIT.search(text)


def clusters(emails: list[Email]) -> list[list[Email]]:
    """E-mails grouped so that none shares a good part of its text with one in another group."""
    leader = list(range(len(emails)))
    all_runs = [word_runs(mail.text, RUN_LENGTH) for mail in emails]
    holders: dict[tuple[str, ...], list[int]] = {}
    for place, runs in enumerate(all_runs):
        shared = Counter(other for run in runs for other in holders.setdefault(run, []))
        for other, count in shared.items():
            if count > SHARED_RUNS * min(len(runs), len(all_runs[other])):
                leader[_leader(leader, other)] = _leader(leader, place)
        for run in runs:
            holders[run].append(place)
    groups: dict[int, list[Email]] = {}
    for place, mail in enumerate(emails):
        groups.setdefault(_leader(leader, place), []).append(mail)
    return list(groups.values())


def _leader(leader: list[int], place: int) -> int:
    while leader[place] != place:
        place = leader[place]
    return place
