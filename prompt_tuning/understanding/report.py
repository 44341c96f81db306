"""Findings as one HTML file that needs nothing else: pictures are in it, texts are escaped."""

import base64
from collections.abc import Iterator
import functools
import html
import pathlib

from prompt_tuning import atomic
from prompt_tuning.prompts import files
from prompt_tuning.understanding import attention
from prompt_tuning.understanding import control
from prompt_tuning.understanding import figures
from prompt_tuning.understanding import findings
from prompt_tuning.understanding import tables

_STYLE = """
body { font: 15px/1.4 system-ui, sans-serif; max-width: 80em; margin: 2em auto; padding: 0 1em; }
table { border-collapse: collapse; margin: 0.5em 0 1.5em; font-size: 13px; }
caption { text-align: left; font-weight: bold; padding: 0.3em 0; }
th, td { padding: 0.15em 0.6em; text-align: right; white-space: nowrap; }
th { border-bottom: 1px solid #888; }
tr > :first-child { text-align: left; }
tbody tr:nth-child(even) { background: #f3f3f3; }
div { overflow-x: auto; }
img { max-width: 100%; }
"""


def write(path: files.Path, found: findings.Findings) -> None:
    """Writes the report, whole or not at all."""
    with atomic.writing(path) as partial:
        pathlib.Path(partial).write_text(render(found), encoding="utf-8")


def render(found: findings.Findings) -> str:
    """The report's HTML; the same findings give the same text."""
    body = "\n".join(_body(found))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
 content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Prompts of {html.escape(found.base)}</title>
<style>{_STYLE}</style>
</head>
<body>
{body}
</body>
</html>
"""


def _body(found: findings.Findings) -> Iterator[str]:
    yield _element("h1", f"Prompts of {found.base}")
    yield _table(tables.overview(found))
    yield _element(
        "p",
        f"Control: {control.KINDS[found.control]}; mean and standard deviation of {findings.DRAWS} "
        "draws of as many rows. Cosine: of a row and its nearest piece, and of two of a row's "
        f"{findings.NEAREST} nearest pieces in the embedding table (how tight a cluster they are), "
        "means over rows. Pad, end of sequence, unknown and untrained rows of the table are left out.",
    )
    for stack, similarity in found.similarities.items():
        yield _element("h2", f"How alike the prompts are: {stack}")
        for title, values in tables.matrices(similarity).items():
            draw = functools.partial(figures.matrix, names=similarity.names, values=values)
            yield _picture(title, draw, figures.matrix_size(similarity.names))
        yield from map(_table, tables.similarities(similarity, stack))
    for finding in found.prompts:
        for stack in finding.neighborhoods:
            yield from _neighborhood(found, finding, stack)
        yield from _attention(found, finding)
        yield from _about(finding)


def _neighborhood(found: findings.Findings, finding: findings.Finding, stack: str) -> Iterator[str]:
    neighborhood = finding.neighborhoods[stack]
    yield _element("h2", tables.prompt_name(finding, stack))
    own = [row[0][1] for row in neighborhood.nearest]
    random = [row[0][1] for draw in neighborhood.control_nearest for row in draw]
    draw = functools.partial(figures.nearest_cosines, own=own, control=random)
    yield _picture("Cosines of rows and their nearest pieces", draw)
    yield _table(tables.nearest(neighborhood))
    if found.labels:
        yield _table(tables.labels(found, neighborhood))
    yield _table(tables.row_norms(found, finding, stack))
    vocabulary = found.vocabulary_norms
    draw = functools.partial(figures.row_norms, own=neighborhood.norms, vocabulary=vocabulary)
    yield _picture("Norms of rows", draw)
    if finding.training is None:
        return
    name = files.parameter(stack)
    saves = {step: rows[name] for step, rows in finding.training.saves.items() if name in rows}
    draw = functools.partial(figures.norms_over_training, saves=saves, vocabulary=vocabulary)
    yield _picture("Norms of rows over training", draw)
    if trained := finding.training.trained:
        draw = functools.partial(figures.trained_norm, norms=trained)
        yield _picture("Norm of all that is trained, over training", draw)


def _attention(found: findings.Findings, finding: findings.Finding) -> Iterator[str]:
    masses = finding.attention
    if masses is None:
        return
    yield _table(tables.attention_mass(masses, found.examples))
    text = "Means over heads and over all tokens of these examples; the rest of 1 goes to the text."
    yield _element("p", text)
    named = {attention.SITES[site]: shares for site, shares in masses.by_layer.items()}
    draw = functools.partial(figures.attention_mass, by_layer=named, uniform=masses.uniform)
    yield _picture("Share of attention on the prompt by layer", draw)


def _about(finding: findings.Finding) -> Iterator[str]:
    """Where it was found and what it says of itself, a line each; a configuration has many."""
    about = {"read from": str(finding.subject.path)} | finding.subject.about
    rows = [[name, text] for name, text in about.items() if "\n" not in text]
    yield _table(tables.Table("What it says of itself", ["", ""], rows))
    for name, text in about.items():
        if "\n" in text:
            yield f"<details>{_element('summary', name)}{_element('pre', text)}</details>"


def _table(table: tables.Table) -> str:
    def row(name, cells):
        return "<tr>" + "".join(_element(name, cell) for cell in cells) + "</tr>"

    body = "\n".join(row("td", cells) for cells in table.rows)
    return (
        f"<div><table>{_element('caption', table.title)}\n"
        f"<thead>{row('th', table.heads)}</thead>\n<tbody>\n{body}\n</tbody></table></div>"
    )


def _picture(title: str, draw, size: figures.Size = figures.SIZE) -> str:
    data = base64.b64encode(figures.svg(draw, size)).decode()
    return (
        f'<figure><img alt="{html.escape(title)}" src="data:image/svg+xml;base64,{data}">'
        f"{_element('figcaption', title)}</figure>"
    )


def _element(name: str, text: str) -> str:
    return f"<{name}>{html.escape(text)}</{name}>"
