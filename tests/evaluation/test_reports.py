"""Files that are whole or absent."""

import json

import pytest

from prompt_tuning.evaluation import reports


def test_files_read_back(tmp_path):
    rows = [
        {"id": "0", "targets": "größer", "prediction": "line\nbreak"},
        {"id": "1", "targets": "b", "prediction": "\u2028"},
    ]
    reports.write_predictions(tmp_path / "new" / "predictions.jsonl", rows)
    reports.write_metrics(tmp_path / "new" / "metrics.json", {"accuracy": 1 / 3})

    lines = (tmp_path / "new" / "predictions.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line) for line in lines.split("\n")[:-1]] == rows
    assert "größer" in lines
    assert json.loads((tmp_path / "new" / "metrics.json").read_text()) == {"accuracy": 1 / 3}


def test_an_interrupted_file_leaves_the_old_one(tmp_path):
    path = tmp_path / "predictions.jsonl"
    path.write_text("old\n")

    def interrupted():
        yield {"id": "0"}
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        reports.write_predictions(path, interrupted())
    assert path.read_text() == "old\n"
    assert list(tmp_path.iterdir()) == [path]


def test_a_table_keeps_its_columns():
    row = {"inputs": "a|b\nc", "targets": "t", "prediction": "p", "id": "0"}
    lines = reports.markdown_table([row]).split("\n")
    assert lines[0] == "| inputs | targets | prediction |"
    assert lines[2:] == [r"| a\|b c | t | p |"]
