"""What evaluation and inference write is whole or not there; what stops them is said in a line."""

import contextlib
import json
import os
import resource
import subprocess
import sys
import time

import numpy as np
import pytest

from prompt_tuning import checks
from prompt_tuning import eval as evaluation
from prompt_tuning import infer
from prompt_tuning.evaluation import reports
from prompt_tuning.prompts import files
from tests import processes

PARAMETER = files.parameter("encoder")
OLD = "old\n"


@contextlib.contextmanager
def full_disk(size=100):
    """No file grows beyond `size` bytes: writing goes wrong in the middle, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.fixture
def flags(model_folder, data_files, tmp_path):
    """Of eval and infer alike: a prompt that nobody trained, and 400 inputs."""
    files.write_prompt(tmp_path / "prompt.npy", np.ones((4, 16), np.float32))
    (tmp_path / "in.txt").write_text("".join(f"text {i}\n" for i in range(400)))
    bindings = {
        "INITIAL_CHECKPOINT_PATH": model_folder,
        "PROMPT_FILE": tmp_path / "prompt.npy",
        "PROMPT_LENGTH": 4,
        "TASK_FEATURE_LENGTHS": {"inputs": 16, "targets": 4},
        "BATCH_SIZE": 8,
    }
    task = {"DATA_FILES": data_files, "ID_COLUMN": "id", "EVAL_SPLIT": "train"}
    evaluated = {"EVAL_OUTPUT_DIR": tmp_path / "eval"}
    inferred = {"INPUT_FILE": tmp_path / "in.txt"}
    return {
        evaluation: ["--gin_file=tasks/files.gin", *_flags(bindings | task | evaluated)],
        infer: ["--gin_file=tasks/files.gin", *_flags(bindings | inferred)],
    }


def _flags(bindings):
    return [f"--gin.{name}={value}" for name, value in bindings.items()]


@pytest.fixture
def fails(flags, monkeypatch, capsys):
    """`fails(program, *flags)`: the one line that says why."""

    def run(program, *more):
        monkeypatch.setattr(sys, "argv", ["program", *flags[program], *more])
        with pytest.raises(SystemExit) as caught:
            program.main()
        written = capsys.readouterr().err
        assert caught.value.code == 1 and "Traceback" not in written
        (line,) = (line for line in written.splitlines() if line.startswith("Error"))
        return line

    return run


def test_a_full_disk_leaves_the_old_evaluation(fails, tmp_path):
    folder = tmp_path / "eval"
    folder.mkdir()
    for name in ("predictions.jsonl", "metrics.json", "eval_config.gin"):
        (folder / name).write_text(OLD)
    with full_disk():
        line = fails(evaluation)
    assert (
        line
        == f"Error: {folder / 'predictions.jsonl'} cannot be written: [Errno 27] File too large"
    )
    assert {path.name: path.read_text() for path in folder.iterdir()} == {
        "predictions.jsonl": OLD,
        "metrics.json": OLD,
        "eval_config.gin": OLD,
    }


def test_a_full_disk_leaves_the_old_predictions(fails, tmp_path):
    output = tmp_path / "out" / "predictions.jsonl"
    output.parent.mkdir()
    output.write_text(OLD)
    with full_disk():
        line = fails(infer, f"--gin.OUTPUT_FILE={output}")
    assert line == f"Error: {output} cannot be written: [Errno 27] File too large"
    assert output.read_text() == OLD and list(output.parent.iterdir()) == [output]


def test_a_full_disk_behind_standard_output(fails, monkeypatch):
    with contextlib.suppress(OSError), open("/dev/full", "w") as full:  # what is left is lost too
        monkeypatch.setattr(sys, "stdout", full)
        line = fails(infer)
    assert line == "Error: Standard output cannot be written: [Errno 28] No space left on device"


@pytest.mark.parametrize("program, flag", [(evaluation, "EVAL_OUTPUT_DIR"), (infer, "OUTPUT_FILE")])
def test_where_nothing_can_be_written_nothing_is_computed(fails, tmp_path, program, flag):
    (tmp_path / "file").write_text(OLD)
    line = fails(program, f"--gin.{flag}={tmp_path / 'file' / 'below'}")
    assert line.startswith(f"Error: {flag}: nothing can be written in {tmp_path / 'file'}")
    assert (tmp_path / "file").read_text() == OLD


def test_a_folder_is_no_output_file(fails, tmp_path):
    line = fails(infer, f"--gin.OUTPUT_FILE={tmp_path}")
    assert line == f"Error: OUTPUT_FILE: {tmp_path} is a folder: give a file in it."


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_for_reading_only(tmp_path):
    tmp_path.chmod(0o555)
    with pytest.raises(OSError, match="EVAL_OUTPUT_DIR: nothing can be .*Permission denied"):
        checks.writable(tmp_path, "EVAL_OUTPUT_DIR")


def _write_prompt(path):
    files.write_prompt(path, np.ones((4, 16), np.float32))


def _write_prompts(path):
    files.write_prompts(path, {PARAMETER: np.ones((4, 16), np.float32)}, {"task": "colours"})


def _write_metrics(path):
    reports.write_metrics(path, {f"accuracy {i}": float(i) for i in range(20)})


@pytest.mark.parametrize("write", [_write_prompt, _write_prompts, _write_metrics])
def test_a_full_disk_leaves_the_old_file(tmp_path, write):
    path = tmp_path / "file.safetensors"
    path.write_text(OLD)
    with full_disk(), pytest.raises(OSError, match=f"{path} cannot be written: .+"):
        write(path)
    assert path.read_text() == OLD and list(tmp_path.iterdir()) == [path]


@contextlib.contextmanager
def inferring(arguments, *more):
    """Infers in a process of its own, ended when all is done."""
    process = subprocess.Popen(
        [sys.executable, "-m", "prompt_tuning.infer", *arguments, *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=processes.REPOSITORY,
    )
    try:
        yield process
    finally:
        process.kill()
        process.communicate()


def test_a_reader_that_has_enough_ends_it_quietly(flags):
    with inferring(flags[infer]) as process:
        assert json.loads(process.stdout.readline())["inputs"] == "text 0"
        process.stdout.close()
        assert process.wait(processes.SECONDS) == 141
        assert "rror" not in process.stderr.read()


def test_a_kill_leaves_the_old_predictions(flags, tmp_path):
    output = tmp_path / "out" / "predictions.jsonl"
    output.parent.mkdir()
    output.write_text(OLD)
    with inferring(flags[infer], f"--gin.OUTPUT_FILE={output}") as process:
        while not any(path.stat().st_size for path in output.parent.glob(f".{output.name}.*")):
            assert process.poll() is None
            time.sleep(0.002)
        process.kill()
    assert output.read_text() == OLD
