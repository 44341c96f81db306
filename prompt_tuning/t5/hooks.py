"""The points of the network at which a method adds its modules.

A hook is a factory of a linen module, called once, where the network is set up, in the scope of the
module that has the point: a hook of a layer is called for each layer of its stack. By point, S being
"encoder" or "decoder", A one of its attentions and M "S/mlp":

  "S/embedding"      `__call__(embedded [B, T, D], tokens [B, T]) -> [B, S, D]` joins rows to the embedded
                     input, before dropout; `join(values [B, T], fill, tokens [B, T]) -> [B, S]` does the
                     same to a mask, `fill` standing at the added rows. The decoder's rows are in front,
                     and `length` is their number. The encoder's, of a method with `slots`, also has `fill(embedded [B, S, D], slots
                     [B, S]) -> [B, S, D]`, which puts the rows in the slots that packed examples keep
                     free: columns with a segment, but no token (data/packing.py).
  "S/layer"          `__call__(x [B, S, D]) -> [B, S, D]`, what a layer is given.
  "A/key_value"      `__call__(key [B, H, S, K], value [B, H, S, K])` -> both, with `length` rows in front
                     that every query sees, at no relative position.
  "A/output", "M/output"   `__call__(h [B, S, D]) -> [B, S, D]`, what is about to be added back.
  "M/hidden"         `__call__(h [B, S, F]) -> [B, S, F]`, what the activation gave.
  "A/query", "A/key", "A/value", "A/out", "M/wi_0", "M/wi_1", "M/wi", "M/wo"
                     `__call__(x [*B, I], y [*B, O]) -> [*B, O]`, a projection's input and output.
  "logits"           `__call__(logits [B, L, V], encoded [B, S, D], tokens [B, L], cached: bool) -> [B, L, V]`;
                     `tokens` are the decoder's inputs, with a cache the newest alone.
"""

from collections.abc import Callable, Mapping

from flax import linen as nn
from flax.core import FrozenDict

Hook = Callable[[], nn.Module]
Hooks = Mapping[str, Hook]
NONE: Hooks = FrozenDict()

ATTENTIONS = ("encoder/attention", "decoder/self_attention", "decoder/encoder_decoder_attention")
MLPS = ("encoder/mlp", "decoder/mlp")
PROJECTIONS = ("query", "key", "value", "out", "wi_0", "wi_1", "wi", "wo")
EMBEDDINGS = ("encoder/embedding", "decoder/embedding")
# Those inside a layer.
IN_LAYERS = (
    "encoder/layer",
    "decoder/layer",
    *(f"{a}/{x}" for a in ATTENTIONS for x in ("key_value", "output")),
    *(f"{a}/{x}" for a in ATTENTIONS for x in PROJECTIONS[:4]),
    *(f"{m}/{x}" for m in MLPS for x in ("hidden", "output", *PROJECTIONS[4:])),
)
POINTS = (*EMBEDDINGS, *IN_LAYERS, "logits")


def below(hooks: Hooks, part: str) -> Hooks:
    """The hooks of the points of `part`, by the rest of their names."""
    names = [name for name in hooks if name.startswith(f"{part}/")]
    return FrozenDict({name.removeprefix(f"{part}/"): hooks[name] for name in names})


def check(hooks: Hooks, scanned: bool) -> None:
    """Raises ValueError for a point that there is none of, or not in layers that are `scanned`."""
    if unknown := set(hooks) - set(POINTS):
        raise ValueError(f"The network has no points {sorted(unknown)}; its points are {POINTS}.")
    if scanned and (inside := sorted(set(hooks) & set(IN_LAYERS))):
        raise ValueError(
            f"This method adds to every layer, at {inside[0]}: set Execution.scan_layers to False."
        )
