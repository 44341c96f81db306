"""WARP: a prompt, a mask, and learned class embeddings that read it (Hambardzumyan et al., 2021,
arXiv 2101.00121, section 3.1).

The paper has a masked language model: class logits are the products of learned embeddings and what
its head makes of a [MASK] token among prompt tokens. Of a T5 the encoder stands for it, whose masks
are sentinels, and its output, which has no such head, is read as it is. All prompt rows are in front of the
input, where the paper puts them around and between its parts. The decoder computes nothing that is
used: for the same loss, decoding and serving as every other method's, the probabilities of classes
are written as those of the tokens of their texts.
"""

from collections.abc import Callable, Mapping, Sequence
import dataclasses
import functools
import json
from typing import NamedTuple

from flax import linen as nn
from flax.linen import partitioning
import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Shaped
import numpy as np

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.data.examples import label_texts
from prompt_tuning.methods import added
from prompt_tuning.methods import method
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import prompt
from prompt_tuning.t5 import decoding
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import parameters

CLASSES = f"decoder/{added.SCOPE}/classes"
# The logit of a token that no class has: e to this is 0, but it is finite, as are its gradients.
NEVER = -1e4
_BEFORE = -1  # the node before the start token

Texts = tuple[tuple[int, ...], ...]


class PromptAndMask(nn.Module):
    """Puts P learned rows in front of the input, and behind them the model's embedding of a mask.

    Attributes:
      length: P.
      mask_id: the token that stands for [MASK].
    """

    length: int
    mask_id: int

    def setup(self):
        self.prompt = prompt.Prompt(self.length, nn.initializers.zeros)

    def __call__(
        self, embedded: Float[Array, "B T D"], tokens: Int[Array, "B T"]
    ) -> Float[Array, "B S D"]:
        rows = self.prompt(embedded.shape[-1]).astype(embedded.dtype)
        rows = jnp.broadcast_to(rows, (len(embedded), *rows.shape))
        mask = self.parent.embedder(jnp.full((len(tokens), 1), self.mask_id))
        return jnp.concatenate([rows, mask, embedded], axis=1)

    def join(
        self, values: Shaped[Array, "B T"], fill: bool | int, tokens: Int[Array, "B T"]
    ) -> Shaped[Array, "B S"]:
        return jnp.pad(values, ((0, 0), (self.length + 1, 0)), constant_values=fill)


class PrefixTree(NamedTuple):
    """All that some texts begin with. Node 0 is the start token, behind which they stand."""

    parent: Int[np.ndarray, "N"]  # the node of the prefix that is one token shorter
    token: Int[np.ndarray, "N"]  # the prefix's last
    begins: Bool[np.ndarray, "N C"]  # whether the text begins so

    @classmethod
    def of(cls, texts: Texts) -> "PrefixTree":
        started = [(decoding.START_ID, *text) for text in texts]
        prefixes = dict.fromkeys(t[:end] for t in started for end in range(1, len(t) + 1))
        number = {prefix: n for n, prefix in enumerate(prefixes)}
        return cls(
            np.array([number.get(prefix[:-1], _BEFORE) for prefix in prefixes]),
            np.array([prefix[-1] for prefix in prefixes]),
            np.array([[t[: len(prefix)] == prefix for t in started] for prefix in prefixes]),
        )

    def follow(self, node: Int[Array, "B"], token: Int[Array, "B"]) -> Int[Array, "B"]:
        """The nodes one token further; N, which has no children, where no text goes on so."""
        steps = (node[:, None] == self.parent) & (token[:, None] == self.token)
        return jnp.where(jnp.any(steps, axis=1), jnp.argmax(steps, axis=1), len(self.token))


