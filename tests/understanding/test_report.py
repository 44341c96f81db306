"""The report is well-formed, needs nothing else, and takes any text for text."""

import base64
from xml.etree import ElementTree

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from prompt_tuning.prompts import files
from prompt_tuning.understanding import attention
from prompt_tuning.understanding import findings
from prompt_tuning.understanding import report
from prompt_tuning.understanding import subjects
from prompt_tuning.understanding import tables
from tests.understanding import examples
from tests.understanding import html_reader

NAMES = ["<b>bold</b> & \"quoted\" 'twice'", "$\\frac{_$", "_hidden"]
ABOUT = {"task": "a</td><i>", "config": "x = 1\n</pre><script>alert(1)</script>"}


class Mass(attention.AttentionMass):
    """Has looked already."""

    def __init__(self):
        self.of = "7 examples of <task>, test"

    def __call__(self, subject):
        return attention.Masses({"encoder": [0.25, 0.5], "cross": [0.125]}, 0.75)


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    """Three prompts, one of a run, one with a decoder's prompt, with texts that look like HTML."""
    base = examples.embeddings()
    run = tmp_path_factory.mktemp("run")
    for step in (1, 2):
        prompt = step * examples.rows_of(base, "xyz")
        save = run / "numpy_checkpoints" / f"checkpoint_{step}"
        files.write_prompts(save / files.DESCRIBED, {files.parameter("encoder"): prompt}, ABOUT)
    (run / "scalars.jsonl").write_text('{"step": 2, "train/trained_norm": 3.5}\n')
    of_run = subjects.read_subject(NAMES[0], run, base)
    both = examples.subject(
        NAMES[1], encoder=examples.rows_of(base, "ab"), decoder=examples.rows_of(base, "xx")
    )
    last = examples.subject(NAMES[2], encoder=examples.rows_of(base, "xyz"))
    return findings.find([of_run, both, last], base, labels=["<x>", "&"], mass=Mass())


@pytest.fixture(scope="module")
def rendered(found):
    return report.render(found)


@pytest.fixture(scope="module")
def read(rendered):
    return html_reader.read(rendered)


def test_texts_come_back_as_they_were(read):
    for text in (*NAMES, *ABOUT.values(), "table <of> bytes", "<x>", "&", "<0x3C> <0x78> <0x3E>"):
        assert any(text in found for found in read.texts), text
    assert not {"script", "b", "i", "link", "iframe", "object"} & set(read.tags)


def test_nothing_is_loaded_from_elsewhere(read):
    addresses = [x for _, name, x in read.attributes if name in ("src", "href", "srcset", "data")]
    assert addresses and all(x.startswith("data:image/svg+xml;base64,") for x in addresses)
    assert not any(name.startswith("on") for _, name, _ in read.attributes)
    assert not any(word in text for text in read.texts for word in ("@import", "url("))
    assert ("meta", "charset", "utf-8") in read.attributes


def test_every_plot_is_a_picture_with_a_name(read):
    titles = [x for tag, name, x in read.attributes if (tag, name) == ("img", "alt")]
    of_each = ["Cosines of rows and their nearest pieces", "Norms of rows"]
    of_run = ["Norms of rows over training", "Norm of all that is trained, over training"]
    attended = ["Share of attention on the prompt by layer"]
    similarities = list(tables.matrices(findings.Similarity([], *np.zeros((2, 0, 0)))))
    assert titles == [
        *similarities,
        *of_each,
        *of_run,
        *attended,
        *of_each,
        *of_each,  # the decoder's
        *attended,
        *of_each,
        *attended,
    ]
    for _, name, address in read.attributes:
        if name == "src":
            picture = ElementTree.fromstring(base64.b64decode(address.split(",")[1]))
            assert picture.tag.endswith("}svg")


def test_the_same_findings_give_the_same_file(found, rendered, tmp_path):
    report.write(tmp_path / "report.html", found)
    assert (tmp_path / "report.html").read_text(encoding="utf-8") == rendered
    assert [file.name for file in tmp_path.iterdir()] == ["report.html"]


def test_the_terminals_tables_tell_the_same(found):
    text = "\n".join(tables.texts(found))
    lines = text.splitlines()
    overview = [line for line in lines if line.startswith(NAMES[1])]
    assert overview[0].split()[1] == "2" and f"{NAMES[1]} (decoder)" in overview[1]
    # a prompt of one piece, twice: both rows have the same nearest
    assert overview[1].removeprefix(f"{NAMES[1]} (decoder)").split()[:2] == ["2", "1.00"]
    (second,) = {line for line in lines if line.startswith("layer 1 ")}
    assert second.split() == ["layer", "1", "0.500"]  # of the other kind there is one layer
    assert "first save, step 1" in text and "7 examples of <task>, test" in text
    same = next(line for line in lines if line.startswith(NAMES[2]) and line.endswith("1.00"))
    assert same.removeprefix(NAMES[2]).split() == ["1.00", same.split()[-2], "1.00"]


def test_of_one_prompt_there_is_no_similarity():
    base = examples.embeddings()
    found = findings.find([examples.subject("x", encoder=examples.rows_of(base, "a"))], base)
    assert found.similarities == {}
    read = html_reader.read(report.render(found))
    assert read.tags.count("img") == 2
