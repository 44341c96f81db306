"""What all entry points do: flags, gin files, checks; then a dry run, or the real one."""

from collections.abc import Callable
import logging
import sys
from typing import Any

import gin

from prompt_tuning.cli import checking
from prompt_tuning.cli import cluster
from prompt_tuning.cli import compiled
from prompt_tuning.cli import dry_run
from prompt_tuning.cli import flags as command_flags
from prompt_tuning.cli import reading
from prompt_tuning.methods import learned
from prompt_tuning.training import loop

log = logging.getLogger(__name__)

BAD_CONFIGURATION = 2
FAILED = 1
INTERRUPTED = 130
READER_GONE = 141  # as of a program that SIGPIPE ends
KEEP_CONFIGURATION = ("train", "evaluate", "sweep")  # the entry points that write a folder
TRAIN = ("train", "sweep")  # those that save when they are asked to stop
SHAPES_ALONE = ("compile_run",)  # those that need no weights


def run(entry_point: str, function: Callable[..., Any]) -> None:
    """Calls `function` with what gin makes of the command line; exits with a code if that fails."""
    flags = command_flags.parse(sys.argv[1:], *_described(function))
    try:
        with cluster.ending_together():
            _run(entry_point, function, flags)
    except loop.Interrupted as error:
        if cluster.is_first():
            print(error, file=sys.stderr)
        raise SystemExit(error.exit_code) from error
    except KeyboardInterrupt as error:
        raise SystemExit(INTERRUPTED) from error


def _run(entry_point: str, function: Callable[..., Any], flags: command_flags.Flags) -> None:
    if entry_point not in SHAPES_ALONE:
        try:
            cluster.join(flags, trains=entry_point in TRAIN and not flags.dry_run)
        except OSError as error:
            _fail(error, FAILED, flags.traceback)
    _show_log()
    try:
        arguments = _arguments(entry_point, flags)
    except ValueError as error:
        _fail(error, BAD_CONFIGURATION, flags.traceback)
    try:
        if "prompt_file" in arguments:
            learned.check(arguments["method"], arguments["prompt_file"])
        if flags.dry_run and entry_point in SHAPES_ALONE:
            raise ValueError("This program computes nothing: leave --dry_run out.")
        if flags.dry_run:
            plan = dry_run.plan(entry_point, arguments)
            if cluster.is_first():
                print(plan)
            return
        compiled.keep()
        if entry_point in KEEP_CONFIGURATION:
            arguments["configuration"] = reading.configuration()
        model = arguments["model"]
        arguments["model"] = model.describe() if entry_point in SHAPES_ALONE else model.load()
        function(**arguments)
    except BrokenPipeError as error:  # as of `infer | head`: not a failure
        raise SystemExit(READER_GONE) from error
    except (ValueError, OSError) as error:
        _fail(error, FAILED, flags.traceback)


def _arguments(entry_point: str, flags: command_flags.Flags) -> dict[str, Any]:
    """The entry point's arguments; models are described, not loaded."""
    sources = reading.read(flags.gin_files, flags.search_paths, flags.bindings)
    for warning in checking.check(entry_point, sources):
        log.warning("Warning: %s", warning)
    return gin.get_configurable(entry_point)()


def _show_log() -> None:
    """The package's log as plain lines on standard error; standard output is for results.

    Of several processes the first tells how it goes, the others what goes wrong.
    """
    package = logging.getLogger("prompt_tuning")
    package.handlers = [logging.StreamHandler()]
    package.setLevel(logging.INFO if cluster.is_first() else logging.WARNING)
    package.propagate = False
    # What Orbax's threads fail of is told once, as an error.
    for library in ("absl", "asyncio"):
        logging.getLogger(library).setLevel(logging.CRITICAL)
    sys.unraisablehook = _without_late_writes(sys.unraisablehook)


def _without_late_writes(tell: Callable[[Any], None]) -> Callable[[Any], None]:
    """`tell`, but not of writes that end behind a save that has failed, and find nobody waiting."""

    def told(unraisable):
        if str(unraisable.exc_value) != "Event loop is closed":
            tell(unraisable)

    return told


def _described(function: Callable[..., Any]) -> tuple[str, str]:
    """The program's name and what --help says about it."""
    module = sys.modules[function.__module__]
    spec = module.__spec__
    return f"python -m {spec.name if spec else function.__module__}", module.__doc__ or ""


def _fail(error: Exception, code: int, traceback: bool) -> None:
    if traceback:
        raise error
    print(f"Error{cluster.which()}:", str(error).replace("\n", "\n  "), file=sys.stderr)
    if code == FAILED:
        print("(--traceback shows where it came from.)", file=sys.stderr)
    raise SystemExit(code) from error
