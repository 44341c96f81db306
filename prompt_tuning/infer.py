"""Predicts for inputs without targets: `python -m prompt_tuning.infer`.

`infer` is plain Python and needs no gin; `main` makes its arguments from gin files.
"""

import collections
from collections.abc import Iterable, Iterator, Mapping, Sequence
import json
import os

import jax

from prompt_tuning import checks
from prompt_tuning.checkpoints import weights
from prompt_tuning.data import tables
from prompt_tuning.data import unlabelled
from prompt_tuning.data.examples import DataError, label_texts
from prompt_tuning.evaluation import decoders
from prompt_tuning.evaluation import predict
from prompt_tuning.evaluation import reports
from prompt_tuning.methods import learned
from prompt_tuning.methods import method as methods
from prompt_tuning.training import sharding

STANDARD_OUTPUT = "-"


def infer(
    model: weights.FrozenModel,
    method: methods.Method,
    *,
    task_feature_lengths: Mapping[str, int],
    prompt_file: learned.Path | Mapping[str, learned.Path] | None = None,
    input_file: str = unlabelled.STANDARD_INPUT,
    output_file: str = STANDARD_OUTPUT,
    inputs: str = "inputs",
    id_column: str | None = None,
    prompt_column: str = "prompt",
    decoder: decoders.Decoder = decoders.Greedy(),
    labels: Sequence[str] | Mapping[str, str] | None = None,
    batch_size: int = 32,
    layout: sharding.Layout = sharding.Layout(),
) -> None:
    """Writes {"id", "inputs", "prediction", "score"}, a JSON line for each input, in their order.

    A file gets its name when all lines are in it; standard output gets each line as it comes.

    Args:
      model: the frozen model.
      method: what is added to it.
      task_feature_lengths: {"inputs": T, "targets": L}, in tokens (TASK_FEATURE_LENGTHS).
      prompt_file: a prompt file, or the MODEL_DIR of a run, of which the best is taken; None for a
        method that trains nothing. A mapping of names to such serves several tasks at once: each
        row of a table then names its own in `prompt_column` (PROMPT_FILE).
      input_file: lines of text, a .tsv, .csv or .jsonl table, or "-", standard input (INPUT_FILE).
      output_file: or "-", standard output (OUTPUT_FILE).
      inputs: a table's column, or a template of columns (INPUTS).
      id_column: a table's column of ids (ID_COLUMN).
      prompt_column: a table's column of prompt names.
      decoder: the way to predict (DECODER).
      labels: what `RankLabels` chooses among, or a mapping to them (CLASS_LABELS).
      batch_size: B, examples at once over all devices (BATCH_SIZE).
      layout: how arrays lie on the devices.

    Raises:
      BrokenPipeError: whoever reads standard output has enough.
      OSError: another reason why nothing can be written; before anything is computed if it is there
        by then.
    """
    if os.path.exists(input_file) and os.path.realpath(input_file) == os.path.realpath(output_file):
        raise ValueError(
            f"OUTPUT_FILE is INPUT_FILE ({input_file}): give another, to keep the texts."
        )
    if output_file != STANDARD_OUTPUT and jax.process_index() == 0:
        checks.writable_file(output_file, "OUTPUT_FILE")
    model = layout.bind(model, layout.mesh())
    several = isinstance(prompt_file, Mapping)
    texts = unlabelled.read_inputs(
        input_file, inputs, id_column, prompt_column if several else None
    )
    if several:
        which = _which(texts, list(prompt_file), input_file)
        paths = list(prompt_file.values())
        adapted = learned.adapt_by_row(model, method, paths, rows=batch_size)
    else:
        which, adapted = None, learned.adapt(model, method, prompt_file)
    predictions = predict_texts(
        model,
        adapted,
        texts,
        checks.feature_lengths(task_feature_lengths),
        batch_size,
        which=which,
        decoder=decoder,
        labels=labels and label_texts(labels),
        layout=layout,
    )
    if jax.process_index() > 0:
        collections.deque(predictions, maxlen=0)  # computes its share; process 0 writes
    elif output_file != STANDARD_OUTPUT:
        reports.write_predictions(output_file, predictions)
    else:
        _print(predictions)


def _print(predictions: Iterable[predict.Prediction]) -> None:
    for row in predictions:
        try:
            print(json.dumps(row, ensure_ascii=False), flush=True)
        except BrokenPipeError:
            raise
        except OSError as error:
            raise OSError(f"Standard output cannot be written: {error}") from error


def predict_texts(
    model: weights.FrozenModel,
    adapted: learned.Adapted,
    texts: Sequence[unlabelled.Input],
    lengths: tuple[int, int],
    batch_size: int,
    *,
    which: Sequence[int] | None = None,
    decoder: decoders.Decoder = decoders.Greedy(),
    labels: Sequence[str] | None = None,
    layout: sharding.Layout = sharding.Layout(),
) -> Iterator[predict.Prediction]:
    """Yields {"id", "inputs", "prediction", "score"} for each text, and the "prompt" it names.

    `lengths` are (T, L); `which` says which prompt of the bank each text takes.
    """
    mesh = layout.mesh()
    sharding.check_batch_size(batch_size, 1, mesh)
    predictor = predict.Predictor(
        adapted.network,
        model.vocabulary,
        batch_size,
        *lengths,
        mesh=mesh,
        decoder=decoder,
        labels=labels,
    )
    examples = unlabelled.unlabelled_examples(texts, model.vocabulary, *lengths)
    params = layout.put_params(adapted.network, adapted.params, mesh)
    for text, row in zip(texts, predictor(params, examples, adapted.bank, which), strict=True):
        del row["targets"]
        yield row if text.prompt is None else row | {"prompt": text.prompt}


def _which(texts: Sequence[unlabelled.Input], names: Sequence[str], file: str) -> list[int]:
    """The number of the prompt that each text names."""
    for text in texts:
        if text.prompt not in names:
            raise DataError(
                f"{file}, {text.id}: PROMPT_FILE has no prompt {text.prompt!r}, only "
                f"{', '.join(names)}{tables.nearest(text.prompt, names)}"
            )
    return [names.index(text.prompt) for text in texts]


def main() -> None:
    """The command line; exits with 2 where the configuration is wrong."""
    from prompt_tuning.cli import command

    command.run("infer", infer)


if __name__ == "__main__":
    main()
