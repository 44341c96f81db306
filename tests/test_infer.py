"""Inference writes a line for each input, in order, to a file or standard output."""

import json

import numpy as np
import pytest

import prompt_tuning as pt
from prompt_tuning import infer
from prompt_tuning.checkpoints import weights
from prompt_tuning.data.examples import DataError
from prompt_tuning.evaluation import decoders
from prompt_tuning.methods import method
from prompt_tuning.methods import soft_prompt
from prompt_tuning.prompts import files

LENGTHS = {"inputs": 12, "targets": 4}


@pytest.fixture(scope="module")
def base(model_folder):
    return weights.load_model(model_folder)


@pytest.fixture(scope="module")
def prompt_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("prompt") / "prompt.npy"
    files.write_prompt(path, np.random.default_rng(0).normal(0, 3, (5, 16)).astype(np.float32))
    return path


def run(base, prompt_file, **options):
    infer.infer(
        base,
        soft_prompt.SoftPrompt(5),
        prompt_file=prompt_file,
        task_feature_lengths=LENGTHS,
        batch_size=8,
        **options,
    )


def test_lines_to_a_file_and_to_standard_output(base, prompt_file, tmp_path, capsys):
    texts = [f"text {i}" for i in range(10)] + [""]
    (tmp_path / "in.txt").write_text("\n".join(texts) + "\n")
    output = tmp_path / "out" / "predictions.jsonl"
    run(base, prompt_file, input_file=str(tmp_path / "in.txt"), output_file=str(output))
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [row["inputs"] for row in rows] == texts
    assert [row["id"] for row in rows] == [str(i) for i in range(1, 12)]
    assert all(set(row) == {"id", "inputs", "prediction", "score"} for row in rows)

    run(base, prompt_file, input_file=str(tmp_path / "in.txt"))
    assert capsys.readouterr().out == output.read_text()


def test_the_texts_are_not_written_over(base, prompt_file, tmp_path):
    texts = tmp_path / "in.txt"
    texts.write_text("a text\n")
    (tmp_path / "link.txt").symlink_to(texts)
    for output in (texts, tmp_path / "link.txt"):
        with pytest.raises(ValueError, match="OUTPUT_FILE is INPUT_FILE"):
            run(base, prompt_file, input_file=str(texts), output_file=str(output))
    assert texts.read_text() == "a text\n"


def test_ranked_labels_come_as_they_were_given(prompt_file, tmp_path, capsys):
    base = pt.load_model("pocket_t5_0.25M")
    (tmp_path / "in.txt").write_text("a text\n")
    infer.infer(
        base,
        method.Method(),
        task_feature_lengths=LENGTHS,
        input_file=str(tmp_path / "in.txt"),
        decoder=decoders.RankLabels(),
        labels={"0": "Bad", "1": "Good"},
    )
    row = json.loads(capsys.readouterr().out)
    assert row["prediction"] == max(row["label_scores"], key=row["label_scores"].get)
    assert row["label_scores"].keys() == {"Bad", "Good"}
    assert base.vocabulary.decode(base.vocabulary.encode("Good")) == "good"


def test_a_table(base, prompt_file, tmp_path, capsys):
    (tmp_path / "in.csv").write_text("key,a,b\nx,red,cat\n")
    run(base, prompt_file, input_file=str(tmp_path / "in.csv"), inputs="{b} {a}", id_column="key")
    row = json.loads(capsys.readouterr().out)
    assert (row["id"], row["inputs"]) == ("x", "cat red")


def test_without_a_prompt(base, tmp_path, capsys):
    (tmp_path / "in.txt").write_text("red\n")
    infer.infer(
        base,
        method.Method(),
        task_feature_lengths=LENGTHS,
        batch_size=8,
        input_file=str(tmp_path / "in.txt"),
    )
    assert json.loads(capsys.readouterr().out)["inputs"] == "red"


def test_bad_input_leaves_no_output(base, prompt_file, tmp_path):
    (tmp_path / "in.txt").write_bytes(b"good\n\xff\n")
    output = tmp_path / "out.jsonl"
    with pytest.raises(DataError, match="line 2: not UTF-8"):
        run(base, prompt_file, input_file=str(tmp_path / "in.txt"), output_file=str(output))
    assert not output.exists()


def test_a_prompt_of_another_length(base, prompt_file, tmp_path):
    (tmp_path / "in.txt").write_text("red\n")
    with pytest.raises(ValueError, match="Set PROMPT_LENGTH=5"):
        infer.infer(
            base,
            soft_prompt.SoftPrompt(3),
            prompt_file=prompt_file,
            task_feature_lengths=LENGTHS,
            input_file=str(tmp_path / "in.txt"),
            batch_size=8,
        )
