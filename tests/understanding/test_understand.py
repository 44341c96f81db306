"""The command, on the shipped model and a prompt trained on it; and from an embedding table alone."""

import pathlib
import subprocess
import sys

import numpy as np
import pytest

from prompt_tuning import api
from prompt_tuning import understand
from prompt_tuning.prompts import files
from tests.understanding import examples
from tests.understanding import html_reader

REPOSITORY = pathlib.Path(__file__).parents[2]
LENGTHS = {"inputs": 48, "targets": 4}


@pytest.fixture
def report_needs():
    pytest.importorskip("matplotlib")


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """A few steps on the shipped model, from the labels."""
    folder = tmp_path_factory.mktemp("run")
    api.train_prompt(
        api.load_model("pocket_t5"),
        api.shipped_task("gloss_category"),
        model_dir=folder,
        steps=4,
        length=10,
        task_feature_lengths=LENGTHS,
        batch_size=8,
        eval_period=None,
        save_period=2,
        log_period=1,
    )
    return folder


def command(*arguments, **options):
    return subprocess.run(
        [sys.executable, "-m", "prompt_tuning.understand", *map(str, arguments)],
        capture_output=True,
        text=True,
        cwd=REPOSITORY,
        **options,
    )


def test_a_trained_prompt_end_to_end(run, tmp_path, report_needs):
    out = tmp_path / "reports" / "gloss.html"
    first = run / "numpy_checkpoints" / "checkpoint_2"
    done = command(
        *("last=" + str(run), f"<first>={first}", "--model", "pocket_t5", "--out", out),
        *("--task", "gloss_category", "--lengths", 48, 4, "--max_examples", 24),
    )
    assert done.returncode == 0, done.stderr
    read = html_reader.read(out.read_text(encoding="utf-8"))
    assert read.tags.count("img") == 2 + 3 * 2 + 2  # matrices; of each; of the run's training
    labels = api.shipped_task("gloss_category").label_texts
    for label in labels:  # four steps leave the labels where they began
        assert any(f"▁{label} 0.9" in text or f"▁{label} 1.0" in text for text in read.texts)
        assert f"▁{label}" in done.stdout
    assert any(text == "<first>" for text in read.texts)
    for layer in range(4):
        assert f"layer {layer}" in done.stdout
    assert "24 examples of gloss_category, validation" in done.stdout
    assert f"Report: {out}" in done.stdout


def test_what_python_is_given(run):
    model, task = api.load_model("pocket_t5"), api.shipped_task("gloss_category")
    found = understand.understand(
        {"run": run},
        model,
        task=task,
        task_feature_lengths=LENGTHS,
        max_examples=8,
        batch_size=8,
    )
    (finding,) = found.prompts
    seen = finding.neighborhoods["encoder"]
    assert list(found.labels) == list(task.label_texts)
    assert seen.statistics.by_label == dict.fromkeys(task.label_texts, 1)
    assert seen.statistics.similarity > max(x.similarity for x in seen.control_statistics)
    assert list(finding.training.saves) == [2, 4] and list(finding.training.trained) == [1, 2, 3, 4]
    trained = finding.training.saves[4][files.parameter("encoder")]
    np.testing.assert_allclose(np.sqrt(np.sum(trained**2)), finding.training.trained[4], rtol=1e-5)
    assert [len(x) for x in finding.attention.by_layer.values()] == [4, 4]


def test_released_prompts_need_a_table_alone(tmp_path, capsys, report_needs):
    base = examples.embeddings()
    np.save(tmp_path / "table.npy", base.table)
    files.write_prompt(tmp_path / "a=b.npy", examples.rows_of(base, "abc"))
    table = ["--embedding_file", str(tmp_path / "table.npy"), "--vocabulary_file", "bytes"]
    out = tmp_path / "out.html"
    understand.main([str(tmp_path / "a=b.npy"), *table, "--labels", "ab", "c", "--out", str(out)])
    text = capsys.readouterr().out
    assert "<0x61> 1.00" in text and f"== {tmp_path}/a=b.npy" in text
    html_reader.read(out.read_text(encoding="utf-8"))
    with pytest.raises(SystemExit) as stopped:
        understand.main([str(tmp_path / "a=b.npy"), *table, "--task", "spam", "--out", str(out)])
    assert stopped.value.code == 1
    assert "an embedding table is none: give --model" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments, message",
    [
        (["nowhere", "--model", "pocket_t5"], "there is no nowhere"),
        (["x=a", "x=b", "--model", "pocket_t5"], "Two prompts are called 'x'"),
        (["x", "--model", "no_model"], "'no_model': there is no such folder"),
        (["x", "--embedding_file", "y"], "give --vocabulary_file"),
    ],
)
def test_mistakes_are_told_in_a_line(arguments, message, tmp_path, capsys, report_needs):
    with pytest.raises(SystemExit) as stopped:
        understand.main([*arguments, "--out", str(tmp_path / "out.html")])
    assert stopped.value.code == 1
    error = capsys.readouterr().err
    assert message in error and error.startswith("Error: ") and error.count("\n") == 1
    assert not (tmp_path / "out.html").exists()


def test_a_report_that_cannot_be_written_is_told_first(tmp_path, report_needs):
    base = examples.embeddings()
    with pytest.raises(IsADirectoryError, match=r"report_file \(--out\): .* is a folder"):
        understand.understand({"x": "nowhere"}, base, report_file=tmp_path)
    with pytest.raises(ValueError, match="give at least one prompt"):
        understand.understand({}, base)


def test_a_table_file_is_a_task(data_files, tmp_path):
    args = understand._parser().parse_args(
        ["x", "--model", "m", "--out", "o", "--task", data_files["test"]]
    )
    task = understand._task(args)
    loaded = task.load(args.split, examples.BYTES, 16, 16)
    assert len(loaded) == 10 and loaded.fields[1]["targets"] == "animal"


def test_without_matplotlib_there_is_a_table_but_no_report(tmp_path):
    base = examples.embeddings()
    np.save(tmp_path / "table.npy", base.table)
    files.write_prompt(tmp_path / "p.npy", examples.rows_of(base, "abc"))
    table, prompt, out = (str(tmp_path / name) for name in ("table.npy", "p.npy", "out.html"))
    code = f"""
import sys
sys.modules["matplotlib"] = None  # as where it is not installed
from prompt_tuning import understand
from prompt_tuning.understanding import subjects, tables
base = subjects.read_embeddings({table!r}, "bytes")
found = understand.understand({{"x": {prompt!r}}}, base)
print(tables.overview(found))
understand.main(
    [{prompt!r}, "--embedding_file", {table!r}, "--vocabulary_file", "bytes", "--out", {out!r}]
)
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=REPOSITORY
    )
    assert "nearest cosine" in done.stdout
    assert done.returncode == 1
    assert "need matplotlib: `pip install 'prompt_tuning[demo]'`" in done.stderr
