"""What methods share that add modules to the network and train the parameters of these.

A subclass says `hooks`; the modules make their own first values.
"""

from collections.abc import Mapping
import pathlib

import jax
import jax.numpy as jnp
import numpy as np

from prompt_tuning.checkpoints import described
from prompt_tuning.checkpoints import model_dirs
from prompt_tuning.checkpoints import weights
from prompt_tuning.methods import method
from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition

FILE = model_dirs.LEARNED
SCOPE = "added"  # of the modules' parameters, in the scope of the point


class Added(method.Method):
    """Trains what its modules, all of them named `SCOPE`, own.

    The modules name an axis of every parameter "added" (training/sharding.py), and none "kernel",
    which stands for the model's own.
    """

    @property
    def trainable(self) -> tuple[str, ...]:
        return (f"(.*/)?{SCOPE}/.*",)

    def initial(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        """What the modules' initialisers give; the model's own parameters are not made."""
        model = network.T5(base.config, self.hooks(base))
        tokens = jnp.ones((1, 1), jnp.int32)

        def made(key):
            params = model.init(key, tokens, tokens, enable_dropout=False)["params"]
            return {k: x for k, x in parameters.flatten(params).items() if k not in base.params}

        return jax.jit(made)(key)

    def write(
        self,
        base: weights.FrozenModel,
        trained: parameters.Flat,
        folder: pathlib.Path,
        about: Mapping[str, str],
    ) -> None:
        """All of it in one file, learned.safetensors."""
        del base
        about = {**about, "method": type(self).__name__, **self.identity}
        # Of several processes this one alone computes here, so on its own device, and not on arrays
        # that they share.
        own = {name: jnp.asarray(np.asarray(x)) for name, x in trained.items()}
        described.write(folder / FILE, self.materialize(own), about)

    def read(self, base: weights.FrozenModel, path: pathlib.Path) -> parameters.Flat:
        """Reads what `write` wrote; raises ValueError where it does not fit this method or model."""
        folder, path = path, path / FILE if path.is_dir() else path
        if not path.is_file():
            raise FileNotFoundError(
                f"PROMPT_FILE: there is no {FILE} in {folder}, which {type(self).__name__} writes, but "
                f"{sorted(x.name for x in folder.iterdir())}: set METHOD to the one that it is of, or "
                "change PROMPT_FILE."
            )
        arrays, about = described.read(path)
        expected = {"method": type(self).__name__, **self.identity}
        for name, value in expected.items():
            if about.get(name, value) != value:
                raise ValueError(
                    f"PROMPT_FILE {path} was trained with {name} {about[name]}, found {value}: change "
                    "METHOD or its arguments, or PROMPT_FILE."
                )
        method.check_base(base, about, f"PROMPT_FILE {path}")
        key = jax.random.key(0)  # made here, for initialisers index tables by numbers they draw
        shapes = jax.eval_shape(lambda: self.materialize(self._trained_of(base, key)))
        problems = [
            f"{name}: expected {_shape(shapes, name)}, found {_shape(arrays, name)}"
            for name in sorted(shapes.keys() | arrays.keys())
            if _shape(shapes, name) != _shape(arrays, name)
        ]
        if problems:
            raise ValueError(
                f"PROMPT_FILE {path} does not fit {type(self).__name__}: {'; '.join(problems[:5])}. "
                "Change the method's arguments, the model, or PROMPT_FILE."
            )
        if bad := [name for name, x in arrays.items() if not np.isfinite(x).all()]:
            raise ValueError(
                f"PROMPT_FILE {path}: expected finite numbers, but {bad[0]} has others."
            )
        return arrays

    def _trained_of(self, base: weights.FrozenModel, key: jax.Array) -> parameters.Flat:
        """What would be trained, the model's own parameters among it."""
        labels = partition.labels(base.params, self.trainable)
        own = [name for name, label in labels.items() if label == partition.TRAINED]
        return {n: jnp.zeros(base.params[n].shape) for n in own} | self.initial(base, key)


def _shape(arrays: Mapping[str, jax.ShapeDtypeStruct | np.ndarray], name: str) -> str:
    return str(list(arrays[name].shape)) if name in arrays else "nothing"
