"""Scalars and texts of a run on disk: lines of JSON, and TensorBoard events beside them.

What they are is the business of whoever writes them; the line on the
terminal is progress.py's.
"""

from collections.abc import Mapping
import json
import logging
import os
import pathlib

import jax
from jaxtyping import Array, Float

from prompt_tuning import atomic

_FLUSH_SECONDS = 10  # what a run that is killed may lose of its TensorBoard events


def check_folder(folder: str | os.PathLike, name: str) -> None:
    """Raises ValueError where a bucket's address is given for a folder: saves are renamed whole."""
    if "://" in str(folder):
        raise ValueError(
            f"{name} must be a folder that this machine sees, found {str(folder)!r}: mount the bucket "
            "(gcsfuse), and give the folder where it is mounted."
        )


class ScalarWriter:
    """`write(step, values)` appends scalars to FOLDER/scalars.jsonl and to TensorBoard, texts to the
    latter.

    The TensorBoard events are left out, with a warning, where tensorboardX is
    not installed. Only process 0 writes.
    """

    def __init__(self, folder: str | os.PathLike, first_step: int = 0):
        """Opens the files; a run that resumes says from where as `first_step`.

        TensorBoard then hides what was written beyond it before. In the JSON lines
        the last line of a step is the one that counts.
        """
        self._lines = self._events = None
        if jax.process_index() == 0:
            folder = pathlib.Path(folder)
            folder.mkdir(parents=True, exist_ok=True)
            self._lines = (folder / "scalars.jsonl").open("a", encoding="utf-8")
            self._events = _event_writer(folder, first_step)

    def __call__(self, step: int, values: Mapping[str, str | float | Float[Array, ""]]) -> None:
        if self._lines is None:
            return
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        scalars = {name: float(value) for name, value in values.items() if name not in texts}
        self._lines.write(json.dumps({"step": step} | scalars) + "\n")
        self._lines.flush()
        if self._events is not None:
            for name, value in scalars.items():
                self._events.add_scalar(name, value, step)
            for name, text in texts.items():
                self._events.add_text(name, text, step)

    def close(self) -> None:
        for file in (self._lines, self._events):
            if file is not None:
                file.close()


def keep_configuration(path: pathlib.Path, configuration: str | None) -> None:
    """Writes a gin file that alone makes the same run again, if it is known."""
    if configuration is not None and jax.process_index() == 0:
        with atomic.writing(path) as partial:
            partial.write_text(configuration, encoding="utf-8")


def _event_writer(folder: pathlib.Path, first_step: int):
    try:
        import tensorboardX  # a run does not need it  # pylint: disable=import-outside-toplevel
    except ImportError:
        logging.warning(
            "tensorboardX is not installed: no TensorBoard events, only "
            "%s. `pip install tensorboardX` adds them.",
            folder / "scalars.jsonl",
        )
        return None
    return tensorboardX.SummaryWriter(
        str(folder), purge_step=first_step + 1, flush_secs=_FLUSH_SECONDS
    )
