"""Gin files and flags: which ones are found, which win, and what is said of those that are wrong."""

import gin
import pytest

from prompt_tuning.cli import reading


def read(*files, search_paths=(), **bindings):
    flags = [(name.replace("__", "."), value) for name, value in bindings.items()]
    return reading.read([str(file) for file in files], search_paths, flags)


def macro(name):
    return gin.query_parameter(f"{name}/gin.macro.value")


@pytest.fixture
def write(tmp_path):
    def write_file(name, text):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write_file


def test_later_files_win_and_flags_win_over_files(write):
    first = write("first.gin", "SEED = 1\nBATCH_SIZE = 1\nTRAIN_STEPS = 1\n")
    second = write("second.gin", "SEED = 2\nBATCH_SIZE = 2\n")
    read(first, second, SEED="3")
    assert [macro(name) for name in ("SEED", "BATCH_SIZE", "TRAIN_STEPS")] == [3, 2, 1]


def test_paths_below_home_are_made_whole(monkeypatch):
    monkeypatch.setenv("HOME", "/home/someone")
    read(MODEL_DIR="~/runs/a", PROMPT_FILE="['~/b', '/c', 'd~/e']", DATA_FILES="{'train': '~/f'}")
    assert macro("MODEL_DIR") == "/home/someone/runs/a"
    assert macro("PROMPT_FILE") == ["/home/someone/b", "/c", "d~/e"]
    assert macro("DATA_FILES") == {"train": "/home/someone/f"}


@gin.configurable
def takes_anything(one, other):
    return one, other


@pytest.mark.parametrize("count", [2, 20])  # on one line, on several
def test_the_configuration_keeps_the_order_of_mappings(write, count):
    """Which metric decides, and which label is the positive class, goes by it."""
    names = [f"name_{i}" for i in range(count, 0, -1)]
    value = {name: {"second": [dict.fromkeys(names, 1)], "first": 2} for name in names}
    read(takes_anything__one=repr(value), takes_anything__other="%OTHER", OTHER=repr(value))
    takes_anything()
    config = reading.configuration()
    read(write("config.gin", config))
    assert list(map(repr, takes_anything())) == [repr(value)] * 2
    assert reading.configuration() == config


def test_every_reading_starts_anew(write):
    read(write("a.gin", "SEED = 1"))
    read()
    with pytest.raises(ValueError):
        macro("SEED")


def test_files_are_found_here_then_in_search_paths_then_in_the_package(
    write, tmp_path, monkeypatch
):
    write("here/tasks/spam.gin", "SEED = 1")
    write("there/tasks/spam.gin", "SEED = 2")
    monkeypatch.chdir(tmp_path / "here")
    read("tasks/spam.gin", search_paths=[str(tmp_path / "there")])
    assert macro("SEED") == 1
    monkeypatch.chdir(tmp_path)
    read("tasks/spam.gin", search_paths=[str(tmp_path / "there")])
    assert macro("SEED") == 2
    read("tasks/spam.gin")
    assert macro("MIXTURE_OR_TASK_NAME") == "spam"


def test_includes_are_read_in_place(write, tmp_path):
    write("inner.gin", "SEED = 1\nBATCH_SIZE = 1")
    outer = write("outer.gin", 'SEED = 0\ninclude "inner.gin"\nBATCH_SIZE = 2')
    read(outer, search_paths=[str(tmp_path)])
    assert (macro("SEED"), macro("BATCH_SIZE")) == (1, 2)


def test_a_block_binds_each_of_its_lines(write):
    read(write("block.gin", "SoftPrompt:\n  length = 3\n  location = 'end'\n"))
    assert gin.query_parameter("SoftPrompt.length") == 3
    assert gin.query_parameter("SoftPrompt.location") == "end"


@pytest.mark.parametrize("value", ["runs/spam", "/tmp/a b", "it's", "a:b", "gs://bucket/x"])
def test_text_in_flags_needs_no_quotes(value):
    read(MODEL_DIR=value)
    assert macro("MODEL_DIR") == value


@pytest.mark.parametrize(
    "text, expected", [('"x"', "x"), ("'x'", "x"), ("7", 7), ("None", None), ("[1, 'a']", [1, "a"])]
)
def test_gin_in_flags_is_gin(text, expected):
    read(MODEL_DIR=text)
    assert macro("MODEL_DIR") == expected


def test_places_and_mentions(write):
    path = write("a.gin", "# A comment.\nSEED = 1\nsome/SoftPrompt.length = %MY_LENGTH\n")
    sources = read(path, BATCH_SIZE="1", SoftPrompt__location="end")
    assert sources.places["SEED", reading.MACRO, "value"] == f"{path}, line 2"
    assert sources.places["some", "SoftPrompt", "length"] == f"{path}, line 3"
    assert sources.places["", "SoftPrompt", "location"] == "--gin.SoftPrompt.location"
    assert sources.mentions["MY_LENGTH"] == f"{path}, line 3"


@pytest.mark.parametrize(
    "text, expected",
    [
        (
            "SEED = 1\nSoftPromt.length = 3",
            r"line 2: nothing is called SoftPromt. Did you mean SoftPrompt",
        ),
        ("softprompt.length = 3", r"line 1: nothing is called softprompt. Did you mean SoftPrompt"),
        (
            "SoftPrompt.lenght = 3",
            r"line 1: SoftPrompt has no argument lenght. Did you mean length",
        ),
        (
            "\n\nMETHOD = @SoftPromt()",
            r"line 3: nothing is called SoftPromt. Did you mean SoftPrompt",
        ),
        ("MODEL_DIR = [@Nonsense]", r"line 1: nothing is called Nonsense"),
        ("SoftPromt:\n  length = 3", r"line 1: nothing is called SoftPromt"),
        ("SEED = 1\nBATCH_SIZE = 3 4", r"line 2: "),
        ("SEED = 1\nBATCH_SIZE = [3,", r"line \d: "),
        ("TRAIN_STEPS = thirty", r"line 1: "),
        (
            'include "tasks/spma.gin"',
            r"line 1: include: there is no gin file tasks/spma.gin. Did you mean tasks/spam.gin",
        ),
        ("import no_such_module", r"line 1: No module named 'no_such_module'"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(write, text, expected):
    path = write("wrong.gin", text)
    with pytest.raises(reading.ConfigError, match=f"^{path}, {expected}"):
        read(path)


def test_an_unknown_name_in_a_flag_is_named():
    with pytest.raises(
        reading.ConfigError, match="^--gin.SoftPrompt.lenght: .* Did you mean length"
    ):
        read(SoftPrompt__lenght="3")


def test_a_missing_file_lists_near_ones():
    with pytest.raises(
        reading.ConfigError, match="no gin file tasks/spma.gin. Did you mean tasks/spam.gin"
    ):
        read("tasks/spma.gin")


def test_a_file_that_includes_itself(write, tmp_path):
    path = write("a.gin", 'include "b.gin"')
    write("b.gin", 'SEED = 1\ninclude "a.gin"')
    with pytest.raises(
        reading.ConfigError, match="b.gin, line 2: include: .*a.gin includes itself"
    ):
        read(path, search_paths=[str(tmp_path)])


def test_a_file_that_is_no_text(tmp_path):
    (tmp_path / "a.gin").write_bytes(b"SEED = \xff")
    with pytest.raises(reading.ConfigError, match="a.gin is no gin file: not UTF-8"):
        read(tmp_path / "a.gin")
