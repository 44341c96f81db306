"""How scores and predictions are written down."""

from collections.abc import Iterable, Mapping
import json
import os
import pathlib
import tempfile

from prompt_tuning import atomic
from prompt_tuning.evaluation import predict

Path = str | os.PathLike


def check_folder(folder: Path, flag: str) -> None:
    """Makes the folder that `flag` names, so that hours of work do not end where nothing can be kept.

    Raises OSError, naming `flag`, where nothing can be written there.
    """
    try:
        pathlib.Path(folder).mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise OSError(
            f"{flag}: nothing can be written in {folder} ({error.strerror}): give another."
        ) from error


def check_file(file: Path, flag: str) -> None:
    """As `check_folder`, of the folder that the file will be in."""
    if os.path.isdir(file):
        raise IsADirectoryError(f"{flag}: {file} is a folder: give a file in it.")
    check_folder(pathlib.Path(file).parent, flag)


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
