"""How well each rung of the ladder is trained: its held-out losses against the target tokens it has seen,
and what a row's own input is worth to it.

    python scripts/ladder/losses.py [0.25M 0.5M 1M 2M 3M 6M]

Reads what scripts/ladder/make.sh wrote to build/ladder; prints a table, and draws losses.png beside this
file, of some sizes alone losses_SIZES.png. A model that ignores its encoder predicts a target as well
from another row's input as from its own: the table's last columns are the difference between the two
losses. Held-out are the span corruption rows; verses and glosses are rows like those that the second
stage trained on.
"""

import argparse
import json
import pathlib

from matplotlib import figure
import numpy as np

import prompt_tuning as pt
from prompt_tuning.data import batches
from prompt_tuning.data import files
from prompt_tuning.data import tasks
from prompt_tuning.evaluation import held_out
from prompt_tuning.t5 import network

LADDER = pathlib.Path("build/ladder")
SOURCES = pathlib.Path("build/pocket_t5")
SIZES = ("0.25M", "0.5M", "1M", "2M", "3M", "6M")
LOSSES = {"span corruption": "eval/span/loss_per_token", "prefix LM": "eval/lm/loss_per_token"}
SHAPE = 64, 64, 24  # rows of a batch, tokens of inputs and targets, as in the second stage
ROWS = 2048


def curve(size: str, name: str) -> tuple[list[float], list[float]]:
    """(million target tokens seen, held-out loss per token) over both stages."""
    seen, losses, before = [], [], 0.0
    for stage in ("pretrain", "lm_adapt"):
        lines = (LADDER / size / stage / "scalars.jsonl").read_text().splitlines()
        rows = [json.loads(line) for line in lines]
        tokens = [row["train/target_tokens"] for row in rows if "train/target_tokens" in row]
        for row in rows:
            if name in row:
                seen.append(1e-6 * (before + row["step"] * np.mean(tokens)))
                losses.append(row[name])
        before += rows[-1]["step"] * np.mean(tokens)
    return seen, losses


def kinds_of_rows() -> dict[str, tasks.Task]:
    return {
        "spans": tasks.TextTask("spans", {"rows": str(SOURCES / "corpus/heldout.txt")}),
        **{
            name: files.FilesTask(
                name, {"rows": str(SOURCES / f"adaptation/{file}.tsv")}, on_bad_row="skip"
            )
            for name, file in (("verses", "to_modern"), ("glosses", "kind_of_gloss"))
        },
    }


def gain_of_own_input(model, task: tasks.Task) -> float:
    """Loss per token with the inputs of the row before, less that with a row's own (nats)."""
    rows = task.rows(
        "rows", model.vocabulary, *SHAPE[1:], shuffle=isinstance(task, files.FilesTask)
    )
    found = list(batches.eval_batches(rows, *SHAPE))[: ROWS // SHAPE[0]]
    found = [(batch, ids) for batch, ids in found if len(ids) == SHAPE[0]]
    others = [
        (batch | {"encoder_input_tokens": np.roll(batch["encoder_input_tokens"], 1, axis=0)}, ids)
        for batch, ids in found
    ]
    loss = held_out.make_evaluate_loss(network.T5(model.config))
    own, other = (loss(model.params, x)["loss_per_token"] for x in (found, others))
    return other - own


def draw(sizes: list[str], file: pathlib.Path) -> None:
    drawn = figure.Figure(figsize=(10, 4), layout="constrained")
    for axes, (title, name) in zip(drawn.subplots(1, len(LOSSES)), LOSSES.items()):
        for size in sizes:
            axes.plot(*curve(size, name), marker=".", label=size)
        axes.set(
            title=title,
            xlabel="million target tokens seen",
            ylabel="held-out loss (nats a token)",
        )
        axes.legend(title="parameters")
    drawn.savefig(file, dpi=100)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("sizes", nargs="*")
    chosen = parser.parse_args().sizes
    sizes = chosen or list(SIZES)
    kinds = kinds_of_rows()
    columns = [
        "size",
        "parameters",
        "million target tokens",
        *LOSSES,
        *(f"own input, {x}" for x in kinds),
    ]
    print(f"| {' | '.join(columns)} |\n|---|{'--:|' * (len(columns) - 1)}")
    for size in sizes:
        model = pt.load_model(LADDER / size / "lm_adapt/best")
        parameters = sum(x.size for x in model.params.values())
        curves = [curve(size, name) for name in LOSSES.values()]
        cells = [size, f"{parameters:,}", f"{curves[0][0][-1]:.2f}"]
        cells += [f"{losses[-1]:.3f}" for _, losses in curves]
        cells += [f"{gain_of_own_input(model, task):.2f}" for task in kinds.values()]
        print(f"| {' | '.join(cells)} |", flush=True)
    draw(sizes, pathlib.Path(__file__).with_name("_".join(["losses", *chosen]) + ".png"))


if __name__ == "__main__":
    main()
