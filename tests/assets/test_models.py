"""The frozen models that ship with the project: one vocabulary, one recipe, the shapes that they are made by."""

import json
import math

import gin
import pytest

from prompt_tuning import models
from prompt_tuning.cli import reading
from prompt_tuning.experiments import plan_file

RUNGS = {
    name: name.removeprefix("pocket_t5_").replace("pocket_t5", "3M") for name in models.SHIPPED
}


@pytest.mark.parametrize("name", models.SHIPPED)
def test_a_shipped_model_is_a_rung_of_the_ladder(name):
    model = models.PretrainedModel(name).load()
    reading.read([f"models/sizes/ladder/{RUNGS[name]}.gin"], [], [])
    for parameter in (
        "d_model",
        "num_heads",
        "head_dim",
        "d_ff",
        "num_encoder_layers",
        "vocab_size",
    ):
        assert getattr(model.config, parameter) == gin.query_parameter(f"T5Config.{parameter}")
    gin.clear_config()
    shared = models.PretrainedModel("pocket_t5").load().vocabulary
    assert model.vocabulary.fingerprint == shared.fingerprint
    assert (models.ASSETS / name / "LICENSE.wordnet").is_file()
    count = sum(math.prod(x.shape) for x in model.params.values())
    assert f"{count:,} parameters" in (models.ASSETS / name / "README.md").read_text()


def test_plans_know_the_rungs_by_name_and_size():
    counts = {}
    for plan in map(plan_file.read, ("scale", "objective")):
        for size, choice in plan.axes["size"].items():
            counts.setdefault(size, set()).add(choice.x)
    scale = plan_file.read("scale").axes["size"]
    for size, choice in scale.items():
        name = json.loads(choice.settings.bindings["INITIAL_CHECKPOINT_PATH"])
        params = models.PretrainedModel(name).load().params
        assert counts[size] == {sum(math.prod(x.shape) for x in params.values())}
    assert {RUNGS[name] for name in models.SHIPPED} == set(scale)
