"""How scores and predictions are written down."""

from collections.abc import Iterable, Mapping
import json
import os

from prompt_tuning import atomic
from prompt_tuning.evaluation import predict

Path = str | os.PathLike


def write_metrics(path: Path, values: Mapping[str, float]) -> None:
    """Writes one JSON object, whole or not at all."""
    _write_whole(path, [json.dumps(values, indent=2)])


def write_predictions(path: Path, predictions: Iterable[predict.Prediction]) -> None:
    """Writes a JSON object a line, whole or not at all, as they come."""
    _write_whole(path, (json.dumps(row, ensure_ascii=False) for row in predictions))


def markdown_table(predictions: Iterable[predict.Prediction]) -> str:
    """Inputs, targets and predictions side by side, for TensorBoard."""
    columns = ("inputs", "targets", "prediction")
    rows = [[_cell(row[name]) for name in columns] for row in predictions]
    return "\n".join(f"| {' | '.join(row)} |" for row in [columns, ["---"] * 3, *rows])


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def _write_whole(path: Path, lines: Iterable[str]) -> None:
    with atomic.writing(path) as partial, partial.open("w", encoding="utf-8") as file:
        file.writelines(f"{line}\n" for line in lines)
