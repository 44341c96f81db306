import gzip
import json
import shutil
import sys

import pytest

from prompt_tuning.data.benchmarks import formats
from prompt_tuning.data.benchmarks.benchmark import Benchmark, Files
from prompt_tuning.data.benchmarks.rows import Folder
from prompt_tuning.data.benchmarks.super_glue import BENCHMARKS
from prompt_tuning.data.examples import DataError
from tests.data.benchmarks.helpers import HUGGING_FACE, OFFICIAL, task_of, texts

NAMES = [task.name for task in BENCHMARKS]


def lines(*rows: dict) -> str:
    return "".join(json.dumps(row) + "\n" for row in rows)


@pytest.fixture
def write(tmp_path):
    """Writes a file below the folder and gives the folder."""

    def write(name: str, content: str | bytes):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return tmp_path

    return write


@pytest.mark.parametrize("name", NAMES)
def test_both_kinds_of_files_give_the_same_examples(name):
    for split in task_of(name).splits:
        assert texts(name, split) == texts(name, split, HUGGING_FACE)


@pytest.mark.parametrize("name", ["super_glue_record_v102", "super_glue_multirc_v102"])
def test_parquet_files_in_parts_give_the_same_examples(name, tmp_path):
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    config = name.split("_")[2]
    rows = [json.loads(line) for line in open(HUGGING_FACE / config / "train.jsonl")]
    (tmp_path / config).mkdir()
    for part in (0, 1):
        path = tmp_path / config / f"train-0000{part}-of-00002.parquet"
        parquet.write_table(pyarrow.Table.from_pylist(rows[part * 2 :][:2] or rows[:0]), path)
    if len(rows) <= 2:
        path.unlink()
    assert texts(name, "train", tmp_path) == texts(name, "train")
    path = next(tmp_path.glob("*/*.parquet"))
    path.write_bytes(b"not parquet")
    with pytest.raises(DataError, match=f"{path.name} is no Parquet file"):
        texts(name, "train", tmp_path)


def test_without_pyarrow_a_parquet_file_says_what_to_install(write, monkeypatch):
    folder = write("cb/train-00000-of-00001.parquet", b"PAR1")
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(DataError, match="Parquet files need `pip install pyarrow`"):
        texts("super_glue_cb_v102", "train", folder)


def test_compressed_files_are_read(write):
    folder = write("CB/train.jsonl.gz", gzip.compress((OFFICIAL / "CB/train.jsonl").read_bytes()))
    assert texts("super_glue_cb_v102", "train", folder) == texts("super_glue_cb_v102", "train")
    write("CB/train.jsonl.gz", b"\x1f\x8b not gzip")
    with pytest.raises(DataError, match="train.jsonl.gz cannot be read"):
        texts("super_glue_cb_v102", "train", folder)


def test_a_folder_with_neither_kind_says_what_was_looked_for(tmp_path):
    with pytest.raises(
        DataError,
        match=r"super_glue_cb_v102: .* has neither .* own file CB/val.jsonl nor .* cb/validation\*",
    ):
        texts("super_glue_cb_v102", "validation", tmp_path)


def test_a_missing_split_is_told_from_a_missing_benchmark(write):
    folder = write("CB/train.jsonl", "{}")
    with pytest.raises(DataError, match="files of other splits, but no CB/val.jsonl"):
        texts("super_glue_cb_v102", "validation", folder)


def test_the_same_rows_in_two_formats_are_refused(write):
    write("cb/train.jsonl", "{}")
    folder = write("cb/train.csv", "a\n")
    with pytest.raises(DataError, match="the same rows in several formats"):
        texts("super_glue_cb_v102", "train", folder)


GOOD = {"premise": "a", "hypothesis": "b", "label": "neutral", "idx": 0}


@pytest.mark.parametrize(
    "bad, message",
    [
        ("{not json", r"CB/train.jsonl, row 2: not JSON"),
        ("[1]", r"row 2: a JSON object is needed, found list"),
        (b'{"a": "\xff"}', r"row 2: not UTF-8"),
        (lines(GOOD | {"label": "neutrall"}), r"row 2: unknown label 'neutrall'.*'neutral'"),
        (lines(GOOD | {"label": 3}), r"row 2: unknown label 3; there are entailment, contra"),
        (lines({**GOOD, "label": None}), r"row 2: no label, which only rows of test splits"),
        (lines({k: v for k, v in GOOD.items() if k != "label"}), r"row 2: no label"),
        (lines(GOOD | {"premise": None}), r"row 2: column 'premise' needs text, found None"),
        (
            lines({k: v for k, v in GOOD.items() if k != "idx"} | {"indx": 1}),
            r"row 2: no column 'idx'; found 'premise'.*nearest: 'indx'",
        ),
    ],
)
def test_bad_rows_are_named_by_file_and_row(write, bad, message):
    bad = bad if isinstance(bad, bytes) else bad.encode()
    folder = write("CB/train.jsonl", lines(GOOD).encode() + bad)
    with pytest.raises(DataError, match=message):
        texts("super_glue_cb_v102", "train", folder)


