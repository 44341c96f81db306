"""Damaged gin files and flags: refused by file and line, or read; nothing else escapes.

What a file says that is gin all the same, with other values, is for cli/checking.py to judge.
"""

import random
import re

import gin
import pytest

from prompt_tuning.cli import reading
from tests.faults import damage

RUN = """# A run.
include "inner.gin"
import math
MODEL_DIR = "~/x"
SoftPrompt:
  length = 20
  location = 'end'
MODEL = @PretrainedModel()
PretrainedModel.path = %INITIAL_CHECKPOINT_PATH
span/TextTask.name = "span"
FilesTask.labels = {"0": "no", "1": None, "2": (1, -2.5e3, True)}
"""
INNER = "SEED = 1\nBATCH_SIZE = 8\nCLASS_LABELS = [\n  'act', \"animal\",\n]\n"
LONG = "x" * 5000
NO_GIN = [
    "SEED = " + "[" * 100,
    "SEED = " + "[" * 3000 + "]" * 3000,
    "SEED = " + "(" * 50_000,
    "SEED = {[1]: 2}",
    "SEED = {{}: 2}",
    "SEED = {'a' 1}",
    "SEED = 09",
    "SEED = '\\N{nothing}'",
    "SEED = '''",
    "SEED = \\",
    "SEED = \0",
    "SEED = @",
    "SEED = @x(",
    "SEED = 3 4",
    "SEED",
    "\0",
    "SoftPrompt:\n length",
    "SoftPrompt:\n  nothing = 3",
    "Nothing.x = 3",
    "include 3",
    "include ''",
    "include 'a\0b'",
    f"include '{LONG}'",
    "include 'run.gin'",
    "import",
    "import nothing.of.the.kind",
    "import ..x",
    b"SEED = '\xff'",
    b"SEED = '\xed\xa0\x80'",
]


def read(folder):
    try:
        reading.read([str(folder / "run.gin")], [str(folder)], [])
        return None
    except reading.ConfigError as error:
        return str(error)


@pytest.mark.parametrize("name", ["run.gin", "inner.gin"])
def test_damage(tmp_path, name):
    (tmp_path / "run.gin").write_text(RUN)
    (tmp_path / "inner.gin").write_text(INNER)
    assert read(tmp_path) is None and gin.query_parameter("SoftPrompt.length") == 20
    rng, data, refused = random.Random(name), (tmp_path / name).read_bytes(), 0
    for kind, content in damage.cases(rng, data, changes=25):
        damage.put(tmp_path / name, content)
        message = read(tmp_path)
        gone = kind in (damage.LOST, damage.FOLDER)
        assert not gone or message
        if message is not None:
            place = name if gone else rf"{name}(, (after )?line \d+|.*not UTF-8)"
            assert re.search(place, message), (kind, content, message)
            refused += 1
    assert refused > 20


@pytest.mark.parametrize("text", NO_GIN, ids=range(len(NO_GIN)))
def test_what_is_no_gin_is_named_by_its_line(tmp_path, text):
    content = text if isinstance(text, bytes) else text.encode()
    (tmp_path / "run.gin").write_bytes(b"BATCH_SIZE = 1\n" + content)
    message = read(tmp_path)
    assert message and re.search(r"run.gin(, (after )?line [123]\b|.*not UTF-8)", message)


@pytest.mark.parametrize(
    "value", ["[" * 100, "[" * 3000 + "]" * 3000, "{[1]: 2}", "'''", "\0", "09"]
)
def test_a_value_in_a_flag_is_gin_or_text(value):
    """What is no gin is the text as it stands (so that paths need no quotes)."""
    reading.read([], [], [("MODEL_DIR", value)])
    assert gin.query_parameter("MODEL_DIR/gin.macro.value") == value
