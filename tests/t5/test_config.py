"""Published sizes, and refusal of what is no T5."""

import pytest

from prompt_tuning.t5 import config as t5_config
from tests.t5 import tiny

PROMPT = "encoder/prompt/prompt/prompt"


@pytest.mark.parametrize(
    "size, frozen, prompt",
    [
        ("small", 76_961_152, 51_200),
        ("base", 247_577_856, 76_800),
        ("large", 783_150_080, 102_400),
        ("xl", 2_849_757_184, 204_800),
        ("xxl", 11_135_332_352, 409_600),
    ],
)
def test_published_sizes_have_the_published_parameter_counts(size, frozen, prompt):
    model = tiny.build(t5_config.t5_1_1(size), encoder_prompt=100)
    params = tiny.shapes(model)["params"]
    assert params.pop(PROMPT).size == prompt
    assert sum(array.size for array in params.values()) == frozen


def test_unknown_field_is_named_with_the_file_and_the_nearest():
    with pytest.raises(ValueError, match=r"config\.json.*'d_modell'.*'d_model'"):
        t5_config.T5Config.from_dict({"d_modell": 8}, "config.json")


@pytest.mark.parametrize(
    "field, value",
    [
        ("num_heads", 0),
        ("vocab_size", 2**31),
        ("relpos_buckets", 3),
        ("relpos_max_distance", 16),
        ("activation", "swish"),
        ("dtype", "float16"),
        ("dropout_rate", 1.0),
    ],
)
def test_impossible_values_are_named(field, value):
    with pytest.raises(ValueError, match=f"T5Config.{field} must .*{value!r}"):
        t5_config.T5Config(**{field: value})


def test_unknown_size_lists_the_known():
    with pytest.raises(ValueError, match="'small'.*'xxl'.*'huge'"):
        t5_config.t5_1_1("huge")
