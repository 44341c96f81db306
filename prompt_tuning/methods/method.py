"""What every method says: what it adds to the network, and what is trained.

The network, the loop, evaluation and checkpoints know a method only through
this class. A new method is a new file with a subclass.
"""

from collections.abc import Mapping
import dataclasses
import pathlib
from typing import ClassVar

import jax

from prompt_tuning.checkpoints import weights
from prompt_tuning.data import packing
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.training import partition


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

    def hooks(self, base: weights.FrozenModel) -> network.Hooks:
        """Factories of the modules added to the network, by point."""
        del base
        return {}

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        """First values of the parameters that the method adds."""
        del base, key
        return {}

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
          trained: the trained parameters.
          folder: is made if it is not there.
          about: what they were trained for (prompts/files.py `Prompts.about`).
        """
        del base, trained, folder, about

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """Reads what `write` wrote: the trained parameters."""
        del base, path
        return {}

    def check_trained(self, base: weights.FrozenModel) -> None:
        """Raises ValueError if weights are trained that are held in a form for frozen ones."""
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
