"""Names of T5's parameters at Hugging Face, by their names in T5X: one table for both directions.

Linear layers lie transposed at Hugging Face, [outputs, inputs], and position tables too, [buckets,
heads].
"""

from prompt_tuning.t5 import config as t5_config

TABLE, HEAD, HEAD_KERNEL = "shared.weight", "lm_head.weight", "decoder/logits_dense/kernel"
SAME_TABLE = ("encoder.embed_tokens.weight", "decoder.embed_tokens.weight")
UNUSED = ("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight",)  # T5 1.0
MLP = {
    "wi/kernel": "DenseReluDense.wi",
    "wi_0/kernel": "DenseReluDense.wi_0",
    "wi_1/kernel": "DenseReluDense.wi_1",
    "wo/kernel": "DenseReluDense.wo",
}
LAYERS = {  # by stack: what a layer holds
    "encoder": {
        "pre_attention_layer_norm/scale": "0.layer_norm",
        "attention/query/kernel": "0.SelfAttention.q",
        "attention/key/kernel": "0.SelfAttention.k",
        "attention/value/kernel": "0.SelfAttention.v",
        "attention/out/kernel": "0.SelfAttention.o",
        "pre_mlp_layer_norm/scale": "1.layer_norm",
        **{f"mlp/{ours}": f"1.{theirs}" for ours, theirs in MLP.items()},
    },
    "decoder": {
        "pre_self_attention_layer_norm/scale": "0.layer_norm",
        "self_attention/query/kernel": "0.SelfAttention.q",
        "self_attention/key/kernel": "0.SelfAttention.k",
        "self_attention/value/kernel": "0.SelfAttention.v",
        "self_attention/out/kernel": "0.SelfAttention.o",
        "pre_cross_attention_layer_norm/scale": "1.layer_norm",
        "encoder_decoder_attention/query/kernel": "1.EncDecAttention.q",
        "encoder_decoder_attention/key/kernel": "1.EncDecAttention.k",
        "encoder_decoder_attention/value/kernel": "1.EncDecAttention.v",
        "encoder_decoder_attention/out/kernel": "1.EncDecAttention.o",
        "pre_mlp_layer_norm/scale": "2.layer_norm",
        **{f"mlp/{ours}": f"2.{theirs}" for ours, theirs in MLP.items()},
    },
}
RELPOS = "0.SelfAttention.relative_attention_bias"
TRANSPOSED = ("/kernel", "/rel_embedding")


def names_of(config: t5_config.T5Config) -> dict[str, str]:
    """Hugging Face's name of each parameter by T5X's."""
    names = {"token_embedder/embedding": TABLE}
    if not config.tied_logits:
        names[HEAD_KERNEL] = HEAD
    absent = "mlp/wi/" if config.gated else "mlp/wi_"
    depths = {"encoder": config.num_encoder_layers, "decoder": config.num_decoder_layers}
    for stack, depth in depths.items():
        layer = {ours: x for ours, x in LAYERS[stack].items() if not ours.startswith(absent)}
        if config.relpos_per_layer:
            layer["relpos_bias/rel_embedding"] = RELPOS
        else:
            names[f"{stack}/relpos_bias/rel_embedding"] = f"{stack}.block.0.layer.{RELPOS}.weight"
        for number in range(depth):
            names |= {
                f"{stack}/layers_{number}/{ours}": f"{stack}.block.{number}.layer.{theirs}.weight"
                for ours, theirs in layer.items()
            }
        names[f"{stack}/{stack}_norm/scale"] = f"{stack}.final_layer_norm.weight"
    return names
