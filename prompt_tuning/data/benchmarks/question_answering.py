"""SQuAD 1.1 and the sets of the MRQA 2019 shared task, in T5's text format.

Rows are those of TensorFlow Datasets' `squad/v1.1` and `mrqa`, of the files that both distribute,
or of the Hugging Face repositories `rajpurkar/squad` and `mrqa-workshop/mrqa`, in folders called
squad and mrqa. The files that both distribute lie in no such folder; MRQA's in-domain sets, whose
two files have one name, lie in train and dev, as on the shared task's server. Inputs begin with
"question:", not with a task's name, so these tasks have no variant without one.
"""

import re
import string
from collections.abc import Callable, Iterable, Mapping, Sequence

from prompt_tuning.data.benchmarks.benchmark import Benchmark, Fields, Files, Row
from prompt_tuning.data.benchmarks.text import column
from prompt_tuning.data.tables import RowError

_PUNCTUATION = re.compile(f"([{re.escape(string.punctuation)}])")
_SPACE = re.compile(r"[\t\n\f\r ]+")  # what \s is to RE2, which T5 uses
_METRICS = ("squad",)
_TRAIN_EXAMPLES = 87_599

# Our name -> the shared task's, in files and in the "subset" column; of those that are trained on,
# also how many questions there are to do so.
MRQA_OUT_OF_DOMAIN = {
    "bio_asq": "BioASQ",
    "drop": "DROP",
    "duo_rc": "DuoRC.ParaphraseRC",
    "race": "RACE",
    "relation_extraction": "RelationExtraction",
    "textbook_qa": "TextbookQA",
}
_MRQA_IN_DOMAIN = {
    "news_qa": ("NewsQA", 74_160),
    "trivia_qa": ("TriviaQA-web", 61_688),
    "search_qa": ("SearchQA", 117_384),
    "hotpot_qa": ("HotpotQA", 72_928),
    "natural_questions": ("NaturalQuestionsShort", 104_071),
}


def squad_text(row: Row, training: bool) -> list[Fields]:
    """T5's form of SQuAD: `question: ... context: ...`, and the first answer as target."""
    del training
    return [_fields(row["id"], row, row["answers"]["text"])]


def mrqa_text(row: Row, training: bool) -> list[Fields]:
    """The same text from MRQA's rows, as prompt tuning's own preprocessor has it."""
    del training
    return [_fields(row["qid"], row, row["answers"])]


def _fields(name: str, row: Row, answers: Sequence[str]) -> Fields:
    """Inputs, the first answer as target, and all "answers" for the metric, which takes the best."""
    if not answers:
        raise RowError(f"question {name} has no answer: SQuAD 1.1 and MRQA have one or more")
    question, context = (_pad_punctuation(column(row, name)) for name in ("question", "context"))
    padded = [_pad_punctuation(answer) for answer in answers]
    return {
        "inputs": _SPACE.sub(" ", f"question: {question} context: {context}"),
        "targets": padded[0],
        "id": name,
        "answers": padded,
    }


def _pad_punctuation(text: str) -> str:
    """Spaces around ASCII punctuation, and no two spaces in a row."""
    return _SPACE.sub(" ", _PUNCTUATION.sub(r" \1 ", text))


def _of_squad(document: Row) -> Iterable[Row]:
    """Rows of SQuAD's one JSON document of articles, paragraphs and questions."""
    for article in document["data"]:
        for paragraph in article["paragraphs"]:
            for question in paragraph["qas"]:
                answers = [answer["text"] for answer in question["answers"]]
                yield {
                    "id": question["id"],
                    "question": question["question"],
                    "context": paragraph["context"],
                    "answers": {"text": answers},
                }


def _of_mrqa(line: Row) -> Iterable[Row]:
    """Rows of a context with its questions; the first line of a file is a header."""
    for question in line.get("qas", ()):
        yield {
            "qid": question["qid"],
            "question": question["question"].strip(),
            "context": line["context"].strip(),
            "answers": question["answers"],
        }


def _of_subset(subset: str) -> Callable[[Row], Iterable[Row]]:
    """Rows of one of MRQA's sets, which share their files on Hugging Face."""
    return lambda row: [row] if row["subset"] == subset else []


def _mrqa(
    name: str,
    subset: str,
    splits: Mapping[str, str],
    folders: Mapping[str, str],
    train_examples: int = 0,
) -> Benchmark:
    """One of MRQA's sets, with TFDS's names of its splits, which are Hugging Face's too, and the
    folder of each split's official file.
    """
    # The shared task's download scripts drop these endings.
    stem = re.sub(r"\.ParaphraseRC$|-web$|Short$", "", subset)
    return Benchmark(
        name=f"mrqa_{name}_v100",
        tfds=f"mrqa/{name}:1.0.0",
        splits=splits,
        official=Files({split: f"{folders[split]}{stem}*.jsonl" for split in splits}, _of_mrqa),
        hugging_face=Files(
            {split: f"mrqa/plain_text/{theirs}*" for split, theirs in splits.items()},
            _of_subset(subset),
        ),
        text=mrqa_text,
        labels=None,
        metrics=_METRICS,
        train_examples=train_examples,
    )


BENCHMARKS: tuple[Benchmark, ...] = (
    Benchmark(
        name="squad_v010_allanswers",
        tfds="squad/v1.1:3.0.0",
        splits={"train": "train", "validation": "validation"},
        official=Files({"train": "train-v1.1.json", "validation": "dev-v1.1.json"}, _of_squad),
        hugging_face=Files(
            {split: f"squad/plain_text/{split}*" for split in ("train", "validation")}
        ),
        text=squad_text,
        labels=None,
        metrics=_METRICS,
        train_examples=_TRAIN_EXAMPLES,
    ),
    *(
        _mrqa(name, subset, {"validation": "test"}, {"validation": ""})
        for name, subset in MRQA_OUT_OF_DOMAIN.items()
    ),
    *(
        _mrqa(
            name,
            subset,
            {"train": "train", "validation": "validation"},
            {"train": "train/", "validation": "dev/"},
            train_examples,
        )
        for name, (subset, train_examples) in _MRQA_IN_DOMAIN.items()
    ),
)
