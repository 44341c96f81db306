"""A T5X checkpoint has no configuration on disk: what the shapes of its parameters tell, and what not."""

from collections.abc import Mapping
import dataclasses

from prompt_tuning.checkpoints.stored import CheckpointError
from prompt_tuning.t5 import config as t5_config

Shapes = Mapping[str, tuple[int, ...]]
UNTOLD = ("relpos_max_distance", "activation")


def infer_config(
    shapes: Shapes, given: t5_config.T5Config | None, where: str
) -> t5_config.T5Config:
    """The configuration of the T5 whose parameters have these shapes.

    Args:
      shapes: by the names of an unscanned T5X model.
      given: tells what shapes cannot (`UNTOLD`), and nothing else; without it that is as T5X's
        published models have it: distances up to 128, GELU where the feed-forward layer is gated and
        ReLU where it is not.
      where: the checkpoint, for messages.

    Raises:
      CheckpointError: the parameters are no T5's.
    """
    vocab_size, d_model = _matrix(shapes, where, "token_embedder/embedding")
    shared, per_layer = (f"encoder/{x}relpos_bias/rel_embedding" for x in ("", "layers_0/"))
    gate, plain = (f"encoder/layers_0/mlp/{x}/kernel" for x in ("wi_0", "wi"))
    num_heads, buckets = _matrix(shapes, where, shared, per_layer)
    gated = gate in shapes
    found = t5_config.T5Config(
        vocab_size=vocab_size,
        d_model=d_model,
        num_heads=num_heads,
        head_dim=_head_dim(shapes, where, num_heads),
        d_ff=_matrix(shapes, where, gate, plain)[1],
        num_encoder_layers=_layers(shapes, where, "encoder"),
        num_decoder_layers=_layers(shapes, where, "decoder"),
        relpos_buckets=buckets,
        relpos_per_layer=shared not in shapes,
        gated=gated,
        activation="gelu" if gated else "relu",
        tied_logits="decoder/logits_dense/kernel" not in shapes,
    )
    untold = {} if given is None else {name: getattr(given, name) for name in UNTOLD}
    return dataclasses.replace(found, **untold)


def _matrix(shapes: Shapes, where: str, *names: str) -> tuple[int, int]:
    """The shape of the one parameter, of several names that it may have, that is there."""
    name = next((name for name in names if name in shapes), None)
    if name is None:
        raise CheckpointError(f"{where} is no T5's: expected a parameter {' or '.join(names)}.")
    if len(shapes[name]) != 2 or 0 in shapes[name]:
        raise CheckpointError(f"{where}: expected two axes of {name}, found {shapes[name]}.")
    return shapes[name]


def _head_dim(shapes: Shapes, where: str, num_heads: int) -> int:
    name = "encoder/layers_0/attention/query/kernel"
    width = _matrix(shapes, where, name)[1]
    if width % num_heads:
        raise CheckpointError(
            f"{where}: expected a width of {name} that its {num_heads} heads divide, found {width}."
        )
    return width // num_heads


def _layers(shapes: Shapes, where: str, stack: str) -> int:
    start = f"{stack}/layers_"
    layers = {name.removeprefix(start).split("/")[0] for name in shapes if name.startswith(start)}
    if not layers:
        raise CheckpointError(f"{where} is no T5's: expected parameters {start}0/….")
    return len(layers)
