"""The processes of one run: whether there are several, how they find each other and how they end.

JAX finds their addresses (`jax.distributed`) and watches that all live; which devices hold what is
training/sharding.py's.
"""

import atexit
from collections.abc import Iterator
import contextlib
import glob
import importlib.util
import os
import subprocess
import sys
import threading
import time
import traceback
import urllib.request

import jax

from prompt_tuning.cli import flags as command_flags
from prompt_tuning.training import interrupt
from prompt_tuning.training import loop

FAILED = 1
LOST = os.EX_TEMPFAIL  # what scripts/tpu/gke.sh has started again
SECONDS_TO_MEET = 20
SECONDS_TO_FAIL_ALIKE = 3
SECONDS_TO_MISS = 30  # how long a machine may stall before the others take its process for dead
HINT = (
    "Give --coordinator_address, --num_processes and --process_id, or --num_processes 1 alone if "
    "this process runs by itself."
)
NOT_ASKED = (
    "Warning: this process runs by itself, as would any other of its Kubernetes Indexed Job: JAX finds "
    "them by the package kubernetes, which is missing (pip install 'jax[k8s]'). If there is no other, "
    "--num_processes 1 says so."
)
LAST_WORD = (
    "another process of this run died, or this one was killed or failed as told above. Start all of "
    "them again: training goes on from its last save."
)
# Of what JAX meets in a program, what it would meet again.
LASTING = "INVALID_ARGUMENT", "RESOURCE_EXHAUSTED", "UNIMPLEMENTED"
SAYS_IT = "import sys; sys.stdin.read() or print(sys.argv[1], file=sys.stderr)"
METADATA = "computeMetadata/v1/instance/attributes"  # of a TPU machine, on Google's own server

_last_words: list[subprocess.Popen] = []  # one, where this process is one of several


def join(flags: command_flags.Flags, *, trains: bool = True) -> None:
    """Joins the other processes of this run, if there are any; call it before devices are used.

    Who trains ends at a SIGTERM between two steps, all processes at once; any other at once.

    The flags say who they are, or what started the processes does. `--num_processes 1` alone leaves
    a cluster be.

    Raises ConnectionError if this one cannot find out where they are. JAX ends it, with a trace, if
    they have not all come after five minutes.
    """
    if flags.num_processes is None:
        if not (started_by := _started_by()):
            return
        given = {}
    elif flags.num_processes == 1:
        return
    else:
        started_by = f"--coordinator_address {flags.coordinator_address}"
        given = {
            "coordinator_address": flags.coordinator_address,
            "num_processes": flags.num_processes,
            "process_id": flags.process_id,
            "cluster_detection_method": "deactivate",  # nobody else is asked
        }
    try:
        with _saying_later(f"Waiting for the other processes of {started_by}. {HINT}"):
            jax.config.update("jax_enable_preemption_service", trains)
            jax.distributed.initialize(**given, heartbeat_timeout_seconds=SECONDS_TO_MISS)
    except Exception as error:  # of any of the services that JAX asks
        raise ConnectionError(
            f"The processes of {started_by} did not find each other: {error}\n{HINT}"
        ) from error
    _leave_last_word()
    if trains:
        interrupt.watch()


@contextlib.contextmanager
def _saying_later(text: str) -> Iterator[None]:
    """Prints the text if what is done inside takes long."""
    timer = threading.Timer(SECONDS_TO_MEET, print, (text,), {"file": sys.stderr})
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def is_first() -> bool:
    """Whether this process writes the text output: one of a run does."""
    return not jax.distributed.is_initialized() or jax.process_index() == 0


def which() -> str:
    """This process in words, " (process 1 of 4)"; nothing if it is alone."""
    if not jax.distributed.is_initialized():
        return ""
    return f" (process {jax.process_index()} of {jax.process_count()})"


@contextlib.contextmanager
def ending_together() -> Iterator[None]:
    """Ends a process that fails there and then, where it is one of several.

    Its exit code is LOST if that may come of another process that is gone.

    An ordinary end would wait for the others, and they for this one. JAX notices that it is gone,
    and ends them too: at once if it was the first, else after SECONDS_TO_MISS. It aborts them from
    C++, in whatever they wait for, with lines about heartbeats and a stack; LAST_WORD comes below.
    """
    try:
        yield
    except loop.Interrupted:
        raise  # all are
    except BaseException as error:
        if not jax.distributed.is_initialized():
            raise
        by_jax = _by_jax(error)
        if not isinstance(error, SystemExit):
            traceback.print_exc()
        elif by_jax is None:
            _take_back_last_word()
        sys.stdout.flush()
        sys.stderr.flush()
        if is_first():
            time.sleep(SECONDS_TO_FAIL_ALIKE)  # what is wrong everywhere is said everywhere
        if by_jax is not None and not str(by_jax).startswith(LASTING):
            os._exit(LOST)
        os._exit(error.code if isinstance(error, SystemExit) else FAILED)


def _by_jax(error: BaseException | None) -> BaseException | None:
    """JAX's error behind this one: whatever computes or saves loses a process in its own way."""
    while error and not isinstance(error, jax.errors.JaxRuntimeError):
        error = error.__cause__ or error.__context__
    return error


def _leave_last_word() -> None:
    """Has a small process say LAST_WORD, should this one end without a word of its own.

    JAX calls nobody before it aborts a process that lost another, and a kill asks nobody either.
    """
    command = [sys.executable, "-ISc", SAYS_IT, f"Error{which()}: {LAST_WORD}"]
    _last_words.append(
        subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, start_new_session=True
        )
    )
    atexit.register(_take_back_last_word)


def _take_back_last_word() -> None:
    while _last_words:
        _last_words.pop().communicate(b"none")


def _started_by() -> str | None:
    """What started this process and others, in words; None if it is alone.

    A shell with one task on a cluster is alone, and so is a job that JAX could not ask about.
    """
    if _number("SLURM_STEP_NUM_TASKS") > 1:
        return "this SLURM step"
    if _number("OMPI_COMM_WORLD_SIZE") > 1:
        return "this Open MPI job"
    if _number("MEGASCALE_NUM_SLICES") > 1 or _shares_tpu():
        return "this TPU slice"
    if "JOB_COMPLETION_INDEX" in os.environ:
        if importlib.util.find_spec("kubernetes"):
            return "this Kubernetes job"
        print(NOT_ASKED, file=sys.stderr)
    return None


def _number(variable: str) -> int:
    return int(os.environ.get(variable) or 1)


def _shares_tpu() -> bool:
    """Whether the machine's TPU chips are part of a slice; from GKE's variables, or metadata."""
    for variable in ("TPU_PROCESS_ADDRESSES", "TPU_WORKER_HOSTNAMES"):
        if variable in os.environ:
            return "," in os.environ[variable]
    chips = glob.glob("/dev/accel*") + glob.glob("/dev/vfio/[0-9]*")
    if not chips or "TPU_SKIP_MDS_QUERY" in os.environ:
        return False
    workers, environment = map(_metadata, ("worker-network-endpoints", "tpu-env"))
    return "," in workers or "MEGASCALE_NUM_SLICES" in environment


def _metadata(attribute: str) -> str:
    """What Google's metadata server says of this machine; nothing on another's."""
    server = os.environ.get("GCE_METADATA_IP", "metadata.google.internal")
    url = f"http://{server}/{METADATA}/{attribute}"
    request = urllib.request.Request(url, headers={"Metadata-Flavor": "Google"})
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return answer.read().decode()
    except OSError:
        return ""
