"""What starts several processes is seen, what does not is left alone; and two real ones by flags."""

import contextlib
import http.server
import json
import os
import re
import signal
import subprocess
import sys
import threading
import time

import jax
import pytest

from prompt_tuning.cli import cluster
from prompt_tuning.cli import flags
from tests import processes

VARIABLES = (
    "SLURM_STEP_NUM_TASKS",
    "OMPI_COMM_WORLD_SIZE",
    "JOB_COMPLETION_INDEX",
    "MEGASCALE_NUM_SLICES",
    "TPU_PROCESS_ADDRESSES",
    "TPU_WORKER_HOSTNAMES",
)
ADDRESS = "--coordinator_address=host:1234"
STOPPED = 128 + signal.SIGTERM
NOTICES_SOONER = """
from prompt_tuning import train
from prompt_tuning.cli import cluster
cluster.SECONDS_TO_MISS = 10
train.main()
"""


@pytest.fixture
def joined(monkeypatch):
    """`joined(*arguments, **environment)`: what JAX is asked to join, each call's arguments."""
    for name in VARIABLES:
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TPU_SKIP_MDS_QUERY", "1")
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: name)
    calls = []

    def initialize(*, heartbeat_timeout_seconds, **given):
        calls.append(given)

    monkeypatch.setattr(jax.distributed, "initialize", initialize)
    monkeypatch.setattr(cluster, "_leave_last_word", lambda: None)

    def join(*arguments, **environment):
        for name, value in environment.items():
            monkeypatch.setenv(name, value)
        cluster.join(flags.parse(arguments, "program", "What it does."))
        return calls

    return join


@pytest.mark.parametrize(
    "environment",
    [
        {"SLURM_STEP_NUM_TASKS": "4"},
        {"OMPI_COMM_WORLD_SIZE": "2"},
        {"TPU_WORKER_HOSTNAMES": "host-0,host-1"},
        {"TPU_WORKER_HOSTNAMES": "localhost", "MEGASCALE_NUM_SLICES": "2"},
        {"JOB_COMPLETION_INDEX": "0"},
    ],
)
def test_a_cluster_of_several_processes_is_joined_unless_it_is_left_alone(joined, environment):
    assert joined("--num_processes=1", **environment) == []
    assert joined() == [{}]


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"SLURM_JOB_ID": "7", "SLURM_NTASKS": "4"},  # a batch script before srun
        {"SLURM_STEP_NUM_TASKS": "1"},
        {"OMPI_COMM_WORLD_SIZE": "1"},
        {"TPU_WORKER_HOSTNAMES": "localhost"},
        {"KUBERNETES_SERVICE_HOST": "10.0.0.1"},
    ],
)
def test_a_process_without_others_joins_nothing(joined, environment):
    assert joined(**environment) == []


def test_a_kubernetes_job_that_jax_cannot_ask_about_is_left_alone(joined, monkeypatch, capsys):
    monkeypatch.setattr(cluster.importlib.util, "find_spec", lambda name: None)
    assert joined(JOB_COMPLETION_INDEX="0") == []
    assert "jax[k8s]" in capsys.readouterr().err
    assert joined("--num_processes=1", JOB_COMPLETION_INDEX="0") == []
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    "metadata, expected",
    [
        ({"worker-network-endpoints": "a:1:10.0.0.1,b:2:10.0.0.2"}, [{}]),
        ({"worker-network-endpoints": "a:1:10.0.0.1", "tpu-env": "WORKER_ID: '0'"}, []),
        ({"tpu-env": "MEGASCALE_NUM_SLICES: '2'"}, [{}]),
        ({}, []),
    ],
)
def test_a_tpu_machine_asks_its_metadata(joined, monkeypatch, metadata, expected):
    monkeypatch.delenv("TPU_SKIP_MDS_QUERY")
    monkeypatch.setattr(cluster.glob, "glob", lambda pattern: ["/dev/accel0"])
    with metadata_server(metadata) as address:
        assert joined(GCE_METADATA_IP=address) == expected


class metadata_server:
    """Answers as Google's does, on this machine."""

    def __init__(self, metadata):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                value = metadata.get(self.path.removeprefix(f"/{cluster.METADATA}/"))
                known = value is not None and self.headers["Metadata-Flavor"] == "Google"
                self.send_response(200 if known else 404)
                self.end_headers()
                self.wfile.write((value or "").encode())

            def log_message(self, *_):
                pass

        self._server = http.server.HTTPServer(("localhost", 0), Handler)

    def __enter__(self):
        threading.Thread(target=self._server.serve_forever).start()
        return f"localhost:{self._server.server_port}"

    def __exit__(self, *_):
        self._server.shutdown()
        self._server.server_close()


def test_flags_say_who_the_processes_are(joined):
    found = joined(ADDRESS, "--num_processes=2", "--process_id=1", SLURM_STEP_NUM_TASKS="4")
    assert found == [
        {
            "coordinator_address": "host:1234",
            "num_processes": 2,
            "process_id": 1,
            "cluster_detection_method": "deactivate",
        }
    ]


def test_what_jax_says_of_a_cluster_comes_with_what_to_do(joined, monkeypatch):
    def fails(**_):
        raise RuntimeError("403 - Forbidden")

    monkeypatch.setattr(jax.distributed, "initialize", fails)
    with pytest.raises(ConnectionError, match="(?s)Kubernetes job.*403.*--num_processes 1 alone"):
        joined(JOB_COMPLETION_INDEX="0")


