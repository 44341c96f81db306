"""Rows at places among an example's own text, and the patterns that say where.

A place is among the tokens of each example, and so another column in each. What the rows are is for
the methods to say; one block of rows in front of the input or behind it is prompt.py's.
"""

import functools
import operator
import re

from flax import linen as nn
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.prompts import prompt

INPUTS = "{inputs}"
FRONT = "front"
END = "end"  # behind the last token that is not padding, the end of the sentence
TEXT_END = "text_end"  # behind the text, in front of the end of its sentence
# One of these, or token ids: behind their first occurrence, and at END where there is none.
Place = str | tuple[int, ...]
# How many rows each place has, in the rows' order.
Places = tuple[tuple[int, Place], ...]

_ROWS = re.compile(r"\[(\d+)\]")


def parse(pattern: str, name: str) -> tuple[tuple[int, str], ...]:
    """(rows, the text that they stand behind) of each group of rows, "" being the front.

    "[2] premise: [3] hypothesis: [1] {inputs} [1]" has two rows in front, three behind the first
    "premise:" of the input, one behind its first "hypothesis:", and one behind all of it, for
    {inputs} is what is left of the text.

    Raises ValueError that names the setting `name` where the pattern is none.
    """
    # Texts and counts take turns, a text first and last.
    texts, counts = _ROWS.split(pattern)[::2], [int(x) for x in _ROWS.split(pattern)[1::2]]
    texts = [text.strip() for text in texts]
    if problem := _problem(texts, counts):
        raise ValueError(
            f'{name} must be rows and text, such as "[3] {INPUTS} [3]" or "[2] premise: [3]", found '
            f"{pattern!r}: {problem}."
        )
    groups, behind = [], ""
    for text, count in zip(texts, counts):
        behind = text or behind  # rows side by side stand behind the same text
        groups.append((count, behind))
    return tuple(groups)


def _problem(texts: list[str], counts: list[int]) -> str | None:
    """Why these are no pattern."""
    if not counts or not all(counts):
        return "every group of rows must have at least one, and there must be a group"
    for text in texts:
        if text != INPUTS and ("{" in text or "}" in text):
            return f"{text!r} is neither {INPUTS} nor text without braces; put rows between the two"
    written = [text for text in texts if text]
    if INPUTS in written[:-1]:
        return f"{INPUTS} is all that is left of the text, so nothing can stand behind it"
    if texts[-1] not in ("", INPUTS):
        return (
            f"no rows stand behind {texts[-1]!r}; a pattern adds no text, it says behind which text of "
            "the input rows stand"
        )
    return None


def places(pattern: str, name: str, vocabulary: vocabularies.Vocabulary) -> Places:
    """Where the rows of `parse` stand, in this vocabulary's tokens."""
    return tuple((count, _place(text, name, vocabulary)) for count, text in parse(pattern, name))


def _place(text: str, name: str, vocabulary: vocabularies.Vocabulary) -> Place:
    if text in ("", INPUTS):
        return END if text else FRONT
    ids = tuple(vocabulary.encode(text))
    if not ids or vocabularies.UNK_ID in ids:
        raise ValueError(
            f"{name}: {text!r} is not to be found in any input, for the vocabulary {vocabulary.name} "
            f"has {'no pieces for it' if not ids else 'not all of its characters'}."
        )
    return ids


class PatternEmbedding(nn.Module):
    """Joins a prompt to the embedded input, each row at its place.

    It has nothing that fills the slots of packed rows: in those an example's places would have to be
    found within its segment.

    Attributes:
      places: of the rows.
      initializer: of the prompt.
    """

    places: Places
    initializer: prompt.Initializer

    @property
    def length(self) -> int:
        """P, how many rows there are."""
        return sum(count for count, _ in self.places)

    def setup(self):
        self.prompt = prompt.Prompt(self.length, self.initializer)

    def __call__(
        self, embedded: Float[Array, "B T D"], tokens: Int[Array, "B T"]
    ) -> Float[Array, "B S D"]:
        batch, _, width = embedded.shape
        rows = self.prompt(width).astype(embedded.dtype)
        rows = jnp.broadcast_to(rows, (batch, *rows.shape))
        return prompt.insert_rows(embedded, rows, self.positions(tokens))

    def join(
        self, values: Shaped[Array, "B T"], fill: bool | int, tokens: Int[Array, "B T"]
    ) -> Shaped[Array, "B S"]:
        """Values of the joined rows: `values` at the tokens, `fill` at the prompt."""
        rows = jnp.full((len(values), self.length), fill, values.dtype)
        return prompt.insert_rows(values, rows, self.positions(tokens))

    def positions(self, tokens: Int[Array, "B T"]) -> Int[Array, "B P"]:
        """How many of an example's tokens stand in front of each row."""
        groups = [
            jnp.broadcast_to(_position(place, tokens)[:, None], (len(tokens), count))
            for count, place in self.places
        ]
        return jnp.concatenate(groups, axis=1)


def _position(place: Place, tokens: Int[Array, "B T"]) -> Int[Array, "B"]:
    written = tokens != vocabularies.PAD_ID
    if place == FRONT:
        return jnp.zeros(len(tokens), jnp.int32)
    if place == END:
        return prompt.behind_last(written)
    if place == TEXT_END:
        return prompt.behind_last(written & (tokens != vocabularies.EOS_ID))
    width = tokens.shape[1]
    # Padding is part of no place's tokens, so these are found whole or not at all.
    ahead = jnp.pad(tokens, ((0, 0), (0, len(place))))
    same = (ahead[:, i : i + width] == token for i, token in enumerate(place))
    found = functools.reduce(operator.and_, same)
    behind = jnp.argmax(found, axis=1).astype(jnp.int32) + len(place)
    return jnp.where(jnp.any(found, axis=1), behind, prompt.behind_last(written))
