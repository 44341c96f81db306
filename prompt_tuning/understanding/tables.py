"""Findings as tables of text, for the terminal and the report alike."""

from collections.abc import Iterator, Sequence
import dataclasses

from jaxtyping import Float
import numpy as np

from prompt_tuning.prompts import files
from prompt_tuning.prompts import neighbors
from prompt_tuning.understanding import attention
from prompt_tuning.understanding import findings
from prompt_tuning.understanding import norms


@dataclasses.dataclass(frozen=True)
class Table:
    """Cells of text below heads: the first column says what a row is of."""

    title: str
    heads: Sequence[str]
    rows: Sequence[Sequence[str]]

    def __str__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows)]
        lines = [self.title]
        for first, *rest in (self.heads, *self.rows):
            cells = [cell.rjust(width) for cell, width in zip(rest, widths[1:])]
            lines.append("  ".join([first.ljust(widths[0]), *cells]).rstrip())
        return "\n".join(lines)


def prompt_name(finding: findings.Finding, stack: str) -> str:
    """What a stack's prompt is called where both stacks' stand side by side."""
    name = finding.subject.name
    return name if stack == "encoder" else f"{name} ({stack})"


def overview(found: findings.Findings) -> Table:
    """One line a prompt; of the control the mean and standard deviation over its draws."""
    k = findings.NEAREST
    columns = {
        "nearest cosine": ("similarity", 2),
        "distinct nearest": ("distinct_nearest", 1),
        f"distinct in top {k}": ("distinct", 1),
        f"cosine in top {k}": ("alike", 2),
    }
    if found.labels:
        columns[f"label in top {k}"] = ("with_label", 1)
    rows = []
    for finding in found.prompts:
        for stack, neighborhood in finding.neighborhoods.items():
            row = [prompt_name(finding, stack), str(len(neighborhood.nearest))]
            for name, digits in columns.values():
                value = getattr(neighborhood.statistics, name)
                draws = [getattr(x, name) for x in neighborhood.control_statistics]
                row += [_number(value, digits), _spread(draws, digits)]
            rows.append(row)
    heads = [head for name in columns for head in (name, "control")]
    return Table("Prompts among the vocabulary", ["prompt", "rows", *heads], rows)


def nearest(neighborhood: findings.Neighborhood) -> Table:
    """Each row's nearest pieces, and those of the control's first draw."""
    rows = [
        [str(number), f"{norm:.2f}", *_cells(own), *_cells(control)]
        for number, (norm, own, control) in enumerate(
            zip(neighborhood.norms, neighborhood.nearest, neighborhood.control_nearest[0])
        )
    ]
    ranks = [str(rank + 1) for rank in range(len(neighborhood.nearest[0]))]
    heads = ["row", "norm", *ranks, *(f"control {rank}" for rank in ranks)]
    return Table("Nearest pieces, cosine similarity", heads, rows)


def labels(found: findings.Findings, neighborhood: findings.Neighborhood) -> Table:
    """In how many rows a piece of each label is among the nearest."""
    rows = [
        [
            label,
            " ".join(pieces),
            str(neighborhood.statistics.by_label[label]),
            _spread([x.by_label[label] for x in neighborhood.control_statistics], 1),
        ]
        for label, pieces in found.labels.items()
    ]
    title = f"Labels: rows that have a piece of them among the {findings.NEAREST} nearest"
    return Table(title, ["label", "pieces", "rows", "control"], rows)


def row_norms(found: findings.Findings, finding: findings.Finding, stack: str) -> Table:
    """Of the prompt, of the first save of its run, and of the vocabulary."""
    lines = {"prompt": finding.neighborhoods[stack].norms}
    if finding.training is not None:
        step, saved = next(iter(finding.training.saves.items()))
        if (name := files.parameter(stack)) in saved:
            lines[f"first save, step {step}"] = saved[name]
    lines["vocabulary"] = found.vocabulary_norms
    rows = [
        [name, *(f"{value:.2f}" for value in (x.min(), np.median(x), x.mean(), x.max()))]
        for name, x in lines.items()
    ]
    return Table("Norms of rows", ["of", "min", "median", "mean", "max"], rows)


def trained_norm(training: norms.Training) -> Table:
    """The norm of all that is trained, at the first and the last step that logged it."""
    steps = sorted({min(training.trained), max(training.trained)})
    rows = [[str(step), f"{training.trained[step]:.2f}"] for step in steps]
    return Table("Norm of all that is trained", ["step", "norm"], rows)


def attention_mass(masses: attention.Masses, examples: str) -> Table:
    """A line a layer: what goes to the prompt; the rest of 1 goes to the text."""
    layers = max(map(len, masses.by_layer.values()))
    rows = [
        [
            f"layer {i}",
            *(f"{x[i]:.3f}" if i < len(x) else "" for x in masses.by_layer.values()),
        ]
        for i in range(layers)
    ]
    if masses.uniform is not None:
        others = [""] * (len(masses.by_layer) - 1)  # the encoder's is the first
        rows.append(["all positions alike", f"{masses.uniform:.3f}", *others])
    heads = ["", *(attention.SITES[site] for site in masses.by_layer)]
    return Table(f"Share of attention on the prompt, {examples}", heads, rows)


def similarities(similarity: findings.Similarity, stack: str) -> Iterator[Table]:
    """A square for each of the two ways."""
    for title, matrix in matrices(similarity).items():
        rows = [
            [name, *(f"{x:.2f}" for x in values)] for name, values in zip(similarity.names, matrix)
        ]
        yield Table(f"{title}, {stack}", ["", *similarity.names], rows)


def matrices(similarity: findings.Similarity) -> dict[str, Float[np.ndarray, "N N"]]:
    """By what they are called."""
    return {
        "Cosine of mean rows (average-token)": similarity.average_token,
        "Mean cosine of pairs of rows (per-token)": similarity.per_token,
    }


def _cells(row: list[tuple[str, float]]) -> list[str]:
    return [f"{piece} {cosine:.2f}" for piece, cosine in row]


def _number(value: int | float, digits: int) -> str:
    return str(value) if isinstance(value, int) else f"{value:.{digits}f}"


def _spread(values: Sequence[int | float], digits: int) -> str:
    return f"{np.mean(values):.{digits}f} ± {np.std(values, ddof=1):.{digits}f}"


def texts(found: findings.Findings) -> Iterator[str]:
    """What the terminal shows."""
    yield str(overview(found))
    for finding in found.prompts:
        for stack, neighborhood in finding.neighborhoods.items():
            yield f"== {prompt_name(finding, stack)}: {finding.subject.path}"
            yield neighbors.format_table(neighborhood.nearest)
            if found.labels:
                yield str(labels(found, neighborhood))
            yield str(row_norms(found, finding, stack))
        if finding.training is not None and finding.training.trained:
            yield str(trained_norm(finding.training))
        if finding.attention is not None:
            yield str(attention_mass(finding.attention, found.examples))
    for stack, similarity in found.similarities.items():
        yield from map(str, similarities(similarity, stack))
