"""What stands in SuperGLUE's and DPR's own files, and in those on Hugging Face -> rows as TFDS has
them.

Which files these are, and what text becomes of the rows, is super_glue.py's part.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence

from prompt_tuning.data.benchmarks.benchmark import Row
from prompt_tuning.data.benchmarks.text import UNKNOWN, column, label_number
from prompt_tuning.data.tables import RowError

ToRows = Callable[[Row], Iterable[Row]]

SPLIT_FILES = {"train": "train.jsonl", "validation": "val.jsonl", "test": "test.jsonl"}
_TRUTH = ("False", "True")
_WSC_COLUMNS = ("text", "span1_index", "span2_index", "span1_text", "span2_text")
# Candidates with other words between their parts: their text is in no sentence, and stays as it is.
_APART = ("Kamenev and Zinoviev", "Kamenev, Zinoviev, and Stalin")


def labelled_rows(columns: Sequence[str], labels: Sequence[str]) -> ToRows:
    """Rows of named columns, "idx" and a "label", which may be missing."""

    def to_rows(line: Row) -> list[Row]:
        row = {name: line[name] for name in (*columns, "idx")}
        return [row | {"label": label_number(line.get("label"), labels)}]

    return to_rows


def official_multirc_rows(line: Row) -> list[Row]:
    """A passage's rows: one for each option of each question."""
    passage = line["passage"]
    return [
        {
            "paragraph": passage["text"],
            "question": question["question"],
            "answer": answer["text"],
            "idx": {"paragraph": line["idx"], "question": question["idx"], "answer": answer["idx"]},
            "label": label_number(answer.get("label"), _TRUTH),
        }
        for question in passage["questions"]
        for answer in question["answers"]
    ]


def official_record_rows(line: Row) -> list[Row]:
    """A passage's rows: one for each query. Entities are marked in the passage, both ends
    included.
    """
    text = column(line["passage"], "text")
    entities = [text[entity["start"] : entity["end"] + 1] for entity in line["passage"]["entities"]]
    return [
        row
        for query in line["qas"]
        for row in record_rows(
            {
                "passage": text,
                "query": query["query"],
                "entities": entities,
                "answers": [answer["text"] for answer in query.get("answers", ())],
                "idx": {"passage": line["idx"], "query": query["idx"]},
            }
        )
    ]


def record_rows(line: Row) -> list[Row]:
    """The row with entities and answers each once and in order; Hugging Face has entities in any.

    A row without answers has the label -1.
    """
    row = {name: line[name] for name in ("passage", "query", "idx")}
    sets = {name: sorted(set(line[name])) for name in ("entities", "answers")}
    return [row | sets | ({} if sets["answers"] else {"label": UNKNOWN})]


def official_wsc_rows(line: Row) -> list[Row]:
    """The row with its spans as they stand in the text, as TFDS's wsc.fixed mends them."""
    (row,) = wsc_rows({**line, **line["target"]})
    spans = {f"{span}_text": _span(row, span) for span in ("span1", "span2")}
    return [row | spans]


def wsc_rows(line: Row) -> list[Row]:
    return labelled_rows(_WSC_COLUMNS, _TRUTH)(line)


def _span(row: Row, name: str) -> str:
    """A span's text with the case, full stop and line ends that it has in the sentence."""
    text, span, words = row["text"], row[f"{name}_text"], row["text"].split()
    if span in text or span in _APART:
        return span
    index = row[f"{name}_index"]
    if not 0 <= index < len(words):
        raise RowError(f"{name}_index is {index}, the text has {len(words)} words")
    first = span[0].lower() if words[index][0].islower() else span[0].upper()
    mended = (first + span[1:]).rstrip(".").replace("\n", " ")
    if mended not in text:
        raise RowError(f"{name}_text {span!r} is not in {text!r}")
    return mended


def official_dpr_rows(line: Mapping[str, str]) -> list[Row]:
    """A sentence, its pronoun, two candidates between which a comma stands, and the right one."""
    candidates = [candidate.strip() for candidate in line["candidates"].split(",")]
    row = {"sentence": line["sentence"], "pronoun": line["pronoun"], "candidates": candidates}
    return [row | {"label": label_number(line["answer"], candidates)}]