class ClassReadout(nn.Module):
    """Logits of tokens that give each class's text the probability of the class.

    p(t_i | t_<i) is the probability of the classes whose texts begin with t_1 .. t_i, over that of those
    that begin with t_1 .. t_i-1. Along a text these multiply to p(class), so the cross-entropy of its
    tokens is that of the class, and ranking the texts ranks the classes. They are normalised as they
    are: the z-loss is zero. (Greedy decoding follows the most likely token, which is the start of the
    most likely class unless less likely ones that share theirs outweigh it together.)

    Behind what no text begins with, and behind a text's end, all tokens are equally likely.

    Attributes:
      texts: of each class, the token ids, which end in the end of sequence.
      row: of the encoder's output, which is read.
    """

    texts: Texts
    row: int

    @nn.compact
    def __call__(
        self,
        logits: Float[Array, "B L V"],
        encoded: Float[Array, "B S D"],
        tokens: Int[Array, "B L"],
        cached: bool,
    ) -> Float[Array, "B L V"]:
        tree = PrefixTree.of(self.texts)
        scores = self._class_logits(encoded[:, self.row].astype(jnp.float32))
        of_prefix = jnp.where(tree.begins, scores[:, None], -jnp.inf)
        of_prefix = jax.nn.logsumexp(of_prefix, axis=-1)
        log_probs = of_prefix - of_prefix[:, np.maximum(tree.parent, 0)]
        is_next = self._nodes(tree, tokens, cached)[..., None] == tree.parent

        def to_tokens(x: Shaped[Array, "B L N"]) -> Float[Array, "B L V"]:
            return jnp.zeros(logits.shape).at[..., tree.token].add(x)

        found = to_tokens(jnp.where(is_next, log_probs[:, None], 0))
        found = jnp.where(to_tokens(is_next.astype(jnp.float32)) > 0, found, NEVER)
        return jnp.where(jnp.any(is_next, axis=-1, keepdims=True), found, 0)

    def _class_logits(self, x: Float[Array, "B D"]) -> Float[Array, "B C"]:
        """Scaled as T5 1.0 scales its logits, so that a learning rate for the prompt suits both."""
        shape = len(self.texts), x.shape[-1]
        classes = partitioning.param_with_axes(
            "classes", nn.initializers.zeros, shape, axes=("added", "embed")
        )
        return x @ classes.T * x.shape[-1] ** -0.5

    def _nodes(
        self, tree: PrefixTree, tokens: Int[Array, "B L"], cached: bool
    ) -> Int[Array, "B L"]:
        """The prefix that ends in each token, those before the newest being the cache's part."""
        node = jnp.full(len(tokens), _BEFORE)
        created = self.has_variable("cache", "node")
        if cached:
            kept = self.variable("cache", "node", lambda: node)
            node = kept.value

        def step(node, token):
            node = tree.follow(node, token)
            return node, node

        last, nodes = jax.lax.scan(step, node, tokens.T)
        if cached and created:
            kept.value = last
        return nodes.T


@dataclasses.dataclass(frozen=True)
class WARP(added.Added):
    """Trains a prompt and an embedding for each class of a task; predicts nothing but its classes.

    The class embeddings start at zero, all classes alike. The rows of their labels' pieces in the
    vocabulary's table, which say little about an encoder's output, were no better in short runs.

    Attributes:
      labels: the classes' texts (CLASS_LABELS), all targets of the task; or a mapping to them.
      length: P, rows of the prompt (PROMPT_LENGTH).
      initializer: gives their first value, see prompts/initializers.py.
    """

    labels: Sequence[str] | Mapping[str, str]
    length: int = 20
    initializer: Callable = initializers.SampledVocab()

    def __post_init__(self):
        if isinstance(self.labels, Mapping):
            object.__setattr__(self, "labels", label_texts(self.labels))
        if isinstance(self.labels, str) or len(self.labels) < 2:
            raise ValueError(
                "WARP.labels (CLASS_LABELS) must be a list of at least two labels, found "
                f"{self.labels!r}."
            )
        if self.length < 1:
            raise ValueError(
                f"WARP.length (PROMPT_LENGTH) must be at least 1, found {self.length}."
            )

    @property
    def trainable(self) -> tuple[str, ...]:
        return (files.parameter("encoder"), *super().trainable)

    @property
    def identity(self) -> dict[str, str]:
        """Class embeddings are in the order of the labels."""
        return {"labels": json.dumps(list(self.labels), ensure_ascii=False)}

    @property
    def slots(self) -> None:
        """Packed, a row would need a mask and a readout for each of its examples."""
        return None

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        mask_id = base.vocabulary.sentinel_id(0)
        readout = functools.partial(
            ClassReadout, self._texts(base.vocabulary), self.length, name=added.SCOPE
        )
        return {
            "encoder/embedding": functools.partial(PromptAndMask, self.length, mask_id),
            "logits": readout,
        }

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        return {
            files.parameter("encoder"): method.first_rows(self.initializer, base, key, self.length),
            CLASSES: jnp.zeros((len(self.labels), base.config.d_model)),
        }

    def _texts(self, vocabulary: vocabularies.Vocabulary) -> Texts:
        texts = {}
        for label in self.labels:
            text = (*vocabulary.encode(label), vocabularies.EOS_ID)
            if text in texts:
                raise ValueError(
                    f"WARP.labels (CLASS_LABELS): {texts[text]!r} and {label!r} have the same tokens in "
                    f"the vocabulary {vocabulary.name}, but classes need texts of their own."
                )
            texts[text] = label
        return tuple(texts)
