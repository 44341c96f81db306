"""Prompt design: the frozen model, told in text what to do (Brown et al., 2020, arXiv 2005.14165)."""

from collections.abc import Iterator
import dataclasses
import functools
import re

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import tasks
from prompt_tuning.data import vocabulary as vocabularies
from prompt_tuning.methods import method
from prompt_tuning.prompts import files
from prompt_tuning.prompts import pattern as patterns
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import parameters

_UNCUT = 2**30  # tokens; examples are put in whole
Ids = list[int]


@dataclasses.dataclass(frozen=True)
class PromptDesign(method.Method):
    """Text around the input, and examples in front of it; nothing is trained.

    The text is part of the method, as the embeddings of its tokens at the places where it would
    stand in the input: all that has to do with the task's data stays as it is. The model computes
    what it would if the text were in the input, in front of the end of its sentence, and none of it
    is cut off where an input is too long.

    The paper's few-shot setting (section 2 and Figure 2.1) is a description of the task, examples
    with their answers, and the input, all in one form. Its model goes on writing behind that; T5
    reads it in its encoder and writes the answer in its decoder. Line ends between examples, which
    T5's vocabulary does not have, are left out; text, inputs and targets are tokenised apart, which
    in T5's vocabularies puts a space between them.

    Attributes:
      pattern: text around an input, the examples' too, such as "{inputs} Answer:".
      description: text in front of it all, once.
      examples: k, how many of the task's examples, each followed by its target; drawn at random.
      task: which they are of.
      split: of the task, which they are drawn from.
      seed: of the drawing.
    """

    pattern: str = patterns.INPUTS
    description: str = ""
    examples: int = 0
    task: tasks.Task | None = None
    split: str = "train"
    seed: int = 0
    # Of vocabularies, by their fingerprints: a task is read once.
    _found: dict[str, tuple[Ids, Ids]] = dataclasses.field(
        default_factory=dict, init=False, repr=False, compare=False
    )

    def __post_init__(self):
        if re.findall(r"\{[^{}]+\}", self.pattern) != [patterns.INPUTS]:
            raise ValueError(
                f"PromptDesign.pattern must be text around one {patterns.INPUTS}, such as "
                f'"{patterns.INPUTS} Answer:", found {self.pattern!r}.'
            )
        if self.examples < 0:
            raise ValueError(f"PromptDesign.examples must be at least 0, found {self.examples}.")
        if self.examples and not isinstance(self.task, tasks.ExamplesTask):
            found = "none" if self.task is None else f"{self.task.name}, which has no target texts"
            raise ValueError(
                f"PromptDesign.examples is {self.examples}, for which PromptDesign.task must be a task "
                f"with target texts, found {found}: set it (in gin, to %TASK)."
            )
        text = self.description + self.pattern.replace(patterns.INPUTS, "")
        if not self.examples and not text.strip():
            raise ValueError(
                "PromptDesign adds nothing to the input: set PromptDesign.pattern, .description or "
                ".examples, or use gin/methods/none.gin."
            )

    @property
    def slots(self) -> None:
        """What trains nothing has no rows to pack."""
        return None

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        front, behind = self.tokens(base.vocabulary)
        places = ((len(front), patterns.FRONT), (len(behind), patterns.TEXT_END))
        return {
            "encoder/embedding": functools.partial(
                patterns.PatternEmbedding, places, jax.nn.initializers.zeros
            )
        }

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        """The model's own embeddings of the text."""
        del key
        front, behind = self.tokens(base.vocabulary)
        rows = base.table[np.array(front + behind, np.int32)]
        return {files.parameter("encoder"): jnp.asarray(rows)}

    def tokens(self, vocabulary: vocabularies.Vocabulary) -> tuple[Ids, Ids]:
        """Of all that stands in front of the input, and of what stands behind it."""
        key = vocabulary.fingerprint
        if key not in self._found:
            self._found[key] = self._tokens(vocabulary)
        return self._found[key]

    def _tokens(self, vocabulary: vocabularies.Vocabulary) -> tuple[Ids, Ids]:
        before, behind = map(vocabulary.encode, self.pattern.split(patterns.INPUTS))
        space = vocabulary.encode(" ")  # none where pieces bring their own
        front = [*vocabulary.encode(self.description), *space] if self.description else []
        if self.examples:
            for inputs, targets in in_context(
                self.task, self.examples, vocabulary, self.split, self.seed
            ):
                front += [*before, *inputs, *behind, *space, *targets, *space]
        return front + before, behind


def in_context(
    task: tasks.ExamplesTask,
    count: int,
    vocabulary: vocabularies.Vocabulary,
    split: str = "train",
    seed: int = 0,
) -> Iterator[tuple[Ids, Ids]]:
    """Yields the tokens of inputs and targets of `count` of a split's examples, without their ends.

    They are drawn at random, no example twice, and come in the order in which the split has them.
    """
    examples = task.load(split, vocabulary, _UNCUT, _UNCUT)
    if count > len(examples):
        raise ValueError(
            f"PromptDesign.examples is {count}, but task {task.name} has {len(examples)} in its split "
            f"{split}: lower it."
        )
    drawn = examples.sample(count, seed)
    for inputs, targets in zip(drawn.inputs, drawn.targets):
        yield vocabularies.until_eos(inputs), vocabularies.until_eos(targets)
