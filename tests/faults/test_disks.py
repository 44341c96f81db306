"""Full, read-only and unusable disks: one clear line, and the last good save goes on elsewhere."""

import shutil
import subprocess

import pytest

from prompt_tuning.checkpoints import runs
from prompt_tuning.checkpoints import sealing

STEPS = "--gin.TRAIN_STEPS=12", "--gin.train.save_period=1", "--gin.EVAL_PERIOD=3"
MANY = *STEPS[1:], "--gin.TRAIN_STEPS=40"
IN_NAMESPACE = ["unshare", "--map-root-user", "--mount"]
# Trains in a file system of its own, and brings away what is left in it.
SMALL_DISK = (
    'mount -t tmpfs -o size="$0" tmpfs "$1"; "${@:3}"; code=$?; cp -r "$1" "$2"; exit $code'
)
READ_ONLY = 'mount -t tmpfs -o ro tmpfs "$1"; "${@:3}"'


@pytest.fixture(scope="session")
def mounts(tmp_path_factory):
    """Skips where a process may not have file systems of its own."""
    folder = str(tmp_path_factory.mktemp("disk"))
    command = [*IN_NAMESPACE, "mount", "-t", "tmpfs", "tmpfs", folder]
    if shutil.which("unshare") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("no file system can be mounted here")


@pytest.fixture(scope="module")
def never(training_command, tmp_path_factory):
    """The run on a disk that never was full."""
    folder = tmp_path_factory.mktemp("never")
    subprocess.run(training_command(folder, *STEPS), check=True, capture_output=True)
    return folder


def ended(command):
    """(The last line of what a process that failed said and is not a hint, its exit code)."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert "ERROR:" not in done.stderr, done.stderr
    lines = [line for line in done.stderr.splitlines() if not line.startswith("(--traceback")]
    assert lines[-1].startswith("Error: "), done.stderr
    return lines[-1], done.returncode


@pytest.mark.parametrize("size", ["40k", "150k"])
def test_a_full_disk_costs_what_was_not_saved(mounts, never, tmp_path, training_command, size):
    """Wherever it becomes full: in a save, a prompt file, a line of scalars."""
    disk, left = tmp_path / "disk", tmp_path / "left"
    disk.mkdir()
    command = training_command(disk / "run", *STEPS)
    said, code = ended([*IN_NAMESPACE, "bash", "-c", SMALL_DISK, size, disk, left, *command])
    assert code == 1 and str(disk) in said
    assert "No space left on device" in said
    saves = list((left / "run/checkpoints").glob("*/" + sealing.SEAL))
    subprocess.run([*command, f"--gin.MODEL_DIR={left}/run"], check=True, capture_output=True)
    assert runs.newest_whole(left / "run/checkpoints") == 12
    assert not list(left.rglob("*tmp*")) and (size == "40k" or saves)
    for name in ("scalars.jsonl", "best/encoder.prompt.prompt.prompt"):
        assert (left / "run" / name).read_bytes() == (never / name).read_bytes()


def test_a_read_only_disk_is_named(mounts, tmp_path, training_command):
    command = training_command(tmp_path / "run")
    said, code = ended([*IN_NAMESPACE, "bash", "-c", READ_ONLY, "-", tmp_path, "-", *command])
    assert code == 1 and f"{tmp_path}/run" in said and "Read-only file system" in said


def test_a_file_in_place_of_the_folder_is_named(tmp_path, training_command):
    (tmp_path / "file").write_text("")
    said, code = ended(training_command(tmp_path / "file"))
    assert code == 1 and str(tmp_path / "file") in said and (tmp_path / "file").read_text() == ""


def test_a_file_that_may_not_grow_ends_the_run_with_its_name(tmp_path, training_command):
    """As a quota does, and some disks' errors: writing fails half-way, here of what has lines."""
    command = [
        "bash",
        "-c",
        'ulimit -f 5; exec "$@"',
        "-",
        *training_command(tmp_path / "run", *MANY),
    ]
    said, code = ended(command)
    assert code == 1 and said.startswith(f"Error: Scalars cannot be written in {tmp_path}/run: ")
    assert "File too large" in said
    assert runs.newest_whole(tmp_path / "run/checkpoints") > 0
