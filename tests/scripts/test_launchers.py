"""The scripts that start jobs on TPU slices, GKE and SLURM run what --dry_run prints, and nothing else."""

import json
import os
import pathlib
import shlex
import shutil
import subprocess
import sys
import time

import hypothesis
from hypothesis import strategies as st
import pytest

from prompt_tuning.cli import cluster

ROOT = pathlib.Path(__file__).parents[2]
SCRIPTS = sorted(
    str(path.relative_to(ROOT))
    for path in (ROOT / "scripts").rglob("*")
    if path.suffix in (".sh", ".sbatch")
)
SLICE, GKE, SLURM = "tpu/slice.sh", "tpu/gke.sh", "slurm/submit.sh"
PLACE = "--name=xxl --zone=us-west4-a --project=mine"
BUILD = f"{ROOT}/build"
PACK = [
    f"mkdir -p {BUILD}",
    f"git -C {ROOT} archive --format=tar.gz --output={BUILD}/prompt_tuning.tar.gz HEAD",
]
SSH = "gcloud compute tpus tpu-vm ssh xxl --zone=us-west4-a --project=mine --worker=all"
WORKER = "bash prompt_tuning/scripts/tpu/worker.sh"
XPK = "--cluster=xxl --zone=us-west4-a --project=mine"
# What a shell would change if it were not quoted.
COMMAND = [
    "python",
    "-m",
    "prompt_tuning.train",
    """--gin.PROMPT_TEXT=it's  "one" `word`; $HOME & \\ * ~""",
    """--gin.TASK_FEATURE_LENGTHS={"inputs": 512, 'targets': 8}""",
    "",
]

PRINTED = {
    f"{SLICE} create {PLACE} --accelerator_type v5litepod-16 --spot": [
        "gcloud compute tpus queued-resources create xxl --node-id=xxl --accelerator-type=v5litepod-16 "
        "--runtime-version=v2-alpha-tpuv5-lite --spot --zone=us-west4-a --project=mine"
    ],
    f"{SLICE} create {PLACE} --accelerator_type=v4-8 --runtime_version=mine": [
        "gcloud compute tpus queued-resources create xxl --node-id=xxl --accelerator-type=v4-8 "
        "--runtime-version=mine --zone=us-west4-a --project=mine"
    ],
    f"{SLICE} state {PLACE}": [
        "gcloud compute tpus queued-resources describe xxl --zone=us-west4-a --project=mine "
        "'--format=value(state.state)'"
    ],
    f"{SLICE} install {PLACE} --bucket gs://my-runs": [
        *PACK,
        f"gcloud compute tpus tpu-vm scp {BUILD}/prompt_tuning.tar.gz xxl: --zone=us-west4-a "
        "--project=mine --worker=all",
        shlex.join(
            [
                *SSH.split(),
                "--command=mkdir -p prompt_tuning && find prompt_tuning -mindepth 1 -maxdepth 1 ! -name .venv "
                "! -name runs -exec rm -rf {} + && tar -xzf prompt_tuning.tar.gz -C prompt_tuning",
            ]
        ),
        f"{SSH} '--command={WORKER} install'",
        f"{SSH} '--command={WORKER} mount my-runs'",
    ],
    f"{SLICE} install {PLACE} --repository https://example.com/a.git --bucket=gs://my-runs/": [
        f"{SSH} '--command=git init --quiet prompt_tuning && "
        "git -C prompt_tuning fetch --quiet --depth=1 https://example.com/a.git HEAD && "
        "git -C prompt_tuning checkout --quiet --force FETCH_HEAD'",
        f"{SSH} '--command={WORKER} install'",
        f"{SSH} '--command={WORKER} mount my-runs'",
    ],
    f"{SLICE} install {PLACE} --repository https://example.com/a.git --ref v1": [
        f"{SSH} '--command=git init --quiet prompt_tuning && "
        "git -C prompt_tuning fetch --quiet --depth=1 https://example.com/a.git v1 && "
        "git -C prompt_tuning checkout --quiet --force FETCH_HEAD'",
        f"{SSH} '--command={WORKER} install'",
    ],
    f"{SLICE} run {PLACE} -- python -m prompt_tuning.train --dry_run": [
        f"{SSH} '--command={WORKER} start python -m prompt_tuning.train --dry_run'"
    ],
    f"{SLICE} log {PLACE} --lines=5": [f"{SSH} '--command={WORKER} log 5'"],
    f"{SLICE} stop {PLACE}": [f"{SSH} '--command={WORKER} stop'"],
    f"{SLICE} delete {PLACE}": [
        "gcloud compute tpus queued-resources delete xxl --zone=us-west4-a --project=mine --force"
    ],
    f"{GKE} create {PLACE} --accelerator_type v6e-16": [
        f"xpk cluster create {XPK} --tpu-type=v6e-16 --num-slices=1 --on-demand"
    ],
    f"{GKE} create {PLACE} --accelerator_type v5p-8 --spot": [
        f"xpk cluster create {XPK} --tpu-type=v5p-8 --num-slices=1 --spot"
    ],
    f"{GKE} create {PLACE} --accelerator_type tpu7x-2x2x2 --reservation ours --bucket gs://my-runs/": [
        f"xpk cluster create {XPK} --tpu-type=tpu7x-2x2x2 --num-slices=1 --reservation=ours",
        f"xpk storage attach runs {XPK} --type=gcsfuse --bucket=my-runs --size=1 "
        "--mount-point=/mnt/runs --readonly=false --auto-mount=true --no-prefetch-metadata "
        "--mount-options=implicit-dirs,metadata-cache:ttl-secs:0,metadata-cache:negative-ttl-secs:0,"
        "write:enable-streaming-writes:false",
    ],
    f"{GKE} run {PLACE} --accelerator_type tpu7x-16 --workload rte -- python -m prompt_tuning.train": [
        *PACK,
        f"rm -rf {BUILD}/prompt_tuning",
        f"mkdir -p {BUILD}/prompt_tuning",
        f"tar -xzf {BUILD}/prompt_tuning.tar.gz -C {BUILD}/prompt_tuning",
        f"xpk workload create {XPK} --workload=rte --tpu-type=tpu7x-16 "
        f"--base-docker-image=python:3.12 --script-dir={BUILD}/prompt_tuning --max-restarts=50 "
        f"--restart-on-exit-codes={cluster.LOST} "
        r"'--command=pip install --quiet '\''.[tpu]'\'' && python -m prompt_tuning.train'",
    ],
    f"{GKE} state {PLACE}": [f"xpk workload list {XPK}"],
    f"{GKE} log {PLACE} --workload rte": [
        f"xpk workload list {XPK}",
        "kubectl logs --selector=jobset.sigs.k8s.io/jobset-name=rte --all-containers --prefix --tail=20",
    ],
    f"{GKE} stop {PLACE} --workload rte": [f"xpk workload delete {XPK} --workload=rte"],
    f"{GKE} delete {PLACE}": [f"xpk cluster delete {XPK}"],
    f"{SLURM} --nodes 2 --gpus_per_node 8 --partition p -- python -m prompt_tuning.train": [
        "sbatch --job-name=prompt_tuning --nodes=2 --time=24:00:00 --gpus-per-node=8 "
        f"--ntasks-per-node=8 --cpus-per-task=8 --partition=p {ROOT}/scripts/slurm/job.sbatch "
        f"{ROOT}/.venv python -m prompt_tuning.train"
    ],
}

