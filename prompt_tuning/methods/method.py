"""What every method says: what it adds to the network, and what is trained.

The network, the loop, evaluation and checkpoints know a method only through
this class. A new method is a new file with a subclass.
"""

from collections.abc import Callable, Mapping
import dataclasses
import pathlib
from typing import ClassVar

import jax
from jaxtyping import Array, Float

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import packing
from prompt_tuning.prompts import files
from prompt_tuning.t5 import hooks as points
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition


@dataclasses.dataclass(frozen=True)
class Method:
    """The method that adds nothing and trains nothing: the frozen model as it is."""

    # Whether `write` is cheap enough to be called at every save of a run.
    writes_every_save: ClassVar[bool] = False

    @property
    def trainable(self) -> tuple[str, ...]:
        """Regexes of the names of the parameters that are trained."""
        return ()

    @property
    def identity(self) -> dict[str, str]:
        """What shapes do not tell of a method, and a run or prompt that goes on must have in common."""
        return {}

    @property
    def slots(self) -> packing.Slots | None:
        """Of an example in a packed row, those for the rows that the method adds to the encoder's
        input; None if it also adds rows that such examples have no slots for.
        """
        return packing.Slots()

    def hooks(self, base: weights.FrozenModel) -> points.Hooks:
        """Factories of the modules added to the network, by point."""
        del base
        return {}

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        """First values of the parameters that the method adds."""
        del base, key
        return {}

    def materialize(self, trained: parameters.Flat) -> parameters.Flat:
        """The network's own parameters, of those that are trained: others only where a method trains
        what makes them (a reparameterisation). A pure function, part of every step.
        """
        return trained

    def about(self, base: weights.FrozenModel, **known: object) -> dict[str, str]:
        """What is written beside what was learned: the base model, `identity`, and what else is known;
        None is not (prompts/files.py `Prompts.about`).
        """
        found = {"base_model": base.name, "fingerprint": base.fingerprint, **known, **self.identity}
        return {name: str(value) for name, value in found.items() if value is not None}

    def write(
        self,
        base: weights.FrozenModel,
        trained: parameters.Flat,
        folder: pathlib.Path,
        about: Mapping[str, str],
    ) -> None:
        """Writes what was learned, in the form its users read, into `folder`.

        Args:
          base: the frozen model.
          trained: the trained parameters; what is written is for the network (`materialize`).
          folder: is made if it is not there.
          about: what they were trained for, of `self.about`.
        """
        del base, trained, folder, about

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """Reads what `write` wrote: parameters of the network."""
        del base, path
        return {}

    def check_trained(self, base: weights.FrozenModel) -> None:
        """Raises ValueError if nothing is trained, or weights that are held in a form for frozen ones."""
        if not self.trainable:
            raise ValueError(
                f"{type(self).__name__} trains nothing: evaluate it (prompt_tuning.eval) or predict with "
                "it (prompt_tuning.infer), neither of which needs a PROMPT_FILE for it; or set METHOD to "
                "one that trains, such as that of gin/methods/soft_prompt.gin."
            )
        execution = base.execution
        if not (execution.scan_layers or execution.int8_weights):
            return
        labels = partition.labels(base.params, self.trainable)
        trained = [name for name, label in labels.items() if label == partition.TRAINED]
        if trained:
            raise ValueError(
                f"{type(self).__name__} trains {trained[0]} of the model: set Execution.scan_layers "
                "and Execution.int8_weights to False, for they hold weights in a form that only a "
                "frozen model can have."
            )

    def network(self, base: weights.FrozenModel) -> network.T5:
        """The network with this method's modules in place."""
        base.execution.check(base.config.compute_dtype)
        return network.T5(base.config, self.hooks(base), base.execution)


def first_rows(
    initializer: Callable,
    base: weights.FrozenModel,
    key: jax.Array,
    rows: int,
    otherwise: str | None = None,
    any_base_model: bool = False,
) -> Float[Array, "P D"]:
    """First values of a prompt's P rows (prompts/initializers.py).

    Raises ValueError where they are read from a prompt of another base model, unless `any_base_model`;
    `otherwise` as in `check_base`.
    """
    for path in () if any_base_model else getattr(initializer, "prompt_files", ()):
        check_base(base, files.read_prompts(path).about, f"PROMPT_FILE {path}", otherwise)
    shape = rows, base.config.d_model
    return initializer(key, shape, table=base.table, vocabulary=base.vocabulary)


def check_base(
    base: weights.FrozenModel, about: Mapping[str, str], what: str, otherwise: str | None = None
) -> None:
    """Raises ValueError where what was learned says that it was trained on another base model.

    Args:
      base: the model that it is to be used with.
      about: what was written with it.
      what: that, for the error.
      otherwise: what its reader can set to use it all the same, if anything.
    """
    trained_on = about.get("fingerprint")
    if trained_on is not None and trained_on != base.fingerprint:
        raise ValueError(
            f"{what} was trained on {about.get('base_model', 'a model')} (fingerprint {trained_on}), this "
            f"model is {base.name} ({base.fingerprint}). Change PROMPT_FILE or the model."
            + (f" {otherwise} takes it as it is." if otherwise else "")
        )
