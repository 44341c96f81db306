"""Predicts for inputs without targets: `python -m prompt_tuning.infer`.

`infer` is plain Python and needs no gin; `main` makes its arguments from gin files.
"""

import collections
from collections.abc import Iterator, Mapping, Sequence
import json
import os

import jax

from prompt_tuning.checkpoints import learned
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import unlabelled
from prompt_tuning.evaluation import evaluate as files
from prompt_tuning.evaluation import predict
from prompt_tuning.methods import method as methods
from prompt_tuning.train import feature_lengths
from prompt_tuning.training import partition
from prompt_tuning.training import sharding

STANDARD_OUTPUT = "-"


def infer(
    model: weights.FrozenModel,
    method: methods.Method,
    *,
    task_feature_lengths: Mapping[str, int],
    prompt_file: str | os.PathLike | None = None,
    input_file: str = unlabelled.STANDARD_INPUT,
    output_file: str = STANDARD_OUTPUT,
    inputs: str = "inputs",
    id_column: str | None = None,
    batch_size: int = 32,
    layout: sharding.Layout = sharding.Layout(),
) -> None:
    """Writes {"id", "inputs", "prediction"}, a JSON line for each input, in their order.

    Args:
      model: the frozen model.
      method: what is added to it.
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens (TASK_FEATURE_LENGTHS).
      prompt_file: a prompt file, or the MODEL_DIR of a run, of which the best is taken; None for a
        method that trains nothing (PROMPT_FILE).
      input_file: lines of text, a .tsv, .csv or .jsonl table, or "-", standard input (INPUT_FILE).
      output_file: or "-", standard output (OUTPUT_FILE).
      inputs: a table's column, or a template of columns (INPUTS).
      id_column: a table's column of ids (ID_COLUMN).
      batch_size: B, examples at once over all devices (BATCH_SIZE).
      layout: how arrays lie on the devices.
    """
    texts = unlabelled.read_inputs(input_file, inputs, id_column)
    params = learned.adapted_params(model, method, prompt_file)
    predictions = predict_texts(
        model, method, params, texts, feature_lengths(task_feature_lengths), batch_size, layout
    )
    if jax.process_index() > 0:
        collections.deque(predictions, maxlen=0)  # computes its share; process 0 writes
    elif output_file != STANDARD_OUTPUT:
        files.write_predictions(output_file, predictions)
    else:
        for row in predictions:
            print(json.dumps(row, ensure_ascii=False), flush=True)


def predict_texts(
    model: weights.FrozenModel,
    method: methods.Method,
    params: partition.Flat,
    texts: Sequence[unlabelled.NumberedText],
    lengths: tuple[int, int],
    batch_size: int,
    layout: sharding.Layout = sharding.Layout(),
) -> Iterator[predict.Prediction]:
    """Yields {"id", "inputs", "prediction"} for each (id, text); `lengths` are (T, L)."""
    mesh = layout.mesh()
    sharding.check_batch_size(batch_size, 1, mesh)
    adapted = method.network(model)
    predictor = predict.Predictor(
        adapted, model.vocabulary, batch_size, *lengths, sharding=sharding.batch_rows(mesh)
    )
    examples = unlabelled.unlabelled_examples(texts, model.vocabulary, *lengths)
    for row in predictor(layout.put_params(adapted, params, mesh), examples):
        yield {name: row[name] for name in ("id", "inputs", "prediction")}


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    command.run("infer", infer)


if __name__ == "__main__":
    main()
