"""What all entry points do: flags, gin files, checks; then a dry run, or the real one."""

from collections.abc import Callable
import logging
import sys
from typing import Any

import gin

from prompt_tuning.cli import checking
from prompt_tuning.cli import dry_run
from prompt_tuning.cli import flags as command_flags
from prompt_tuning.cli import reading
from prompt_tuning.methods import learned

log = logging.getLogger(__name__)

BAD_CONFIGURATION = 2
FAILED = 1
INTERRUPTED = 130
KEEP_CONFIGURATION = ("train", "evaluate")  # the entry points that write a folder


def run(entry_point: str, function: Callable[..., Any]) -> None:
    """Calls `function` with what gin makes of the command line; exits with a code if that fails."""
    flags = command_flags.parse(sys.argv[1:], *_described(function))
    _show_log()
    try:
        arguments = _arguments(entry_point, flags)
    except ValueError as error:
        _fail(error, BAD_CONFIGURATION, flags.traceback)
    try:
        learned.check_paths(arguments.get("prompt_file"))  # before weights are read
        if flags.dry_run:
            print(dry_run.plan(entry_point, arguments))
            return
        if entry_point in KEEP_CONFIGURATION:
            arguments["configuration"] = reading.configuration()
        arguments["model"] = arguments["model"].load()
        function(**arguments)
    except (ValueError, OSError) as error:
        _fail(error, FAILED, flags.traceback)
    except KeyboardInterrupt as error:
        print(error, file=sys.stderr)
        raise SystemExit(INTERRUPTED) from error


def _arguments(entry_point: str, flags: command_flags.Flags) -> dict[str, Any]:
    """The entry point's arguments; models are described, not loaded."""
    sources = reading.read(flags.gin_files, flags.search_paths, flags.bindings)
    for warning in checking.check(entry_point, sources):
        log.warning("Warning: %s", warning)
    return gin.get_configurable(entry_point)()


def _show_log() -> None:
    """The package's log as plain lines on standard error; standard output is for results."""
    package = logging.getLogger("prompt_tuning")
    package.handlers = [logging.StreamHandler()]
    package.setLevel(logging.INFO)
    package.propagate = False


def _described(function: Callable[..., Any]) -> tuple[str, str]:
    """The program's name and what --help says about it."""
    module = sys.modules[function.__module__]
    spec = module.__spec__
    return f"python -m {spec.name if spec else function.__module__}", module.__doc__ or ""


def _fail(error: Exception, code: int, traceback: bool) -> None:
    if traceback:
        raise error
    print("Error:", str(error).replace("\n", "\n  "), file=sys.stderr)
    if code == FAILED:
        print("(--traceback shows where it came from.)", file=sys.stderr)
    raise SystemExit(code) from error
