"""Counts at the paper's sizes: exact, made of shapes alone, and drawn as they are counted."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from prompt_tuning.experiments import parameters
from prompt_tuning.methods import method
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import soft_prompt

pytest.importorskip("matplotlib")

FROZEN = {
    "small": 76_961_152,
    "base": 247_577_856,
    "large": 783_150_080,
    "xl": 2_849_757_184,
    "xxl": 11_135_332_352,
}
PROMPT = {"small": 51_200, "base": 76_800, "large": 102_400, "xl": 204_800, "xxl": 409_600}


@dataclasses.dataclass(frozen=True)
class Reparameterized(method.Method):
    """Trains two vectors, of which a matrix is made."""

    rank: int = 3

    @property
    def trainable(self):
        return ("added/.*",)

    def initial(self, base, key):
        make = lambda key: jax.random.normal(key, (self.rank, base.config.d_model))
        return {"added/a": make(key), "added/b": make(key)}

    def materialize(self, trained):
        return {"matrix": jnp.einsum("rd,re->de", trained["added/a"], trained["added/b"])}


METHODS = {
    "soft prompt": soft_prompt.SoftPrompt(),
    "model tuning": model_tuning.ModelTuning(),
    "frozen": method.Method(),
    "two|vectors": Reparameterized(),
}


@pytest.fixture(scope="module")
def counts():
    return {(x.method, x.length, x.size): x for x in parameters.count(METHODS)}


@pytest.mark.parametrize("size", FROZEN)
def test_prompts_and_models_have_the_paper_s_counts(counts, size):
    prompt = counts["soft prompt", 100, size]
    assert prompt.trained == prompt.served == PROMPT[size]
    assert prompt.model == FROZEN[size]
    assert prompt.total == FROZEN[size] + PROMPT[size]
    assert counts["soft prompt", 1, size].trained == PROMPT[size] / 100
    tuned = counts["model tuning", None, size]
    assert tuned.trained == tuned.served == tuned.total == FROZEN[size]
    assert counts["frozen", None, size].trained == 0


def test_what_is_served_is_what_the_method_makes_of_what_it_trained(counts):
    found = counts["two|vectors", None, "small"]
    assert (found.trained, found.served) == (2 * 3 * 512, 512 * 512)


def test_every_length_and_size_once(counts):
    lengths = parameters.LENGTHS
    assert len(counts) == 5 * (len(lengths) + len(METHODS) - 1)
    assert {length for name, length, _ in counts if name == "soft prompt"} == set(lengths)
    assert {length for name, length, _ in counts if name != "soft prompt"} == {None}


def test_the_table_has_the_paper_s_share(counts):
    lines = parameters.to_markdown(list(counts.values())).splitlines()
    # Table 4: 0.00368 % of XXL.
    xxl = "| soft prompt | 100 | xxl | 11,135,332,352 | 409,600 | 409,600 | 11,135,741,952 | 0.00368 |"
    assert xxl in lines
    assert any(line.startswith(r"| two\|vectors |  | small |") for line in lines)
    assert len(lines) == 2 + len(counts)


def test_the_figure_has_the_counts(counts):
    (axes,) = parameters.figure(list(counts.values())).axes
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert [x.get_text() for x in axes.get_xticklabels()] == list(FROZEN)
    lines = {line.get_label(): line for line in axes.lines}
    assert list(lines) == [
        "soft prompt (length 1 to 100)",
        "model tuning",
        "two|vectors",
        "two|vectors, served",
    ]
    assert lines["two|vectors, served"].get_ydata()[0] == 512 * 512
    assert lines["two|vectors, served"].get_linestyle() == "--"
    prompt = lines["soft prompt (length 1 to 100)"]
    np.testing.assert_array_equal(prompt.get_xdata(), list(FROZEN.values()))
    np.testing.assert_array_equal(prompt.get_ydata(), list(PROMPT.values()))
    (band,) = axes.collections
    vertices = {tuple(x) for x in band.get_paths()[0].vertices.tolist()}
    assert {(FROZEN[x], PROMPT[x] / 100) for x in FROZEN} <= vertices
    assert {(FROZEN[x], PROMPT[x]) for x in FROZEN} <= vertices


def test_all_is_written(tmp_path):
    files = parameters.draw_parameters({"soft prompt": METHODS["soft prompt"]}, tmp_path / "out")
    assert [file.name for file in files] == ["parameters.md", "parameters.png", "parameters.svg"]
    assert "51,200" in files[0].read_text()
    assert files[1].read_bytes().startswith(b"\x89PNG") and "<svg" in files[2].read_text()
