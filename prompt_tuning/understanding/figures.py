"""Findings as plots, by matplotlib.

A drawing function fills the axes it is given; `svg` makes a file of one.
"""

from collections.abc import Callable, Mapping, Sequence
import io

from jaxtyping import Float
import numpy as np

try:
    import matplotlib
except ImportError as error:
    raise ImportError(
        "The report's plots need matplotlib: `pip install 'prompt_tuning[demo]'`."
    ) from error
from matplotlib import axes as matplotlib_axes
from matplotlib import figure as figures

Axes = matplotlib_axes.Axes
Size = tuple[float, float]  # inches
SIZE = (6.4, 3.6)
BAND = (5, 95)  # percentiles
NUMBERED = 12  # prompts up to which a matrix has its numbers in it
# Names of prompts may have dollar signs in them; the same findings give the same file.
_SETTINGS = {"text.parse_math": False, "svg.hashsalt": "prompt_tuning"}


def svg(draw: Callable[[Axes], None], size: Size = SIZE) -> bytes:
    """A picture of what `draw` puts on empty axes; its letters are shapes and need no font."""
    file = io.BytesIO()
    with matplotlib.rc_context(_SETTINGS):
        figure = figures.Figure(size, layout="constrained")
        draw(figure.add_subplot())
        figure.savefig(file, format="svg", metadata={"Date": None})
    return file.getvalue()


def nearest_cosines(axes: Axes, own: Sequence[float], control: Sequence[float]) -> None:
    """How near the nearest piece is: shares of the prompt's rows and of the control's."""
    bins = np.linspace(min(*own, *control), max(*own, *control) + 1e-6, 25)
    for values, label in ((control, "control"), (own, "prompt")):
        shares = np.full(len(values), 1 / len(values))
        axes.hist(values, bins, weights=shares, alpha=0.6, label=label)
    axes.set(xlabel="cosine of a row and its nearest piece", ylabel="share of rows")
    _legend(axes)


def row_norms(axes: Axes, own: Float[np.ndarray, "P"], vocabulary: Float[np.ndarray, "N"]) -> None:
    """A bar a row, before the band in which most of the vocabulary's rows are."""
    axes.bar(range(len(own)), own, label="prompt")
    _band(axes, vocabulary)
    axes.set(xlabel="row", ylabel="norm")
    _whole_numbers(axes)
    _legend(axes)


def norms_over_training(
    axes: Axes,
    saves: Mapping[int, Float[np.ndarray, "_"]],
    vocabulary: Float[np.ndarray, "N"],
) -> None:
    """Mean norm of the rows in each save, from the shortest to the longest."""
    steps, norms = list(saves), list(saves.values())
    axes.plot(steps, [x.mean() for x in norms], marker="o", label="mean row")
    least, most = [x.min() for x in norms], [x.max() for x in norms]
    axes.fill_between(steps, least, most, alpha=0.3, label="shortest to longest row")
    _band(axes, vocabulary)
    axes.set(xlabel="step", ylabel="norm")
    _whole_numbers(axes)
    _legend(axes)


def trained_norm(axes: Axes, norms: Mapping[int, float]) -> None:
    """The norm of all that is trained, at the steps that logged it."""
    axes.plot(list(norms), list(norms.values()))
    axes.set(xlabel="step", ylabel="norm of all that is trained")


def attention_mass(
    axes: Axes, by_layer: Mapping[str, Sequence[float]], uniform: float | None
) -> None:
    """A line for each kind of attention."""
    for name, shares in by_layer.items():
        axes.plot(range(len(shares)), shares, marker="o", label=name)
    if uniform is not None:
        axes.axhline(uniform, color="gray", linestyle="--", label="input tokens, all alike")
    axes.set(xlabel="layer", ylabel="share on the prompt", ylim=(0, 1))
    _whole_numbers(axes)
    _legend(axes)


def matrix(axes: Axes, names: Sequence[str], values: Float[np.ndarray, "N N"]) -> None:
    """Cosines as colours, with their numbers where these can be read."""
    image = axes.imshow(values, cmap="RdBu_r", vmin=-1, vmax=1)
    axes.figure.colorbar(image, label="cosine")
    axes.set_xticks(range(len(names)), names, rotation=90)
    axes.set_yticks(range(len(names)), names)
    if len(names) <= NUMBERED:
        for (i, j), value in np.ndenumerate(values):
            colour = "white" if abs(value) > 0.6 else "black"
            axes.text(j, i, f"{value:.2f}", ha="center", va="center", color=colour, fontsize=8)


def matrix_size(names: Sequence[str]) -> Size:
    """Room for all names."""
    side = 0.45 * len(names) + 0.07 * max(map(len, names))
    return 2.5 + side, 1.5 + side


def _band(axes: Axes, vocabulary: Float[np.ndarray, "N"]) -> None:
    low, high = np.percentile(vocabulary, BAND)
    label = f"vocabulary, {BAND[0]} to {BAND[1]} %"
    axes.axhspan(low, high, color="gray", alpha=0.3, label=label)


def _whole_numbers(axes: Axes) -> None:
    """On the horizontal axis."""
    axes.xaxis.get_major_locator().set_params(integer=True)


def _legend(axes: Axes) -> None:
    """Above the axes, where it hides nothing."""
    axes.figure.legend(loc="outside upper center", frameon=False, fontsize=9)
