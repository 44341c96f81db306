"""`python -m prompt_tuning.experiments`: the paper's curves and ablations from a plan (plan.py).

    run PLAN --out FOLDER         trains and evaluates its cells, one after another; goes on where it stopped
    commands PLAN --out FOLDER --on {shell,slice,gke,slurm} [--options "..."]    prints them as jobs instead
    collect PLAN --out FOLDER     writes FOLDER/table.csv, and prints means
    plot PLAN --out FOLDER        draws the plan's figure, in FOLDER: of its cells, of a table.csv alone, or, if
                                  nothing is scored yet, of the paper's own tables
    parameters --out FOLDER       of every method at the paper's sizes (its Figure 4 and Table 4), in FOLDER

PLAN is a TOML file, or the name of one that ships: {shipped}.
"""

import argparse
from collections.abc import Sequence
import pathlib
import sys

from prompt_tuning.experiments import collect
from prompt_tuning.experiments import commands
from prompt_tuning.experiments import plan as plans
from prompt_tuning.experiments import plan_file
from prompt_tuning.experiments import run
from prompt_tuning.experiments import tables

BAD_PLAN = 2
FAILED = 1
NAMED = 5  # of evaluations that are not done
EXAMPLES = """examples:
  python -m prompt_tuning.experiments run length --out runs/length --only task=spam --only length=1 length=20
  python -m prompt_tuning.experiments commands paper_scale --out /mnt/runs/scale --only size=xxl \\
    --binding DATA_DIR=/mnt/runs/superglue --on gke --options "--name C --zone Z --project P --accelerator_type v6e-16"

A slice of slice.sh does one job at a time: give it the next line when the one before is done."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Returns the exit code: 2 for a plan that cannot be carried out."""
    arguments = sys.argv[1:] if arguments is None else arguments
    if list(arguments[:2]) == ["job", "--"]:  # what `commands` has launchers start
        ends = [index for index, word in enumerate(arguments) if word == "--"]
        spans = zip(ends, [*ends[1:], len(arguments)])
        return run.one_job([arguments[begin + 1 : end] for begin, end in spans])
    args = _parse(arguments)
    try:
        if args.action == "parameters":
            from prompt_tuning.experiments import parameters  # it needs matplotlib

            for drawn in parameters.draw_parameters(parameters.METHODS, args.out):
                print(drawn)
            return 0
        plan = plan_file.read(args.plan)
        if args.action == "run":
            plan = plan.with_bindings(_pairs("--binding", args.binding))
            return run.run(plan, args.out, _kept(args.only))
        if args.action == "commands":
            plan = plan.with_bindings(_pairs("--binding", args.binding))
            for line in commands.lines(plan, args.out, args.on, args.options, _kept(args.only)):
                print(line)
        elif args.action == "collect":
            _collect(plan, args.out)
        else:
            _plot(plan, args.out)
        return 0
    except (ValueError, OSError, ImportError) as error:
        print(f"Error: {error}", file=sys.stderr)
        return BAD_PLAN if isinstance(error, plans.PlanError) else FAILED


def _collect(plan: plans.Plan, out: pathlib.Path) -> None:
    print(tables.summary(plan, _written_table(plan, out)))


def _written_table(plan: plans.Plan, out: pathlib.Path) -> collect.Table:
    table, missing = collect.collect(plan, out)
    collect.write_table(plan, table, out / collect.NAME)
    if missing:
        more = ", ..." if len(missing) > NAMED else ""
        named = ", ".join(missing[:NAMED]) + more
        print(f"{len(missing)} evaluations are not done: {named}", file=sys.stderr)
    return table


def _plot(plan: plans.Plan, out: pathlib.Path) -> None:
    file, table = out / collect.NAME, []
    if (out / plans.CELLS).is_dir():  # what is drawn is what is there now
        table = _written_table(plan, out)
    elif file.exists():
        table = collect.read_table(file)
    from prompt_tuning.experiments import plot  # it needs matplotlib

    for drawn in plot.draw(plan, table, out):
        print(drawn)


def _pairs(flag: str, texts: Sequence[str]) -> dict[str, str]:
    for text in texts:
        if not all(text.partition("=")[::2]):
            raise plans.PlanError(f"{flag} {text}: expected {flag} NAME=VALUE.")
    return dict(text.split("=", maxsplit=1) for text in texts)


def _kept(texts: Sequence[str]) -> dict[str, list[str]]:
    """Axis -> values; the same axis may come again."""
    kept: dict[str, list[str]] = {}
    for text in texts:
        for axis, value in _pairs("--only", [text]).items():
            kept.setdefault(axis, []).append(value)
    return kept


def _parse(arguments: Sequence[str]) -> argparse.Namespace:
    shipped = ", ".join(sorted(file.stem for file in plan_file.SHIPPED.glob("*.toml")))
    parser = argparse.ArgumentParser(
        prog="python -m prompt_tuning.experiments",
        description=__doc__.replace("{shipped}", shipped),
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    actions = parser.add_subparsers(dest="action", required=True, metavar="ACTION")
    for name in ("run", "commands", "collect", "plot", "parameters"):
        action = actions.add_parser(name, allow_abbrev=False)
        if name != "parameters":
            action.add_argument(
                "plan", metavar="PLAN", help="a TOML file, or a shipped plan's name"
            )
        action.add_argument(
            "--out", type=_folder, required=True, metavar="FOLDER", help="where everything lies"
        )
        if name in ("run", "commands"):
            _add_choices(action)
        if name == "commands":
            action.add_argument("--on", required=True, choices=list(commands.LAUNCHERS))
            action.add_argument("--options", default="", help="of the launcher, in one word")
    return parser.parse_args(arguments)


def _add_choices(action: argparse.ArgumentParser) -> None:
    action.add_argument(
        "--only",
        action="extend",
        nargs="+",
        default=[],
        metavar="AXIS=VALUE",
        help="only cells with this value; several of an axis: any of them",
    )
    action.add_argument(
        "--binding",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="as --gin.NAME=VALUE, in place of what the plan binds; repeatable",
    )


def _folder(text: str) -> pathlib.Path:
    return pathlib.Path(text).expanduser()


if __name__ == "__main__":
    sys.exit(main())
