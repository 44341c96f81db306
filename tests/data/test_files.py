import json
import random

import pytest

from prompt_tuning.data.examples import DataError
from prompt_tuning.data.files import FilesTask
from prompt_tuning.data.tables import read_table

HEADER = "id\ttext\tlabel\n"
LABELS = {"0": "ham", "1": "spam"}


@pytest.fixture
def write(tmp_path):
    def write(content: str | bytes, name: str = "data.tsv"):
        data = content if isinstance(content, bytes) else content.encode()
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def task_of(path, **changes) -> FilesTask:
    return FilesTask(
        "mail", {"train": str(path)}, **{"inputs": "text", "targets": "label"} | changes
    )


def load(task, vocabulary, **changes):
    return task.load("train", vocabulary, **{"inputs_length": 64, "targets_length": 8} | changes)


def texts(examples):
    return [(row["inputs"], row["targets"]) for row in examples.fields]


def rejects(path, vocabulary, message, rows=1, **changes):
    """The file stops loading with `message`, and with on_bad_row="skip" the same words stand in the
    report, of so many rows.
    """
    with pytest.raises(DataError, match=message):
        load(task_of(path, **changes), vocabulary)
    report = load(task_of(path, on_bad_row="skip", **changes), vocabulary).report
    assert report.rows_skipped == rows == len(report.first_skipped)
    with pytest.raises(DataError, match=message):
        raise DataError(report.first_skipped[0])


@pytest.mark.parametrize(
    "name, content",
    [
        ("data.tsv", 'id\ttext\tlabel\na\t say "hi"\t0\nb\tbuy, now\t1\n\n'),
        ("data.csv", 'id,text,label\r\na,"say ""hi""",0\r\nb,"buy, now",1\r\n'),
        (
            "data.jsonl",
            '{"id": "a", "text": "say \\"hi\\"", "label": 0}\n{"id": "b", "text": "buy, now", "label": "1"}',
        ),
    ],
)
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_three_formats_one_result(write, letters, name, content, mark):
    path = write(mark + content.encode(), name)
    examples = load(task_of(path, id_column="id", labels=LABELS), letters)
    assert examples.ids == ["a", "b"]
    assert texts(examples) == [('say "hi"', "ham"), ("buy, now", "spam")]
    assert (
        letters.decode(examples.inputs[1]) == "buy, now"
        and letters.decode(examples.targets[1]) == "spam"
    )
    assert examples.report.rows_read == 2 and examples.report.rows_skipped == 0


def test_the_case_of_a_suffix_is_nothing(write, letters):
    assert texts(load(task_of(write("text,label\na,0\n", "data.CSV")), letters)) == [("a", "0")]


def test_templates_join_columns(write, letters):
    path = write('{"a b": "x", "n": 2.5, "ok": true, "nested": {"unused": [1]}}', "data.jsonl")
    task = FilesTask("t", {"train": path}, inputs="first: {a b} then {n}", targets="{ok}!")
    assert texts(load(task, letters)) == [("first: x then 2.5", "true!")]


def test_without_an_id_column_ids_are_places(write, letters):
    path = write('text,label\n"two\nlines",x\nb,y\n', "data.csv")
    assert load(task_of(path), letters).ids == ["data.csv:2", "data.csv:4"]


def test_several_files_make_a_split(write, letters):
    paths = [
        str(write("text\tlabel\na\tx\n", "1.tsv")),
        str(write('{"text": "b", "label": "y"}', "2.jsonl")),
    ]
    task = FilesTask("t", {"train": paths}, inputs="text", targets="label")
    assert load(task, letters).ids == ["1.tsv:2", "2.jsonl:1"]


def test_labels_keep_their_order_once_each(write):
    assert task_of("x", labels=("b", "a")).label_texts == ("b", "a")
    assert task_of("x", labels={"0": "no", "1": "yes", "2": "no"}).label_texts == ("no", "yes")
    assert task_of("x").label_texts is None


GOOD = "g\tfine\t0\n"


