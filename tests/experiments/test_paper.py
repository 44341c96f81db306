"""The paper's numbers agree with each other, and are found by the names that plans give."""

import statistics

import pytest

from prompt_tuning.data.metrics import super_glue_average
from prompt_tuning.experiments import paper


@pytest.mark.parametrize("statistic", paper.STATISTICS)
def test_the_published_average_is_that_of_the_published_tasks(statistic):
    columns = [x for x in paper.PUBLISHED if x.table == 3 and x.column == statistic]
    tasks = {paper.letters(x.evaluated_on): x.scores for x in columns}
    average = tasks.pop(paper.letters(paper.SUPER_GLUE))
    assert len(tasks) == 8
    # super_glue_average asks for every metric by the name that this project has for it.
    assert average["super_glue_average"] == pytest.approx(super_glue_average(tasks), abs=0.11)


def test_every_cell_is_there_once():
    counts = [sum(x.table == table for x in paper.PUBLISHED) for table in (1, 2, 3)]
    assert counts == [7 * 2, 2 * 2, 9 * 3]
    assert len({(x.trained_on, x.evaluated_on, x.column) for x in paper.PUBLISHED}) == sum(counts)
    assert all(0 < score <= 100 for x in paper.PUBLISHED for score in x.scores.values())


def test_an_ensemble_is_no_worse_than_the_average():
    for task in ("BoolQ", "MultiRC", paper.SUPER_GLUE):
        average, ensemble = (paper.find(task, task, x) for x in ("average", "ensemble"))
        assert statistics.mean(ensemble.scores.values()) > statistics.mean(average.scores.values())


@pytest.mark.parametrize(
    ("names", "scores"),
    [
        (("SQuAD", "textbook_qa", "Prompt tuning"), {"squad_f1": 66.8}),
        (("squad", "TextbookQA", "model-tuning"), {"squad_f1": 54.3}),
        (("qqp", "mrpc", "prompt tuning"), {"accuracy": 76.3, "f1": 84.3}),
        (("mrpc", "qqp", "prompt tuning"), {"accuracy": 75.4, "f1": 69.7}),
        (("record", "record", "best"), {"record_em": 92.9, "record_f1": 93.5}),
    ],
)
def test_names_are_found_however_they_are_written(names, scores):
    assert paper.find(*names).scores == scores


def test_what_the_paper_does_not_have_is_not_found():
    assert paper.find("spam", "spam", "average") is None
    assert paper.find("MRPC", "SQuAD", "prompt tuning") is None
    assert paper.find("SQuAD", "DROP", "average") is None
