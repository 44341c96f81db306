"""What a run learned, on top of the frozen model, for those who are given its folder."""

from collections.abc import Mapping, Sequence
import dataclasses
import logging
import os

import jax
from jaxtyping import Float
import numpy as np

from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import soft_prompt
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

log = logging.getLogger(__name__)
Path = str | os.PathLike


@dataclasses.dataclass(frozen=True)
class Adapted:
    """A frozen model with what was learned in place, ready to predict.

    Attributes:
      network: with the method's modules.
      params: its parameters, without those of `bank`.
      bank: where several prompts share the model: name of a parameter -> all N of it, of which each
        row of a batch takes its own.
    """

    network: network.T5
    params: parameters.Flat
    bank: Mapping[str, Float[np.ndarray, "N P D"]] = dataclasses.field(default_factory=dict)


def adapt(model: weights.FrozenModel, method: methods.Method, learned: Path | None) -> Adapted:
    """The model with what one run learned.

    Args:
      model: the frozen model.
      method: reads what it wrote.
      learned: a prompt file, a folder that the method wrote, or a run's MODEL_DIR; None for a
        method that trains nothing.
    """
    _check_given(method, learned)
    if not method.trainable:
        added = method.initial(
            model, jax.random.key(0)
        )  # which draws nothing, as nothing is trained
        return Adapted(method.network(model), model.params | added)
    return Adapted(method.network(model), model.params | _read(model, method, learned))


def adapt_by_row(
    model: weights.FrozenModel, method: methods.Method, learned: Sequence[Path], rows: int
) -> Adapted:
    """The model with the prompts of several runs; each of a batch's `rows` says which it takes."""
    if not isinstance(method, soft_prompt.SoftPrompt) or not learned:
        raise ValueError(
            f"PROMPT_FILE has {len(learned)} prompts for {type(method).__name__}: several at once "
            "need SoftPrompt, and at least one of them."
        )
    read = [_read(model, method, path) for path in learned]
    bank = {name: np.stack([prompt[name] for prompt in read]) for name in method.trainable}
    return Adapted(method.per_row(model, rows), model.params, bank)


def _read(model: weights.FrozenModel, method: methods.Method, path: Path) -> parameters.Flat:
    found = model_dirs.find_learned(path)
    log.info("Reading %s", found)
    return method.read(model, found)


def check(
    method: methods.Method, prompt_file: Path | Sequence[Path] | Mapping[str, Path] | None
) -> None:
    """Checks PROMPT_FILE, in any of its forms, before anything is read.

    Raises:
      ValueError: the method has no use for one, or cannot do without.
      FileNotFoundError: nothing is there.
    """
    _check_given(method, prompt_file)
    if isinstance(prompt_file, Path):
        prompt_file = [prompt_file]
    elif isinstance(prompt_file, Mapping):
        prompt_file = list(prompt_file.values())
    for path in prompt_file or ():
        model_dirs.find_learned(path)


def _check_given(method: methods.Method, prompt_file: object | None) -> None:
    name = type(method).__name__
    if method.trainable and prompt_file is None:
        raise ValueError(
            f"{name} needs what it learned: set PROMPT_FILE to a prompt file or to the MODEL_DIR of a run."
        )
    if not method.trainable and prompt_file is not None:
        raise ValueError(
            f"{name} learns nothing, found PROMPT_FILE {prompt_file}: leave it out, or set METHOD to the "
            "one that wrote it."
        )