@pytest.mark.parametrize(
    "row, message",
    [
        (b"b\tonly two\n", r"data.tsv, row 3: 2 columns where the header has 3: id, text, label"),
        (b"b\tx\t0\textra\n", "row 3: 4 columns"),
        (b"\n", "row 3: blank row"),
        (b"b\tx\t\n", "row 3: the targets are empty"),
        (b"b\t \t0\n", "row 3: the inputs are empty"),
        (b"b\t\x00\x07\t0\n", "row 3: the inputs are empty"),
        (b"b\tx\t2\n", "row 3: unknown label '2'; the task's are '0', '1'"),
        (b"b\tcaf\xe9\t0\n", "row 3: not UTF-8 near .*caf"),
        (b"\tx\t0\n", "row 3: column 'id' .the id. is empty"),
        (b"g\tagain\t0\n", "row 3: id 'g' was there before"),
    ],
)
def test_malformed_tsv_rows(write, letters, row, message):
    path = write((HEADER + GOOD).encode() + row + b"z\tlast\t1\n")
    rejects(path, letters, message, id_column="id", labels=LABELS)
    skipping = load(task_of(path, id_column="id", labels=LABELS, on_bad_row="skip"), letters)
    assert skipping.ids == ["g", "z"] and skipping.report.rows_read == 3


@pytest.mark.parametrize(
    "row, message",
    [
        ("[1, 2]", "row 2: a JSON object is needed, found list"),
        ("{broken", "row 2: not JSON"),
        ("", "row 2: not JSON"),
        ("[" * 100_000, "row 2: not JSON"),
        (
            '{"txt": "x", "label": "a"}',
            "row 2: no column 'text'; found 'txt', 'label'; nearest: 'txt'",
        ),
        ('{"text": null, "label": "a"}', "row 2: column 'text' holds None"),
        ('{"text": ["x"], "label": "a"}', r"row 2: column 'text' holds \['x'\]"),
        ('{"text": NaN, "label": "a"}', "row 2: column 'text' holds nan"),
        ('{"text": 1e999, "label": "a"}', "row 2: column 'text' holds inf"),
        ('{"text": "\\ud800", "label": "a"}', "row 2: not UTF-8"),
        ('{"text": "x", "label": ""}', "row 2: the targets are empty"),
    ],
)
def test_malformed_jsonl_rows(write, letters, row, message):
    good = '{"text": "fine", "label": "a"}'
    rejects(write(f"{good}\n{row}\n{good}", "data.jsonl"), letters, message)


@pytest.mark.parametrize(
    "changes, flag",
    [
        ({"inputs": "{txt}!"}, "INPUTS"),
        ({"targets": "y"}, "TARGETS"),
        ({"id_column": "y"}, "ID_COLUMN"),
    ],
)
@pytest.mark.parametrize(
    "name, content",
    [("data.tsv", HEADER + "g\tfine\t0"), ("data.jsonl", '{"text": 1, "label": 0}')],
)
def test_a_missing_column_names_the_flag_that_asks_for_it(
    write, letters, name, content, changes, flag
):
    with pytest.raises(DataError, match=f"no column '(txt|y)'; found .*: change {flag}(;|$)"):
        load(task_of(write(content, name), **changes), letters)


def test_a_bad_row_that_ends_a_task_names_what_skips_it(write, letters):
    path = write(HEADER + GOOD + "b\tx\t2\n")
    advice = "change CLASS_LABELS or FilesTask.labels"
    with pytest.raises(DataError, match=f"'2'; .*: {advice}; FilesTask.on_bad_row = 'skip' leaves"):
        load(task_of(path, labels=LABELS), letters)
    report = load(task_of(path, labels=LABELS, on_bad_row="skip"), letters).report
    assert report.first_skipped[0].endswith(advice)