@pytest.mark.parametrize(
    "name, file, old, new, message",
    [
        ("multirc_v102", "MultiRC/train.jsonl", '"passage"', '"pasage"', "no column 'passage'"),
        ("multirc_v102", "MultiRC/train.jsonl", '"questions": [', '"questions": [1, ', "row 1"),
        ("record_v102", "ReCoRD/train.jsonl", '"answers"', '"answer"', "row 1: no label"),
        ("wsc_v102_simple_train", "WSC/train.jsonl", "My old coat", "My new coat", None),
        ("wsc_v102_simple_train", "WSC/train.jsonl", '"The miller"', '"The mill"', None),
        ("wsc_v102_simple_train", "WSC/train.jsonl", '"The miller"', '"A miller"', "row 1: span1"),
    ],
)
def test_bad_nested_rows_are_named_too(write, name, file, old, new, message):
    folder = write(file, (OFFICIAL / file).read_text().replace(old, new))
    if message is None:
        assert texts(f"super_glue_{name}", "train", folder)
        return
    with pytest.raises(DataError, match=message):
        texts(f"super_glue_{name}", "train", folder)


def test_dpr_s_blocks_must_be_whole(write):
    folder = write("DPR/train.c.txt", "S.\nit\na,b\na\n\nT.\nhe\n")
    with pytest.raises(DataError, match=r"train.c.txt, row 6: expected a sentence, its pronoun"):
        texts("dpr_v001_simple", "train", folder)
    folder = write("DPR/train.c.txt", "S.\nit\na,b\na\n\n\nT.\nhe\nc,d\nc\n")
    with pytest.raises(DataError, match=r"train.c.txt, row 6: expected a sentence, its pronoun"):
        texts("dpr_v001_simple", "train", folder)
    folder = write("DPR/train.c.txt", "S.\nit\na,b\nc\n\n")
    with pytest.raises(DataError, match="row 1: unknown label 'c'; there are a, b"):
        texts("dpr_v001_simple", "train", folder)


def test_blank_lines_at_the_end_of_dpr_s_files_are_nothing(write):
    folder = write("DPR/train.c.txt", "S it.\nit\na,b\na\n\nT he.\nhe\nc,d\nc\n\n \n\n")
    assert len(texts("dpr_v001_simple", "train", folder)) == 2


def table(name: str, **changes) -> Benchmark:
    """A task of one table, whose rows come through as they are."""
    files = Files({"train": name}, **changes)
    return Benchmark("t", "t", {"train": "train"}, files, files, lambda *_: [], None, (), 1)


@pytest.mark.parametrize(
    "name, content, changes",
    [
        ("a.tsv", '\ufeffx\ty\r\n"1\t2 \r\n3\n', {}),
        ("a.txt", 'x\ty\n"1\t2 \n3\n', {}),
        ("a.csv", 'x,y\n"""1",2 \n3\n', {}),
        ("a.tsv", '"1\t2 \n3', {"headerless": {"train": ("x", "y")}}),
    ],
)
def test_tables_have_numbered_rows_and_none_for_missing_cells(write, name, content, changes):
    rows = [row for _, row in Folder(write(name, content)).rows(table(name, **changes), "train")]
    assert rows == [{"idx": 0, "x": '"1', "y": "2 "}, {"idx": 1, "x": "3", "y": None}]


def test_a_table_s_row_with_too_many_cells_is_named(write):
    rows = Folder(write("a.tsv", "x\ty\n1\t2\t3\n")).rows(table("a.tsv"), "train")
    with pytest.raises(DataError, match="a.tsv, row 2: 3 columns where the header has 2: x, y"):
        list(rows)


def test_a_json_document_is_one_line(write):
    folder = write("a.json", '{\n "data": [1]\n}\n')
    assert [row for _, row in Folder(folder).rows(table("a.json"), "train")] == [{"data": [1]}]


def test_identity_tells_changed_files_and_absent_ones(tmp_path):
    benchmark = task_of("super_glue_cb_v102").benchmark
    shutil.copytree(OFFICIAL / "CB", tmp_path / "CB")
    folder = Folder(tmp_path)
    before = folder.identity(benchmark, "train")
    assert before == Folder(OFFICIAL).identity(benchmark, "train")
    (tmp_path / "CB/train.jsonl").write_text(lines(GOOD))
    assert folder.identity(benchmark, "train") != before
    assert Folder(tmp_path / "elsewhere").identity(benchmark, "train") is None


def test_other_files_are_not_data(write):
    folder = write("cb/train.lock", "x")
    write("cb/train.jsonl", lines(GOOD))
    assert len(texts("super_glue_cb_v102", "train", folder)) == 1
    assert not formats.is_readable(folder / "cb/train.lock")
