"""How many parameters each method trains for a task, at the paper's sizes: its Figure 4 and Table 4.

Counted from shapes alone, those of the arrays that the method itself makes: no weight is made. Scores
are in plot.py and tables.py.
"""

from collections.abc import Mapping, Sequence
import dataclasses
import math
import os
import pathlib

import jax

from prompt_tuning import models
from prompt_tuning.checkpoints import weights
from prompt_tuning.experiments import plot
from prompt_tuning.experiments import tables
from prompt_tuning.methods import adapters
from prompt_tuning.methods import ia3
from prompt_tuning.methods import lora
from prompt_tuning.methods import method as methods
from prompt_tuning.methods import model_tuning
from prompt_tuning.methods import p_tuning
from prompt_tuning.methods import prefix_tuning
from prompt_tuning.methods import prompt_design
from prompt_tuning.methods import soft_prompt
from prompt_tuning.methods import soft_words
from prompt_tuning.methods import warp
from prompt_tuning.planning import programs
from prompt_tuning.prompts import initializers
from prompt_tuning.t5 import config as t5_config
from prompt_tuning.t5 import parameters
from prompt_tuning.t5 import partition

# The settings that the paper says; of what it does not say, those that prompt_tuning/methods/README.md tells.
ROWS, CLASSES, HIDDEN, WIDTH, RANK = 100, 2, 512, 64, 8
METHODS: Mapping[str, methods.Method] = {
    "soft prompt": soft_prompt.SoftPrompt(ROWS, initializers.Uniform()),
    "model tuning": model_tuning.ModelTuning(),
    "prompt design": prompt_design.PromptDesign("{inputs} Answer:"),
    "prefix tuning": prefix_tuning.PrefixTuning(ROWS, HIDDEN),
    "P-tuning": p_tuning.PTuning(f"[{ROWS}] {{inputs}}"),
    "WARP": warp.WARP(tuple(map(str, range(CLASSES))), ROWS, initializers.Uniform()),
    "soft words": soft_words.SoftWords("the", ROWS),
    "adapters": adapters.Adapters(WIDTH),
    "LoRA": lora.LoRA(RANK),
    "IA3": ia3.IA3(),
}
LENGTHS = (1, 5, 20, 50, 100, 150)
BAND = (1, 100)  # lengths, in Figure 4


@dataclasses.dataclass(frozen=True)
class Count:
    """Of one method on one model.

    Attributes:
      method: its name.
      length: of the prompt or prefix; None for a method without one.
      size: of the model, "small" to "xxl".
      model: parameters of the model alone.
      trained: parameters that training changes.
      served: parameters that are kept of them for predicting, for each task.
      total: parameters while training: of the model, and what the method adds to it.
    """

    method: str
    length: int | None
    size: str
    model: int
    trained: int
    served: int
    total: int


def count(by_name: Mapping[str, methods.Method]) -> list[Count]:
    """One Count a method, length and size of T5 1.1.

    A method with an attribute `length` is counted with each of LENGTHS in its place.
    """
    described = {size: _describe(size) for size in t5_config.SIZES}
    return [
        _count(name, method, length, size, model)
        for name, method in by_name.items()
        for length in (LENGTHS if hasattr(method, "length") else (None,))
        for size, model in described.items()
    ]


def draw_parameters(
    by_name: Mapping[str, methods.Method], folder: str | os.PathLike
) -> list[pathlib.Path]:
    """Writes Table 4 as parameters.md, and Figure 4 as parameters.png and .svg, of these methods."""
    folder = pathlib.Path(folder)
    counts = count(by_name)
    written = tables.write(to_markdown(counts), folder / "parameters.md")
    return [written, *plot.save(figure(counts), folder / "parameters")]


def to_markdown(counts: Sequence[Count]) -> str:
    """Table 4, of every method: exact numbers, and the share of the total that is trained."""
    header = ["method", "length", "size", "model", "trained", "served a task", "total", "% trained"]
    rows = [
        [
            x.method,
            "" if x.length is None else str(x.length),
            x.size,
            *(f"{n:,}" for n in (x.model, x.trained, x.served, x.total)),
            f"{100 * x.trained / x.total:.3g}",
        ]
        for x in counts
    ]
    return tables.markdown(header, rows, texts=3)


def figure(counts: Sequence[Count]) -> plot.Figure:
    """Figure 4: parameters of a method against the model's, both logarithmic.

    A line a method, at the longer of BAND's lengths, with a band down to the shorter; a dashed one
    where other numbers are served than trained. Methods that train nothing have no place on a
    logarithmic axis and are left out.
    """
    drawn, (axes,) = plot.new_figure(1)
    of_method: dict[str, list[Count]] = {}
    for x in counts:
        if x.trained:
            of_method.setdefault(x.method, []).append(x)
    for number, (name, own) in enumerate(of_method.items()):
        _draw(axes, own, "trained", name, color=f"C{number}")
        if any(x.served != x.trained for x in own):
            _draw(axes, own, "served", f"{name}, served", color=f"C{number}", linestyle="--")
    axes.set(
        xscale="log", yscale="log", xlabel="parameters of the model", ylabel="parameters for a task"
    )
    plot.name_ticks(axes, {x.size: x.model for x in counts})
    drawn.legend(loc="outside lower center", ncols=2, fontsize="small")
    return drawn


def _draw(axes: plot.Axes, counts: Sequence[Count], which: str, name: str, **style: str) -> None:
    shortest, longest = (
        {x.model: getattr(x, which) for x in counts if x.length in (None, length)}
        for length in BAND
    )
    banded = shortest != longest
    label = f"{name} (length {BAND[0]} to {BAND[1]})" if banded else name
    axes.plot(list(longest), list(longest.values()), marker="o", label=label, **style)
    if banded:
        lower, upper = (list(line.values()) for line in (shortest, longest))
        axes.fill_between(
            list(longest), lower, upper, color=style["color"], alpha=plot.BAND_ALPHA, linewidth=0
        )


def _describe(size: str) -> weights.FrozenModel:
    # T5's own vocabulary would give the same counts: its pieces say how a prompt starts, not its shape.
    return models.NewModel(t5_config.t5_1_1(size), vocabulary_file="pocket_t5").describe()


def _count(
    name: str, method: methods.Method, length: int | None, size: str, model: weights.FrozenModel
) -> Count:
    if length is not None:
        method = dataclasses.replace(method, length=length)
    params = model.params | programs.added_shapes(method, model)
    labels = partition.labels(params, method.trainable)
    trained = {name: x for name, x in params.items() if labels[name] == partition.TRAINED}
    return Count(
        method=name,
        length=length,
        size=size,
        model=_numbers(model.params),
        trained=_numbers(trained),
        served=_numbers(jax.eval_shape(method.materialize, trained)),
        total=_numbers(params),
    )


def _numbers(params: parameters.Flat) -> int:
    return sum(math.prod(x.shape) for x in params.values())