def test_malformed_csv_rows(write, letters):
    rejects(
        write('text,label\na,b\n"x"y,z\nc,d\n', "data.csv"),
        letters,
        "data.csv, row 3: not CSV up to line 3",
    )
    rejects(
        write('text,label\na,b\n"never closed,z\nc,d\n', "data.csv"),
        letters,
        "row 3: not CSV up to line 4",
        rows=2,
    )
    rejects(write(b"text,label\na,b\n\xff,z\nc,d\n", "data.csv"), letters, "row 3: not UTF-8")


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("data.tsv", "", "data.tsv: the file is empty"),
        ("data.jsonl", "\n\n", "data.jsonl: the file is empty"),
        ("data.tsv", HEADER, "data.tsv: a header and no rows"),
        (
            "data.tsv",
            "a\thello\tx\nb\tbye\ty\n",
            "row 1 .read as the header.: no column 'text'; found 'a', 'hello', 'x'",
        ),
        ("data.tsv", "id\ttexts\tlabel\na\tb\tc\n", "no column 'text'; found .*; nearest: 'texts'"),
        ("data.csv", "text,label,text\na,b,c\n", "columns text stand there more than once"),
        ("data.csv", '"text,label\n', "row 1 .read as the header.: not CSV"),
        ("data.txt", "x", "data.txt: data files end in .tsv, .csv, .jsonl"),
    ],
)
@pytest.mark.parametrize("on_bad_row", ["fail", "skip"])
def test_unusable_files_fail_in_either_mode(write, letters, name, content, message, on_bad_row):
    with pytest.raises(DataError, match=message):
        load(task_of(write(content, name), on_bad_row=on_bad_row), letters)


def test_a_file_without_one_usable_row_is_an_error(write, letters):
    with pytest.raises(DataError, match="none of 2 rows is usable; .*row 2: 1 columns"):
        load(task_of(write(HEADER + "a\nb\n"), on_bad_row="skip"), letters)


def test_missing_files_and_splits_are_named(write, letters, tmp_path):
    with pytest.raises(DataError, match="task mail: no data file .*nowhere.tsv: check DATA_FILES"):
        load(task_of(tmp_path / "nowhere.tsv"), letters)
    with pytest.raises(DataError, match="mail, split 'train': no data files: check DATA_FILES"):
        load(FilesTask("mail", {"train": []}), letters)
    with pytest.raises(DataError, match="no split 'trian', only train; nearest: 'train'"):
        task_of("x").load("trian", letters, 8, 8)


def test_control_characters_become_spaces_and_are_counted(write, letters):
    content = HEADER + "a\tbell\x07 and\x00nul\t0\nb\tfine\t0\n"
    examples = load(task_of(write(content)), letters)
    assert texts(examples)[0] == ("bell  and nul", "0")
    assert examples.report.control_characters_replaced == 1
    kept = load(task_of(write('{"text": "two\\nlines\\tand", "label": "0"}', "d.jsonl")), letters)
    assert texts(kept)[0][0] == "two\nlines\tand" and kept.report.control_characters_replaced == 0


def test_line_separators_of_unicode_do_not_end_rows(write, letters):
    examples = load(task_of(write(HEADER + "a\tone\u2028two\x85three\t0\n")), letters)
    assert len(examples) == 1


def test_truncation_is_counted(write, letters):
    report = load(
        task_of(write(HEADER + GOOD + "h\tlonger\tmore\n")),
        letters,
        inputs_length=5,
        targets_length=3,
    ).report
    assert (report.inputs_truncated, report.targets_truncated) == (1, 1)


def test_targets_without_tokens_are_malformed(write, pocket):
    rejects(
        write(HEADER + GOOD + "b\tx\t\u200b\nc\ty\t0\n"),
        pocket,
        "has no tokens for targets|the targets are empty",
    )


def test_labels_that_the_vocabulary_cannot_tell_apart_are_refused(write, pocket):
    path = write(HEADER + "a\tx\tPolish\n")
    with pytest.raises(
        DataError, match="reads labels 'Polish' and 'polish' both as 'polish': change one"
    ):
        load(task_of(path, labels=("Polish", "polish")), pocket)


def test_labels_that_would_be_cut_are_refused(write, letters):
    task = task_of(write(HEADER + GOOD), labels=LABELS)
    assert len(load(task, letters, targets_length=len("spam") + 1)) == 1
    with pytest.raises(
        DataError, match="label 'spam' has 5 tokens .* targets 4 in TASK_FEATURE_LENGTHS .* raise"
    ):
        load(task, letters, targets_length=len("spam"))


@pytest.mark.parametrize(
    "changes, message",
    [
        ({"on_bad_row": "ignore"}, "on_bad_row is 'fail' or 'skip', found 'ignore'"),
        ({"labels": ()}, "labels is empty"),
        ({"metrics": ("macrof1",)}, "no metric 'macrof1'.*nearest: 'macro_f1'"),
        ({"metrics": ("illegal_rate",)}, "needs a task with labels"),
    ],
)
def test_wrong_definitions_fail_at_once(changes, message):
    with pytest.raises(DataError, match=message):
        task_of("x", **changes)


