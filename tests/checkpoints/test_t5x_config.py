"""What the shapes of a T5X checkpoint tell of its model, and what is said where they do not fit."""

import dataclasses

import hypothesis
from hypothesis import strategies as st
import pytest

from prompt_tuning.checkpoints import t5x_config
from prompt_tuning.checkpoints.stored import CheckpointError
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import parameters
from tests import models

CONFIGS = st.builds(
    t5_config.T5Config,
    vocab_size=st.sampled_from([32100, 32128]) | st.integers(1, 50),
    d_model=st.integers(1, 9),
    num_heads=st.integers(1, 4),
    head_dim=st.integers(1, 5),
    d_ff=st.integers(1, 9),
    num_encoder_layers=st.integers(1, 3),
    num_decoder_layers=st.integers(1, 2),
    relpos_buckets=st.integers(2, 6).map(lambda x: 2 * x),
    relpos_per_layer=st.booleans(),
    gated=st.booleans(),
    activation=st.sampled_from(t5_config.ACTIVATIONS),
    relpos_max_distance=st.integers(7, 200),
    tied_logits=st.booleans(),
)


@hypothesis.given(CONFIGS)
@hypothesis.settings(max_examples=8)
def test_shapes_tell_the_model(config):
    shapes = parameters.expected_shapes(config)
    published = dataclasses.replace(
        config, relpos_max_distance=128, activation="gelu" if config.gated else "relu"
    )
    assert t5x_config.infer_config(shapes, None, "here") == published
    assert t5x_config.infer_config(shapes, config, "here") == config


def test_shapes_win_over_what_is_given():
    shapes = parameters.expected_shapes(models.tiny_config())
    given = models.tiny_config(d_model=8, tied_logits=True, relpos_max_distance=19)
    found = t5x_config.infer_config(shapes, given, "here")
    assert found == models.tiny_config(relpos_max_distance=19)
    assert given.differences(found) == [
        "d_model: expected 8, found 16",
        "tied_logits: expected True, found False",
    ]


@pytest.mark.parametrize(
    ("lost", "message"),
    [
        ("token_embedder/embedding", "expected a parameter token_embedder/embedding"),
        ("encoder/relpos_bias/rel_embedding", "expected a parameter encoder/relpos_bias/rel_emb"),
        ("encoder/layers_0/mlp/wi_0/kernel", "wi_0/kernel or encoder/layers_0/mlp/wi/kernel"),
        ("decoder/layers", "expected parameters decoder/layers_0"),
    ],
)
def test_what_is_no_t5_is_told_by_what_it_lacks(lost, message):
    shapes = parameters.expected_shapes(models.tiny_config())
    shapes = {name: shape for name, shape in shapes.items() if not name.startswith(lost)}
    with pytest.raises(CheckpointError, match=message):
        t5x_config.infer_config(shapes, None, "here")


def test_shapes_that_no_t5_has():
    shapes = parameters.expected_shapes(models.tiny_config())
    relpos, query = "encoder/relpos_bias/rel_embedding", "encoder/layers_0/attention/query/kernel"
    with pytest.raises(CheckpointError, match=f"two axes of {relpos}, found"):
        t5x_config.infer_config(shapes | {relpos: (3, 4, 5)}, None, "here")
    with pytest.raises(CheckpointError, match=f"{query} that its 3 heads divide, found 16"):
        t5x_config.infer_config(shapes | {relpos: (3, 32)}, None, "here")
