"""What the paper (Lester et al. 2021, 2104.08691) published in numbers, as data: Tables 1, 2 and 3.

Figures 1 and 3 are drawn there and not tabulated, so there is nothing of them here. Parameter counts
(Table 4) are computed: parameters.py. How these stand beside ours is tables.py's part.
"""

from collections.abc import Mapping
import dataclasses

METHODS = ("prompt tuning", "model tuning")
STATISTICS = ("average", "best", "ensemble")
SUPER_GLUE = "SuperGLUE"
TABLES = {
    1: "trained on SQuAD, zero-shot on MRQA's out-of-domain sets",
    2: "trained on one of QQP and MRPC, zero-shot on the other",
    3: "T5 XXL, five prompts a task, validation splits",
}


@dataclasses.dataclass(frozen=True)
class Published:
    """One cell of a table.

    Attributes:
      table: its number in the paper, of TABLES.
      trained_on: the dataset of the prompt or the tuned model.
      evaluated_on: the dataset of the scores.
      column: one of METHODS (Tables 1 and 2) or STATISTICS (Table 3).
      scores: what this project calls the metric -> the paper's value, in per cent. Of
        SUPER_GLUE, the benchmark's average, it is "super_glue_average".
    """

    table: int
    trained_on: str
    evaluated_on: str
    column: str
    scores: Mapping[str, float]


# Table 1: F1 of METHODS.
_MRQA = {
    "SQuAD": (94.8, 94.9),
    "TextbookQA": (66.8, 54.3),
    "BioASQ": (79.1, 77.9),
    "RACE": (60.7, 59.8),
    "RE": (88.8, 88.4),
    "DuoRC": (67.7, 68.9),
    "DROP": (67.1, 68.9),
}
# Table 2: accuracy and F1 of METHODS.
_PARAPHRASES = {
    ("QQP", "MRPC"): ((76.3, 84.3), (73.1, 81.2)),
    ("MRPC", "QQP"): ((75.4, 69.7), (74.9, 70.9)),
}
# Table 3: metrics, then STATISTICS of each.
_FIVE_PROMPTS = {
    "BoolQ": (("accuracy",), (91.1,), (91.3,), (91.7,)),
    "CB": (("accuracy", "macro_f1"), (99.3, 99.0), (100.0, 100.0), (100.0, 100.0)),
    "COPA": (("accuracy",), (98.8,), (100.0,), (100.0,)),
    "MultiRC": (("multirc_em", "multirc_f1a"), (65.7, 88.7), (66.3, 89.0), (67.1, 89.4)),
    "ReCoRD": (("record_em", "record_f1"), (92.7, 93.4), (92.9, 93.5), (93.2, 93.9)),
    "RTE": (("accuracy",), (92.6,), (93.5,), (93.5,)),
    "WiC": (("accuracy",), (76.2,), (76.6,), (77.4,)),
    "WSC": (("wsc",), (95.8,), (96.2,), (96.2,)),
    SUPER_GLUE: (("super_glue_average",), (90.5,), (91.0,), (91.3,)),
}

PUBLISHED = (
    *(
        Published(1, "SQuAD", evaluated_on, method, {"squad_f1": f1})
        for evaluated_on, scores in _MRQA.items()
        for method, f1 in zip(METHODS, scores)
    ),
    *(
        Published(2, *datasets, method, dict(zip(("accuracy", "f1"), pair)))
        for datasets, scores in _PARAPHRASES.items()
        for method, pair in zip(METHODS, scores)
    ),
    *(
        Published(3, task, task, statistic, dict(zip(metrics, scores)))
        for task, (metrics, *columns) in _FIVE_PROMPTS.items()
        for statistic, scores in zip(STATISTICS, columns)
    ),
)


def find(trained_on: str, evaluated_on: str, column: str) -> Published | None:
    """What the paper has for it; None if nothing.

    Names are compared by their `letters`: "textbook_qa" is TextbookQA.
    """
    return _BY_NAMES.get(tuple(map(letters, (trained_on, evaluated_on, column))))


def letters(name: str) -> str:
    """Letters and digits of a name alone, in lower case."""
    return "".join(filter(str.isalnum, name.lower()))


_BY_NAMES = {tuple(map(letters, (x.trained_on, x.evaluated_on, x.column))): x for x in PUBLISHED}