def test_a_task_scores_predictions_in_the_order_of_its_examples(write, letters):
    path = write(HEADER + "a\tx\t0\nb\ty\t1\n")
    task = task_of(path, labels=LABELS, metrics=("accuracy", "illegal_rate"))
    scores = task.score(load(task, letters), ["ham", "eggs"], letters)
    assert scores == {"accuracy": 50, "illegal_rate": 50}


class TestCached:
    """What is read from files is kept on disk until the files or the task change."""

    def test_a_cache_made_elsewhere_serves_without_the_files(self, write, letters, tmp_path):
        path = write(HEADER + GOOD)
        made = load(task_of(path), letters, cache_dir=tmp_path / "cache")
        path.unlink()
        again = load(task_of("another/place/data.tsv"), letters, cache_dir=tmp_path / "cache")
        assert again.ids == made.ids and texts(again) == texts(made)

    def test_a_changed_file_is_read_again(self, write, letters, tmp_path, caplog):
        load(task_of(write(HEADER + GOOD)), letters, cache_dir=tmp_path / "cache")
        again = load(
            task_of(write(HEADER + GOOD + "h\tmore\t1\n")), letters, cache_dir=tmp_path / "cache"
        )
        assert len(again) == 2 and "sources differ" in caplog.text

    def test_a_changed_definition_is_read_again(self, write, letters, tmp_path, caplog):
        path = write(HEADER + GOOD)
        load(task_of(path), letters, cache_dir=tmp_path / "cache")
        again = load(task_of(path, labels=LABELS), letters, cache_dir=tmp_path / "cache")
        assert texts(again) == [("fine", "ham")] and "definition differ" in caplog.text

    def test_without_the_files_another_definition_is_an_error(self, write, letters, tmp_path):
        path = write(HEADER + GOOD)
        load(task_of(path), letters, cache_dir=tmp_path / "cache")
        path.unlink()
        with pytest.raises(DataError, match="no data file"):
            load(task_of(path, labels=LABELS), letters, cache_dir=tmp_path / "cache")


def fuzzed_row(rng: random.Random) -> bytes:
    """A row that may be good, or empty, huge, no UTF-8, full of control characters, unlabelled, of
    a wrong type.
    """
    text = rng.choice(
        [
            b"fine",
            b"",
            b" ",
            b"x" * 200_000,
            b"\xff\xfe\x80",
            bytes(range(32)),
            "ä\u2028\u200b".encode(),
            b'"q',
        ]
    )
    label = rng.choice([b"0", b"1", b"2", b"", b"nan", b"\x00", b"ham"])
    return rng.choice(
        [
            b"%b\t%b",
            b"%b%b",
            b"%b\t%b\t",
            b'{"text": "%b", "label": "%b"}',
            b'{"text": %b, "label": %b}',
        ]
    ) % (text, label)


@pytest.mark.parametrize(
    "name, header",
    [("data.tsv", b"text\tlabel"), ("data.csv", b"text,label"), ("data.jsonl", None)],
)
def test_a_thousand_fuzzed_rows_are_kept_or_counted(write, letters, name, header):
    rng = random.Random(0)
    good = {
        "data.tsv": b"fine\t0",
        "data.csv": b"fine,0",
        "data.jsonl": b'{"text": "fine", "label": 0}',
    }[name]
    rows = [good] + [fuzzed_row(rng).replace(b"\n", b" ") for _ in range(1000)] + [good]
    path = write(b"\n".join(([header] if header else []) + rows), name)
    examples = load(task_of(path, labels=LABELS, on_bad_row="skip"), letters)
    report = examples.report
    assert report.rows_read == len(list(read_table(path, ["text", "label"])))
    assert report.rows_skipped == report.rows_read - len(examples) > 100
    assert all(", row " in message for message in report.first_skipped)
    if name != "data.csv":  # there an open quote takes the rows up to the next quote with it
        assert report.rows_read == len(rows)
    assert {row["targets"] for row in examples.fields} <= {"ham", "spam"}
    json.dumps(examples.fields).encode("utf-8")