WRONG = {
    f"{SLICE} create --name xxl --accelerator_type v6e-8": "--zone --project",
    f"{SLICE} create {PLACE}": "--accelerator_type",
    f"{SLICE} create {PLACE} --accelerator_type v9-8": "--runtime_version",
    f"{SLICE} create {PLACE} --accelerator_type tpu7x-16": "gke.sh",
    f"{SLICE} create {PLACE} --accelerator_type": "--accelerator_type has no value",
    f"{SLICE} create {PLACE} --accelerator_type v6e-8 --spot=echo": "--spot=echo: expected true or false",
    f"{SLICE} state {PLACE} --zoned b": "--zoned",
    f"{SLICE} state {PLACE} extra": "extra",
    f"{SLICE} install {PLACE} --bucket gs://my-runs/folder": "--bucket gs://my-runs/folder: expected",
    f"{SLICE} install {PLACE} --bucket gs://": "--bucket gs://: expected a bucket",
    f"{SLICE} run {PLACE}": "the command",
    f"{SLICE} begin {PLACE}": "begin",
    f"{GKE} run {PLACE} -- python": "--accelerator_type --workload",
    f"{GKE} stop --name xxl --zone z": "--project",
    f"{GKE} log {PLACE}": "--workload",
    f"{SLURM} --nodes 2 -- python": "--gpus_per_node",
    f"{SLURM} --nodes 2 --gpus_per_node 8": "the command",
    f"{SLURM} --nodes abc --gpus_per_node 8 -- python": "--nodes abc: expected a positive",
    f"{SLURM} --nodes 2 --gpus_per_node -1 -- python": "--gpus_per_node -1: expected a positive",
    f"{SLURM} --nodes 2 --gpus_per_node 0 -- python": "--gpus_per_node 0: expected a positive",
    f"{SLURM} --nodes 2 --gpus_per_node 8 --cpus_per_gpu= -- python": "--cpus_per_gpu : expected a positive",
}


@pytest.fixture
def launch(tmp_path):
    """Runs a script, with programs that only write down their arguments: (result, their arguments)."""
    record = tmp_path / "record"
    programs = tmp_path / "programs"
    programs.mkdir()
    for name in ("gcloud", "xpk", "kubectl", "sbatch", "tar", "git", "mkdir", "rm"):
        (programs / name).write_text(
            f"#!{sys.executable} -IS\n"
            "import json, os, sys\n"
            f"words = [{name!r}, *sys.argv[1:]]\n"
            'open(os.environ["RECORD"], "a").write(json.dumps(words) + "\\n")\n'
        )
        (programs / name).chmod(0o755)

    def launch(script, *arguments):
        environment = os.environ | {
            "PATH": f"{programs}{os.pathsep}{os.environ['PATH']}",
            "RECORD": str(record),
        }
        record.write_text("")
        result = subprocess.run(
            ["bash", str(ROOT / "scripts" / script), *arguments],
            capture_output=True,
            text=True,
            env=environment,
        )
        return result, [json.loads(line) for line in record.read_text().splitlines()]

    return launch


