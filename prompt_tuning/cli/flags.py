"""The flags of all entry points, with the original's habits."""

import argparse
from collections.abc import Sequence
import dataclasses
import difflib

GIN_PREFIX = "--gin."
CLUSTER = ("coordinator_address", "num_processes", "process_id")
FLAGS = (
    "--gin_file",
    "--gin_search_paths",
    "--tfds_data_dir",
    "--topology",
    *(f"--{name}" for name in CLUSTER),
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
      bindings: (name, value) of each `--gin.NAME=VALUE`, after all files; `--tfds_data_dir` and
        `--topology` are other ways to write `--gin.TFDS_DATA_DIR` and `--gin.TOPOLOGY`.
      dry_run: say what would be done, and stop.
      traceback: show where in the code an error came from.
      coordinator_address: HOST:PORT of process 0, where a run's processes find each other.
      num_processes: how many they are; None to see from the cluster.
      process_id: which of them this is.
    """

    gin_files: Sequence[str]
    search_paths: Sequence[str]
    bindings: Sequence[tuple[str, str]]
    dry_run: bool = False
    traceback: bool = False
    coordinator_address: str | None = None
    num_processes: int | None = None
    process_id: int | None = None


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
        "--topology",
        metavar="SLICE",
        help="what python -m prompt_tuning.compile compiles for, such as v5e:4x4 (TOPOLOGY)",
    )
    parser.add_argument(
        "--dry_run",
        action="store_true",
        help="print configuration, shapes, parameters, memory and steps, and stop",
    )
    parser.add_argument(
        "--traceback", action="store_true", help="show where in the code an error came from"
    )
    _add_cluster(parser)
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
        name, _, value = binding.partition("=")
        if not value.strip():  # as of a shell's variable that is not set
            parser.error(
                f"{name} has no value: write {name}=VALUE, or {name}='\"\"' for an empty text"
            )
    _check_cluster(parser, known)
    for name in ("tfds_data_dir", "topology"):
        if (value := getattr(known, name)) is not None:
            if not value.strip():
                parser.error(f"--{name} has no value: give it one, or leave it out")
            bindings.append(f"{GIN_PREFIX}{name.upper()}={value!r}")
    return Flags(
        gin_files=known.gin_file,
        search_paths=[path for paths in known.gin_search_paths for path in paths.split(",")],
        bindings=[
            tuple(binding.removeprefix(GIN_PREFIX).split("=", maxsplit=1)) for binding in bindings
        ],
        dry_run=known.dry_run,
        traceback=known.traceback,
        coordinator_address=known.coordinator_address,
        num_processes=known.num_processes,
        process_id=known.process_id,
    )


def _add_cluster(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "several processes",
        "Each runs the same command: one on a host of a TPU slice, one for a GPU elsewhere. They\n"
        "find each other on a TPU slice, under srun or mpirun with several tasks, and in a\n"
        "Kubernetes Indexed Job or JobSet with jax[k8s] installed; elsewhere by all three of:",
    )
    group.add_argument(
        "--coordinator_address", metavar="HOST:PORT", help="of process 0, a port that is free there"
    )
    group.add_argument(
        "--num_processes",
        type=int,
        metavar="N",
        help="how many processes; 1 alone: this process by itself, whatever cluster there is",
    )
    group.add_argument("--process_id", type=int, metavar="I", help="which of them: 0 to N - 1")


def _check_cluster(parser: argparse.ArgumentParser, known: argparse.Namespace) -> None:
    """Ends with 2 unless the flags of several processes are all there, or none."""
    given = {name: getattr(known, name) for name in CLUSTER}
    missing = [f"--{name}" for name, value in given.items() if value is None]
    alone = known.num_processes == 1 and len(missing) == 2
    if len(missing) == 3 or alone:
        return
    if missing:
        parser.error(f"{' and '.join(missing)} missing: processes find each other by all three")
    if not 0 <= known.process_id < known.num_processes:
        parser.error(
            f"--process_id must be from 0 to {known.num_processes - 1} (--num_processes "
            f"{known.num_processes}), found {known.process_id}"
        )
    if not known.coordinator_address.rpartition(":")[2].isdigit():
        parser.error(f"--coordinator_address must be HOST:PORT, found {known.coordinator_address}")
