"""P-Tuning: a prompt at places in the input, made by an LSTM and an MLP (Liu et al., 2021, 2103.10385)."""

from collections.abc import Callable
import dataclasses
import functools
from typing import ClassVar

from flax import linen as nn
import jax
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import added
from prompt_tuning.methods import method
from prompt_tuning.prompts import files
from prompt_tuning.prompts import initializers
from prompt_tuning.prompts import pattern as patterns
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import parameters

PROMPT = files.parameter("encoder")
EMBEDDING = f"{added.SCOPE}/embedding"
ENCODER = f"{added.SCOPE}/encoder"
REPARAMETERIZATIONS = ("lstm", "mlp", "none")


class PromptEncoder(nn.Module):
    """Makes the rows of a prompt of its embedding, each in sight of the others where it has an LSTM.

    Attributes:
      hidden: columns of what the LSTM gives, half of them from either direction, and of the MLP's
        hidden layer.
      recurrent: whether there is an LSTM.
    """

    hidden: int
    recurrent: bool

    @nn.compact
    def __call__(self, x: Float[Array, "P D"]) -> Float[Array, "P D"]:
        width = x.shape[-1]
        if self.recurrent:
            x = nn.Bidirectional(self._direction("forward"), self._direction("backward"))(x)
        x = nn.relu(nn.Dense(self.hidden, name="hidden")(x))
        return nn.Dense(width, name="rows")(x)

    def _direction(self, name):
        # Flax draws orthogonal matrices, which takes long where they are as wide as a large model.
        draw = nn.initializers.lecun_normal()
        return nn.RNN(nn.OptimizedLSTMCell(self.hidden // 2, recurrent_kernel_init=draw, name=name))


@dataclasses.dataclass(frozen=True)
class PTuning(added.Added):
    """A prompt whose rows stand where a pattern puts them among the input's text.

    What is trained is an embedding [P, D], a bidirectional LSTM over its rows and an MLP of two
    layers with ReLU, which make the prompt of it (section 3.2, equations 4 and 5: rows are to
    depend on each other, and a free embedding is hard to move). Only the prompt that they made is
    written and served; the LSTM is dropped.

    Ours differs from the paper in what T5 is. There is no mask among the input's tokens whose word is
    predicted: the decoder writes the answer, as it does for every method here. And the model stays
    frozen, where the paper's experiments on understanding tune it together with the prompt. The
    paper's code has an LSTM of two layers, with dropout, this one has a single layer and none.

    Attributes:
      pattern: rows and the input's own text, "[3] {inputs} [3]" or "[2] premise: [3] hypothesis: [2]":
        so many rows behind the first occurrence of that text, at the end in an input that does not
        have it (prompts/pattern.py).
      reparameterization: "lstm", LSTM and MLP; "mlp", the MLP alone; "none", the prompt itself is
        trained.
      hidden: columns of the LSTM, both directions together, and of the MLP's hidden layer; None for
        the model's D, as in the paper's code.
      initializer: gives the first value of a prompt that is itself trained, see
        prompts/initializers.py. An embedding is drawn from a normal distribution.
    """

    writes_every_save: ClassVar[bool] = True

    pattern: str = "[3] {inputs} [3]"
    reparameterization: str = "lstm"
    hidden: int | None = None
    initializer: Callable = initializers.SampledVocab()

    def __post_init__(self):
        patterns.parse(self.pattern, "PTuning.pattern")
        if self.reparameterization not in REPARAMETERIZATIONS:
            raise ValueError(
                f"PTuning.reparameterization must be one of {REPARAMETERIZATIONS}, found "
                f"{self.reparameterization!r}."
            )
        if self.hidden is not None and (self.hidden < 2 or self.hidden % 2):
            raise ValueError(
                "PTuning.hidden must be even, for the two directions of the LSTM, and at least 2, "
                f"found {self.hidden}."
            )

    @property
    def trainable(self) -> tuple[str, ...]:
        return (PROMPT,) if self.reparameterization == "none" else super().trainable

    @property
    def identity(self) -> dict[str, str]:
        """The location tells its prompt from a `SoftPrompt`'s, which has one place for all rows."""
        return {"location": "pattern", "pattern": self.pattern}

    @property
    def slots(self) -> None:
        """A pattern's rows have no slots in packed rows."""
        return None

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        places = patterns.places(self.pattern, "PTuning.pattern", base.vocabulary)
        return {
            "encoder/embedding": functools.partial(
                patterns.PatternEmbedding, places, jax.nn.initializers.zeros
            )
        }

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        groups = patterns.parse(self.pattern, "PTuning.pattern")
        shape = sum(count for count, _ in groups), base.config.d_model
        if self.reparameterization == "none":
            return {PROMPT: method.first_rows(self.initializer, base, key, shape[0])}

        @jax.jit
        def made(key):
            of_embedding, of_encoder = jax.random.split(key)
            embedding = jax.random.normal(of_embedding, shape)
            params = self._encoder(shape[1]).init(of_encoder, embedding)["params"]
            own = {f"{ENCODER}/{name}": x for name, x in parameters.flatten(params).items()}
            return {EMBEDDING: embedding} | own

        return made(key)

    def materialize(self, trained: parameters.Flat) -> parameters.Flat:
        """The prompt."""
        if self.reparameterization == "none":
            return trained
        embedding = trained[EMBEDDING]
        own = {
            name.removeprefix(f"{ENCODER}/"): x for name, x in trained.items() if name != EMBEDDING
        }
        encoder = self._encoder(embedding.shape[1])
        return {PROMPT: encoder.apply({"params": parameters.unflatten(own)}, embedding)}

    def _encoder(self, width: int) -> PromptEncoder:
        return PromptEncoder(self.hidden or width, self.reparameterization == "lstm")
