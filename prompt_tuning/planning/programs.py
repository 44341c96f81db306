"""The programs of a run before they are compiled, for devices that need not be here.

Everything is shapes, types and shardings; no weight is read or made.
"""

import dataclasses
from typing import Any

import jax
from jax.sharding import Mesh, NamedSharding, PartitionSpec
import jax.numpy as jnp
import optax

from prompt_tuning.checkpoints import weights
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import method as methods
from prompt_tuning.t5 import partition
from prompt_tuning.training import optimizers
from prompt_tuning.training import sharding
from prompt_tuning.training import step as training_step
from prompt_tuning.training import weight_forms

Shapes = dict[str, jax.ShapeDtypeStruct]


def added_shapes(method: methods.Method, model: weights.FrozenModel) -> Shapes:
    """The parameters that a method adds; runs its checks against the model and its vocabulary.

    Traced, not computed, but for initializers that index a table by numbers they draw. Of a model on
    disk it reads what the first values of a prompt need.
    """
    unmade = {k: x for k, x in model.params.items() if isinstance(x, jax.ShapeDtypeStruct)}

    def initial(params):
        described = dataclasses.replace(model, params=model.params | params)
        return method.initial(described, jax.random.key(0))

    def drawn(params):
        with jax.ensure_compile_time_eval():
            return initial(params)

    try:
        return jax.eval_shape(initial, unmade)
    except jax.errors.JAXTypeError:  # a number was asked for
        return jax.eval_shape(drawn, unmade)


def batch_shapes(
    rows: int, inputs_length: int, targets_length: int, *, packed: bool = False
) -> Shapes:
    """The arrays of a batch, or of one part of a step's."""
    inputs = jax.ShapeDtypeStruct((rows, inputs_length), jnp.int32)
    targets = jax.ShapeDtypeStruct((rows, targets_length), jnp.int32)
    segments = {"encoder_segment_ids": inputs, "decoder_segment_ids": targets}
    return {
        "encoder_input_tokens": inputs,
        "decoder_input_tokens": targets,
        "decoder_target_tokens": targets,
        "decoder_loss_weights": jax.ShapeDtypeStruct(targets.shape, jnp.float32),
        **(segments if packed else {}),
    }


@dataclasses.dataclass(frozen=True)
class Programs:
    """What a run computes on the devices of a mesh.

    Attributes:
      model: as `models.Model.describe` gives it.
      method: what is added and trained.
      layout: how arrays lie on the mesh.
      mesh: of the devices.
      shape: (B, T, L) of a batch.
    """

    model: weights.FrozenModel
    method: methods.Method
    layout: sharding.Layout
    mesh: Mesh
    shape: tuple[int, int, int]

    def train_step(self, optimizer: optax.GradientTransformation) -> jax.stages.Lowered:
        """The loop's step, of one part."""
        self.method.check_trained(self.model)
        trained, frozen = partition.split(self._params(), self.method.trainable)
        trained = {name: _as(x, jnp.float32) for name, x in trained.items()}
        optimizer = optimizers.freeze(optimizer, self.method.trainable)
        state = self._state(trained, optimizer)
        step = training_step.CompiledStep(
            self._network, optimizer, 0, state, self.method.materialize
        )
        batch = {name: self._rows(x) for name, x in batch_shapes(*self.shape).items()}
        return step.lower(state, frozen, batch, self._everywhere(jnp.bool_))

    def predict(self, decoder: decoders.Decoder, labels: list[str] | None) -> jax.stages.Lowered:
        """The evaluation's step: a batch of predictions."""
        batch_size, inputs_length, targets_length = self.shape
        decode = predict.make_decode(
            self._network, decoder, self.model.vocabulary, targets_length, labels
        )
        inputs = self._rows(jax.ShapeDtypeStruct((batch_size, inputs_length), jnp.int32))
        rows = self._rows(jax.ShapeDtypeStruct((batch_size,), jnp.int32))
        params = self._params()
        if self.method.trainable:
            trained, _ = partition.split(params, self.method.trainable)
            for name, x in jax.eval_shape(self.method.materialize, trained).items():
                params.setdefault(name, self._everywhere(x.dtype, x.shape))
        return jax.jit(decode).lower(params, {}, rows, inputs, rows)

    @property
    def _network(self):
        return self.method.network(self.model)

    def _params(self) -> Shapes:
        network = self._network
        params = dict(self.model.params) | added_shapes(self.method, self.model)
        params = weight_forms.in_form(params, network.execution)
        shardings = self.layout.param_shardings(network, self.mesh, params)
        return {
            name: jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=shardings[name])
            for name, x in params.items()
        }

    def _state(
        self, trained: Shapes, optimizer: optax.GradientTransformation
    ) -> training_step.TrainState:
        """As the loop places it: accumulators lie as what they are of, all else everywhere."""

        def placed(path, x):
            owner = next((trained[k.key] for k in path if getattr(k, "key", None) in trained), None)
            if owner is not None and owner.shape == x.shape:
                return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=owner.sharding)
            return self._everywhere(x.dtype, x.shape)

        create = lambda trained: training_step.TrainState.create(trained, optimizer)
        return jax.tree_util.tree_map_with_path(placed, jax.eval_shape(create, trained))

    def _rows(self, x: jax.ShapeDtypeStruct) -> jax.ShapeDtypeStruct:
        return jax.ShapeDtypeStruct(x.shape, x.dtype, sharding=sharding.batch_rows(self.mesh))

    def _everywhere(self, dtype: Any, shape: tuple[int, ...] = ()) -> jax.ShapeDtypeStruct:
        whole = NamedSharding(self.mesh, PartitionSpec())
        return jax.ShapeDtypeStruct(shape, dtype, sharding=whole)


def _as(x: jax.ShapeDtypeStruct, dtype: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(x.shape, dtype, sharding=x.sharding)
