"""The flags of all entry points, with the original's habits."""

import argparse
from collections.abc import Sequence
import dataclasses
import difflib

GIN_PREFIX = "--gin."
FLAGS = (
    "--gin_file",
    "--gin_search_paths",
    "--tfds_data_dir",
    "--dry_run",
    "--traceback",
    "--help",
    GIN_PREFIX,
)


@dataclasses.dataclass(frozen=True)
class Flags:
    """What a command line says.

    Attributes:
      gin_files: in order; later ones win.
      search_paths: folders in which gin files are looked for.
      bindings: (name, value) of each `--gin.NAME=VALUE`, after all files; `--tfds_data_dir` is
        another way to write `--gin.TFDS_DATA_DIR`.
      dry_run: say what would be done, and stop.
      traceback: show where in the code an error came from.
    """

    gin_files: Sequence[str]
    search_paths: Sequence[str]
    bindings: Sequence[tuple[str, str]]
    dry_run: bool
    traceback: bool


def parse(arguments: Sequence[str], program: str, description: str) -> Flags:
    """Exits with 2 and a message if there is a flag that does not exist."""
    parser = argparse.ArgumentParser(
        prog=program,
        description=description,
        allow_abbrev=False,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--gin_file",
        action="append",
        default=[],
        metavar="FILE",
        help="repeatable, later wins; found from the current folder, --gin_search_paths, "
        "then the project's own gin/",
    )
    parser.add_argument(
        "--gin_search_paths",
        action="append",
        default=[],
        metavar="FOLDER[,FOLDER]",
        help="folders in which gin files are looked for",
    )
    parser.add_argument(
        "--tfds_data_dir",
        metavar="FOLDER",
        help="where TensorFlow Datasets has its data (TFDS_DATA_DIR)",
    )
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="print configuration, shapes, parameters, memory and steps, and stop",
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came from"
    )
    # Only here for --help; argparse cannot have a flag of any name.
    parser.add_argument(
        f"{GIN_PREFIX}NAME",
        metavar="VALUE",
        help="bind a macro or an argument, after all files; text needs no quotes",
    )
    known, others = parser.parse_known_args(
        [argument for argument in arguments if not argument.startswith(GIN_PREFIX)]
    )
    if others:
        name = others[0].split("=")[0]
        near = difflib.get_close_matches(name, FLAGS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        parser.error(f"there is no flag {name}{hint}")
    bindings = [argument for argument in arguments if argument.startswith(GIN_PREFIX)]
    for binding in bindings:
        if "=" not in binding:
            parser.error(f"{binding} has no value: write {binding}=VALUE")
    if known.tfds_data_dir:
        bindings.append(f"{GIN_PREFIX}TFDS_DATA_DIR={known.tfds_data_dir!r}")
    return Flags(
        gin_files=known.gin_file,
        search_paths=[path for paths in known.gin_search_paths for path in paths.split(",")],
        bindings=[
            tuple(binding.removeprefix(GIN_PREFIX).split("=", maxsplit=1)) for binding in bindings
        ],
        dry_run=known.dry_run,
        traceback=known.traceback,
    )
