"""Numbers that show why a prompt does not learn, computed at evaluation time.

A prompt whose `update_ratio` is tiny does not move; one whose rows are far
shorter or longer than the vocabulary's is unlike anything the frozen model
knows; one with little attention mass is not looked at. The share of illegal
outputs is a metric of the task (data/metrics).
"""

from collections.abc import Callable, Mapping
import sys

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from prompt_tuning.t5 import network
from prompt_tuning.t5 import parameters

PREFIX = "prompt/"  # of the names of all scalars here
Scalars = dict[str, Float[Array, ""]]

# Attention module -> (its name here, stack of its queries, stack of its keys).
_SITES = {
    ("encoder", "attention"): ("encoder", "encoder", "encoder"),
    ("decoder", "self_attention"): ("decoder", "decoder", "decoder"),
    ("decoder", "encoder_decoder_attention"): ("cross", "decoder", "encoder"),
}


def make_diagnostics(model: network.T5) -> Callable[..., dict[str, float]]:
    """`diagnose(params, batch)`, compiled once: all scalars of a parameter dict."""
    compute = jax.jit(
        lambda params, batch: prompt_norms(params) | attention_mass(model, params, batch)
    )

    def diagnose(params: parameters.Flat, batch: Mapping[str, Array]) -> dict[str, float]:
        return {name: float(x) for name, x in jax.device_get(compute(params, batch)).items()}

    return diagnose


def update_ratio(step_metrics: Mapping[str, float | Array]) -> dict[str, float]:
    """How far the last step moved what is trained, relative to its norm."""
    update, trained = (float(step_metrics[name]) for name in ("update_norm", "trained_norm"))
    return {f"{PREFIX}update_ratio": update / max(trained, sys.float_info.min)}


def prompt_norms(params: parameters.Flat) -> Scalars:
    """Row norms of each prompt, and the mean of the vocabulary's beside them."""
    prompts = {
        name.split("/")[0]: x
        for name, x in params.items()
        if name.endswith("/prompt/prompt/prompt")
    }
    scalars = {}
    for stack, prompt in prompts.items():
        norms = _row_norms(prompt)
        scalars[f"{PREFIX}row_norm_mean/{stack}"] = jnp.mean(norms)
        scalars[f"{PREFIX}row_norm_max/{stack}"] = jnp.max(norms)
    if prompts:
        table = params["token_embedder/embedding"]
        scalars[f"{PREFIX}row_norm_mean/vocabulary"] = jnp.mean(_row_norms(table))
    return scalars


def attention_mass(
    model: network.T5, params: parameters.Flat, batch: Mapping[str, Array]
) -> Scalars:
    """Share of attention on prompt rows, by layer: 0 is unseen, 1 is all.

    The mean over heads and over the queries that stand at real tokens, neither
    padding nor prompt. `encoder_uniform` is what attending to all visible
    positions alike would give.
    """
    queries, columns = _positions(model, batch)
    scalars = {}
    for path, weights in _attention_weights(model, params, batch).items():
        stack, layer, module, _ = path.split("/")
        name, of_queries, of_keys = _SITES[stack, module]
        if of_keys in columns:
            scalars[f"{PREFIX}attention_mass/{name}_{layer.replace('layers', 'layer')}"] = _mass(
                weights, queries[of_queries], columns[of_keys]
            )
    if "encoder" in columns:
        visible = queries["encoder"] | columns["encoder"]
        alike = visible / jnp.sum(visible, axis=1, keepdims=True)
        scalars[f"{PREFIX}attention_mass/encoder_uniform"] = _mass(
            alike[:, None, :], queries["encoder"], columns["encoder"]
        )
    return scalars


def _positions(
    model: network.T5, batch: Mapping[str, Array]
) -> tuple[dict[str, Bool[Array, "B _"]], dict[str, Bool[Array, "B _"]]]:
    """By stack: where real tokens stand, and, if it has a prompt, where that does."""
    real = {
        "encoder": batch["encoder_input_tokens"] != network.PAD_ID,
        "decoder": batch["decoder_loss_weights"] > 0,
    }
    prompts = {}
    for stack in list(real):
        if (hook := model.hooks.get(f"{stack}/embedding")) is not None:
            join, tokens = hook().join, batch[f"{stack}_input_tokens"]
            prompts[stack] = join(jnp.zeros_like(real[stack]), True, tokens)
            real[stack] = join(real[stack], False, tokens)
    return real, prompts


def _attention_weights(
    model: network.T5, params: parameters.Flat, batch: Mapping[str, Array]
) -> dict[str, Float[Array, "B Q S"]]:
    """Every layer's attention weights, the mean over heads, by the path at which it sows them."""
    _, state = model.apply(
        {"params": parameters.unflatten(params)},
        batch["encoder_input_tokens"],
        batch["decoder_input_tokens"],
        enable_dropout=False,
        mutable=["intermediates"],
    )
    weights, examples = {}, len(batch["encoder_input_tokens"])
    for path, (x,) in parameters.flatten(state["intermediates"]).items():
        if path.endswith("/mean_weights"):
            if x.ndim == 3:
                # A network may have several rows for an example, side by side: their mean.
                weights[path] = jnp.mean(x.reshape(examples, -1, *x.shape[1:]), axis=1)
            else:  # a scan has those of all layers in one
                paths = (path.replace("/layers/", f"/layers_{i}/") for i in range(len(x)))
                weights |= dict(zip(paths, x))
    return weights


def _mass(
    weights: Float[Array, "B #Q S"], queries: Bool[Array, "B Q"], columns: Bool[Array, "B S"]
) -> Float[Array, ""]:
    on_columns = jnp.sum(weights * columns[:, None, :], axis=-1)
    return jnp.sum(on_columns * queries) / jnp.sum(queries)


def _row_norms(rows: Float[Array, "*R D"]) -> Float[Array, "*R"]:
    return jnp.linalg.norm(rows.astype(jnp.float32), axis=-1)
