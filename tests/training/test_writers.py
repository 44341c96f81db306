"""Scalars read back from both kinds of files."""

import json
import struct
import sys

import jax
import jax.numpy as jnp
import tensorboardX.proto.event_pb2 as events

from prompt_tuning.training import writers


def read_lines(folder):
    return [json.loads(line) for line in (folder / "scalars.jsonl").read_text().splitlines()]


def read_events(folder):
    """What TensorBoard's record file holds: lengths and checksums around each event."""
    (path,) = folder.glob("events.*")
    content, found = path.read_bytes(), []
    while content:
        (length,) = struct.unpack("<Q", content[:8])
        found.append(events.Event.FromString(content[12 : 12 + length]))
        content = content[16 + length :]
    return found


def test_scalars_reach_both_files(tmp_path):
    writer = writers.ScalarWriter(tmp_path / "run")
    writer(10, {"train/loss": jnp.float32(2.5), "prompt/update_ratio": 0.25})
    writer(20, {"train/loss": 1.5})
    writer.close()
    assert read_lines(tmp_path / "run") == [
        {"step": 10, "train/loss": 2.5, "prompt/update_ratio": 0.25},
        {"step": 20, "train/loss": 1.5},
    ]
    assert [
        (event.step, value.tag, value.simple_value)
        for event in read_events(tmp_path / "run")
        for value in event.summary.value
    ] == [(10, "train/loss", 2.5), (10, "prompt/update_ratio", 0.25), (20, "train/loss", 1.5)]


def test_texts_go_to_tensorboard_alone(tmp_path):
    writer = writers.ScalarWriter(tmp_path)
    writer(3, {"eval/accuracy": 50.0, "eval/examples": "| a |"})
    writer.close()
    assert read_lines(tmp_path) == [{"step": 3, "eval/accuracy": 50.0}]
    values = [value for event in read_events(tmp_path) for value in event.summary.value]
    (text,) = [value for value in values if value.tag.startswith("eval/examples")]
    assert text.tensor.string_val == [b"| a |"]


def test_lines_are_there_before_the_writer_is_closed(tmp_path):
    writer = writers.ScalarWriter(tmp_path)
    writer(1, {"loss": 3.0})
    assert read_lines(tmp_path) == [{"step": 1, "loss": 3.0}]
    writer.close()


def test_a_resumed_run_goes_on_in_the_same_lines(tmp_path):
    for first_step in (0, 1):
        writer = writers.ScalarWriter(tmp_path, first_step)
        writer(first_step + 1, {"loss": 3.0})
        writer.close()
    assert [line["step"] for line in read_lines(tmp_path)] == [1, 2]


def test_a_resumed_run_hides_what_was_beyond_its_first_step(tmp_path):
    writers.ScalarWriter(tmp_path, first_step=200).close()
    started = [
        event.step
        for event in read_events(tmp_path)
        if event.session_log.status == events.SessionLog.START
    ]
    assert started == [201]  # the evaluation at step 200 stays


def test_only_process_zero_writes(tmp_path, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    writer = writers.ScalarWriter(tmp_path / "run")
    writer(1, {"loss": 3.0})
    writer.close()
    assert list(tmp_path.iterdir()) == []


def test_without_tensorboardx_the_lines_remain(tmp_path, monkeypatch, caplog):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    writer = writers.ScalarWriter(tmp_path)
    writer(1, {"loss": 3.0})
    writer.close()
    assert [path.name for path in tmp_path.iterdir()] == ["scalars.jsonl"]
    assert "pip install tensorboardX" in caplog.text