@contextlib.contextmanager
def started(command, *each):
    """Two processes with two devices each and flags of its own, ended when all is done."""
    shared = f"--coordinator_address={processes.free_address()}", "--num_processes=2"
    found = [
        subprocess.Popen(
            [*command, *shared, f"--process_id={index}", *more],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd=processes.REPOSITORY,
            env=os.environ | {"JAX_NUM_CPU_DEVICES": "2"},
        )
        for index, more in enumerate(each)
    ]
    try:
        yield found
    finally:
        for process in found:
            process.kill()


def end(process):
    """What it wrote, without Gloo's lines, which run into each other, and its exit code."""
    written, _ = process.communicate(timeout=processes.SECONDS)
    return re.sub(r"\[Gloo\].*\n", "", written).strip(), process.returncode


# What Gloo's threads say, each piece by itself: they run into each other.
GLOO = r"\[Gloo\]|Rank|is connected to|Expected number of connected|peer ranks( is :|\.)?|\d+"


def test_two_processes_by_flags_train_as_one_and_one_writes(tmp_path, training_command):
    with started(training_command(tmp_path / "run"), [], []) as both:
        first, second = map(end, both)
    assert "step 2/2" in first[0] and first[1] == 0
    assert (re.sub(GLOO, "", second[0]).strip(), second[1]) == ("", 0)
    lines = (tmp_path / "run" / "scalars.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [1, 2]


def test_what_is_wrong_with_one_process_ends_both_with_a_message(tmp_path, training_command):
    wrong = ["--gin.DATA_FILES={'train': 'absent.tsv'}"]
    with started(training_command(tmp_path / "run"), wrong, []) as both:
        first, second = map(end, both)
    assert first[0].startswith("Error (process 0 of 2): ") and "file absent.tsv" in first[0]
    assert first[1] == 1
    assert second[0].splitlines()[-1] == f"Error (process 1 of 2): {cluster.LAST_WORD}"
    assert second[1] != 0
    assert not (tmp_path / "run" / "best").exists()


GONE = jax.errors.JaxRuntimeError("UNKNOWN: Gloo: connection closed by peer")
FULL = jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")


@pytest.mark.parametrize(
    "error, cause, code",
    [
        (GONE, None, cluster.LOST),
        (SystemExit(1), GONE, cluster.LOST),  # what a command made of it
        (FULL, None, 1),
        (SystemExit(1), FULL, 1),
        (RuntimeError("a bug"), None, 1),
        (SystemExit(2), ValueError("a wrong flag"), 2),
    ],
)
def test_the_exit_code_tells_a_lost_process(monkeypatch, error, cause, code):
    monkeypatch.setattr(jax.distributed, "is_initialized", lambda: True)
    monkeypatch.setattr(cluster, "SECONDS_TO_FAIL_ALIKE", 0)
    monkeypatch.setattr(os, "_exit", sys.exit)
    with pytest.raises(SystemExit) as ended, cluster.ending_together():
        raise error from cause
    assert ended.value.code == code


def saved_steps(run):
    return [int(path.name) for path in (run / "checkpoints").glob("*") if path.name.isdigit()]


def logged_steps(run):
    return [json.loads(line)["step"] for line in (run / "scalars.jsonl").read_text().splitlines()]


def until(both, condition):
    """Waits for it, while both processes run."""
    while not condition():
        assert all(process.poll() is None for process in both)
        time.sleep(0.02)


def test_one_of_two_dies_the_other_ends_with_a_word_and_both_go_on(tmp_path, training_command):
    run = tmp_path / "run"
    bindings = "--gin.TRAIN_STEPS=60", "--gin.train.save_period=4"
    python, _, _, *arguments = training_command(run, *bindings)
    command = [python, "-c", NOTICES_SOONER, *arguments]
    before = 0
    for killed, survivor in ((1, 0), (0, 1)):
        with started(command, [], []) as both:
            until(both, lambda: max(saved_steps(run), default=0) > before)
            both[killed].kill()
            written, code = end(both[survivor])
        assert written.splitlines()[-1] == f"Error (process {survivor} of 2): {cluster.LAST_WORD}"
        assert code in (cluster.LOST, -signal.SIGABRT)  # as it is itself told, or JAX
        before = max(saved_steps(run))
    with started(command, [], []) as both:
        assert [end(process)[1] for process in both] == [0, 0]
    assert logged_steps(run) == list(range(1, 61))


def test_sigterm_before_the_first_step_stops_both_and_they_go_on(tmp_path, training_command):
    run = tmp_path / "run"
    command = training_command(run, "--gin.TRAIN_STEPS=30")
    with started(command, [], []) as both:
        while "rows kept" not in both[0].stdout.readline():  # data is read; next it compiles
            assert both[0].poll() is None
        both[1].terminate()
        assert [end(process)[1] for process in both] == [STOPPED] * 2
    assert max(saved_steps(run)) < 30
    with started(command, [], []) as both:
        assert [end(process)[1] for process in both] == [0, 0]
    assert logged_steps(run) == list(range(1, 31))


def test_ctrl_c_in_one_process_stops_both_and_saves(tmp_path, training_command):
    run = tmp_path / "run"
    command = training_command(run, "--gin.TRAIN_STEPS=1000000")
    with started(command, [], []) as both:
        until(both, lambda: (run / "scalars.jsonl").exists() and logged_steps(run))
        both[1].send_signal(signal.SIGINT)  # which becomes a SIGTERM for both
        first, second = map(end, both)
    assert "\nStopped at step" in first[0] and first[1] == STOPPED
    assert "Stopped at step" not in second[0] and second[1] == STOPPED
    assert f"step {max(saved_steps(run))} of 1000000" in first[0]
    assert cluster.LAST_WORD not in first[0] + second[0]