def dry_run(arguments):
    """The arguments with --dry_run among the script's own flags."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    return [*arguments[:end], "--dry_run", *arguments[end:]]


def commands(result):
    assert result.returncode == 0, result.stderr
    return [shlex.split(line) for line in result.stdout.splitlines()]


@pytest.mark.parametrize("script", SCRIPTS)
def test_scripts_parse(script):
    subprocess.run(["bash", "-n", ROOT / script], check=True)


def test_shellcheck_finds_nothing():
    here = f"{pathlib.Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    shellcheck = shutil.which("shellcheck", path=here)
    if shellcheck is None:
        pytest.skip("shellcheck is not installed")
    found = subprocess.run(
        [shellcheck, "--external-sources", *SCRIPTS], cwd=ROOT, capture_output=True, text=True
    )
    assert found.returncode == 0, found.stdout


@pytest.mark.parametrize("line", PRINTED)
def test_a_dry_run_prints_the_commands_that_are_run(launch, line):
    arguments = line.split()
    printed, ran = launch(*dry_run(arguments))
    assert printed.stdout.splitlines() == PRINTED[line] and not ran
    result, ran = launch(*arguments)
    assert commands(result) == commands(printed) == ran


@pytest.mark.parametrize("line", WRONG)
def test_a_wrong_command_line_is_answered_by_the_flags_name(launch, line):
    result, ran = launch(*line.split())
    assert result.returncode == 2 and not result.stdout and not ran
    assert WRONG[line] in result.stderr and len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("script", [SLICE, GKE, SLURM])
def test_help_names_every_flag(launch, script):
    result, _ = launch(script, "--help")
    flags = [
        line.split('"')[1].split()
        for line in (ROOT / "scripts" / script).read_text().splitlines()
        if line.startswith("read_flags ")
    ]
    assert result.returncode == 0 and all(f"--{flag}" in result.stdout for flag in flags[0])


@pytest.mark.parametrize("dry", [True, False])
@pytest.mark.parametrize(
    "line",
    [
        f"{SLICE} run {PLACE} --",
        f"{GKE} run {PLACE} --accelerator_type v6e-16 --workload rte --",
        f"{SLURM} --nodes 1 --gpus_per_node 1 --",
    ],
)
def test_a_command_arrives_word_by_word(launch, line, dry):
    arguments = [*line.split(), *COMMAND]
    result, ran = launch(*(dry_run(arguments) if dry else arguments))
    last = commands(result)[-1] if dry else ran[-1]
    if not line.startswith(SLURM):  # the others hand over one word, which a shell reads
        (inner,) = (word for word in last if word.startswith("--command="))
        last = shlex.split(inner.removeprefix("--command="))
    assert last[-len(COMMAND) :] == COMMAND


@hypothesis.settings(max_examples=25, deadline=None)
@hypothesis.given(words=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="\0"))))
def test_quoted_words_are_themselves_again_in_any_shell(words):
    script = f'source {shlex.quote(str(ROOT))}/scripts/launching.sh; quoted "$@"'
    line = _bash("-c", script, "quote", *words).decode()
    assert shlex.split(line) == words
    read = _bash("-c", f"for word in {line}; do printf '%s\\0' \"$word\"; done")
    assert read == b"".join(word.encode() + b"\0" for word in words)


def _bash(*arguments):
    return subprocess.run(["bash", *arguments], check=True, capture_output=True).stdout


@pytest.fixture
def worker(tmp_path):
    """worker.sh as it lies on a worker: runs an action there; a job it started ends with the test."""
    folder = tmp_path / "prompt_tuning"
    (folder / ".venv/bin").mkdir(parents=True)
    (folder / ".venv/bin/activate").write_text("export FROM=the_environment\n")
    (folder / "scripts/tpu").mkdir(parents=True)
    script = shutil.copy(ROOT / "scripts/tpu/worker.sh", folder / "scripts/tpu")

    def worker(*arguments):
        return subprocess.run(["bash", script, *arguments], capture_output=True, text=True)

    worker.log = folder / "runs/job.log"
    yield worker
    worker("stop")


def test_a_job_outlives_the_call_that_started_it_and_stops_as_sigterm_says(worker):
    job = """trap 'echo saved; exit' TERM; echo "$FROM, $1"; while :; do sleep 0.02; done"""
    assert worker("start", "bash", "-c", job, "job", "two words").returncode == 0
    while "two words" not in worker.log.read_text():
        time.sleep(0.02)
    second = worker("start", "true")
    assert second.returncode == 1 and "already" in second.stderr
    log = worker("log", "20").stdout
    assert "the job runs" in log and "the_environment, two words" in log
    assert "stopped" in worker("stop").stdout
    log = worker("log", "1").stdout
    assert "no job runs" in log and log.endswith("\nsaved\n")
    assert worker("start", "true").returncode == 0
