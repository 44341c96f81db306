"""The prompt: a learned [P, D] array and the module that joins it to the input.

How the array is first filled lives in `initializers.py`.
"""

from collections.abc import Callable

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped

from prompt_tuning.t5 import network

LOCATIONS = ("front", "after_first", "end")
Initializer = Callable[[jax.Array, tuple[int, int]], Float[Array, "P D"]]


class Prompt(nn.Module):
    """Owns the prompt. `initializer(key, (P, D))` gives its first value.

    With `rows`, there is one for each row of a batch of so many: [B, P, D].
    """

    length: int
    initializer: Initializer
    rows: int | None = None

    @nn.compact
    def __call__(self, width: int) -> Float[Array, "*B P D"]:
        shape, axes = (self.length, width), ("prompt", "embed")
        if self.rows is not None:
            shape, axes = (self.rows, *shape), ("batch", *axes)
        return partitioning.param_with_axes("prompt", self.initializer, shape, axes=axes)


class PromptEmbedding(nn.Module):
    """Joins the prompt to the embedded input (paper, section 2: [P; X]).

    Attributes:
      length: P, rows of the prompt.
      initializer: of the prompt.
      location: "front"; "after_first", behind the first token, which keeps a
        start token first; or "end", behind each row's last token that is not
        padding, so that distances to the text do not depend on the padding.
      rows: of a batch in which each has a prompt of its own; None where all share one.
    """

    length: int
    initializer: Initializer
    location: str = "front"
    rows: int | None = None

    def setup(self):
        if self.length < 1:
            raise ValueError(f"PROMPT_LENGTH must be at least 1, found {self.length}.")
        if self.location not in LOCATIONS:
            raise ValueError(
                f"PromptEmbedding.location must be one of {LOCATIONS}, found {self.location!r}."
            )
        self.prompt = Prompt(self.length, self.initializer, self.rows)

    def __call__(
        self, embedded: Float[Array, "B T D"], tokens: Int[Array, "B T"]
    ) -> Float[Array, "B S D"]:
        return self._place(embedded, self._by_row(embedded), tokens)

    def fill(
        self, embedded: Float[Array, "B S D"], slots: Bool[Array, "B S"]
    ) -> Float[Array, "B S D"]:
        """Puts the prompt in the slots of packed rows, P of each example, in their order."""
        row = (jnp.cumsum(slots, axis=1) - 1) % self.length
        prompt = jnp.take_along_axis(self._by_row(embedded), row[..., None], axis=1)
        return jnp.where(slots[..., None], prompt, embedded)

    def _by_row(self, embedded: Float[Array, "B _ D"]) -> Float[Array, "B P D"]:
        """The prompt of each row of the batch."""
        batch, _, width = embedded.shape
        prompt = self.prompt(width).astype(embedded.dtype)
        if self.rows is None:
            return jnp.broadcast_to(prompt, (batch, *prompt.shape))
        # Decoding may repeat rows, a row's copies side by side.
        return prompt[jnp.arange(batch) * self.rows // batch]

    def join(
        self, values: Shaped[Array, "B T"], fill: bool | int, tokens: Int[Array, "B T"]
    ) -> Shaped[Array, "B S"]:
        """Values of the joined rows: `values` at the tokens, `fill` at the prompt."""
        rows = jnp.full((len(values), self.length), fill, values.dtype)
        return self._place(values, rows, tokens)

    def _place(self, x, rows, tokens):
        if self.location == "end":
            ends = behind_last(tokens != network.PAD_ID)[:, None]
            return insert_rows(x, rows, jnp.broadcast_to(ends, rows.shape[:2]))
        split = {"front": 0, "after_first": 1}[self.location]
        return jnp.concatenate([x[:, :split], rows, x[:, split:]], axis=1)


def insert_rows(
    x: Shaped[Array, "B T *D"], rows: Shaped[Array, "B P *D"], positions: Int[Array, "B P"]
) -> Shaped[Array, "B S *D"]:
    """Puts each of an example's rows in front of the column of `x` that is its position, T being
    behind them all; rows of one position keep their order. S is T + P.
    """
    columns = jnp.broadcast_to(2 * jnp.arange(x.shape[1]) + 1, x.shape[:2])
    keys = jnp.concatenate([columns, 2 * positions], axis=1)
    order = jnp.argsort(keys, axis=1, stable=True)
    order = order.reshape(order.shape + (1,) * (x.ndim - 2))
    return jnp.take_along_axis(jnp.concatenate([x, rows], axis=1), order, axis=1)


def behind_last(marked: Bool[Array, "B T"]) -> Int[Array, "B"]:
    """Columns up to and with each row's last marked one."""
    columns = jnp.arange(1, marked.shape[1] + 1, dtype=jnp.int32)
    return jnp.max(jnp.where(marked, columns, 0), axis=1)
