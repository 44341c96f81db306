"""Scalars and texts of a run on disk: lines of JSON, and TensorBoard events beside them.

What they are is the business of whoever writes them; the line on the
terminal is progress.py's.
"""

from collections.abc import Iterator, Mapping
import contextlib
import json
import logging
import os
import pathlib
import time
import types
from typing import Any

import jax
from jaxtyping import Array, Float

from prompt_tuning import atomic

SCALARS = "scalars.jsonl"


def take_back(folder: str | os.PathLike, step: int, evaluated: int) -> None:
    """Removes the scalars that an ended run wrote beyond its last save, for they come again.

    Args:
      folder: of the run.
      step: of its last save.
      evaluated: the last step whose evaluation that save knows of.
    """
    lines = pathlib.Path(folder, SCALARS)
    if jax.process_index() > 0 or not lines.exists():
        return
    kept = []
    for line in lines.read_text(encoding="utf-8", errors="replace").splitlines(keepends=True):
        try:
            values = json.loads(line)
            last = evaluated if any(name.startswith("eval/") for name in values) else step
            if values["step"] <= last:
                kept.append(line)
        except (ValueError, TypeError, LookupError):  # the last may be half a line
            logging.warning("%s: left out %.80r, which is no line of scalars.", lines, line)
    with atomic.writing(lines) as partial:
        partial.write_text("".join(kept), encoding="utf-8")


class ScalarWriter:
    """`write(step, values)` appends scalars to FOLDER/scalars.jsonl and to TensorBoard, texts to the
    latter.

    The TensorBoard events are left out, with a warning, where tensorboardX is
    not installed. Only process 0 writes.
    """

    def __init__(self, folder: str | os.PathLike, first_step: int = 0):
        """Opens the files; a run that resumes says from where as `first_step`.

        TensorBoard then hides what was written beyond it before; `take_back` does so for the lines.
        """
        self._folder, self._lines, self._events = pathlib.Path(folder), None, None
        if jax.process_index() == 0:
            with _naming(self._folder):
                self._folder.mkdir(parents=True, exist_ok=True)
                self._lines = (self._folder / SCALARS).open("a", encoding="utf-8")
                self._events = _open_events(self._folder, first_step)

    def __call__(self, step: int, values: Mapping[str, str | float | Float[Array, ""]]) -> None:
        """Raises OSError, naming the folder, where the disk is full."""
        if self._lines is None:
            return
        texts = {name: value for name, value in values.items() if isinstance(value, str)}
        scalars = {name: float(value) for name, value in values.items() if name not in texts}
        with _naming(self._folder):
            self._lines.write(json.dumps({"step": step} | scalars) + "\n")
            self._lines.flush()
            if self._events is not None:
                self._events(step, scalars, texts)

    def sync(self) -> None:
        """Has the lines on the disk, so that a save is never ahead of them."""
        if self._lines is not None:
            with _naming(self._folder):
                os.fsync(self._lines.fileno())

    def close(self) -> None:
        for file in (self._lines, self._events):
            if file is not None:
                with _naming(self._folder):
                    file.close()


@contextlib.contextmanager
def _naming(folder: pathlib.Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise OSError(
            f"Scalars cannot be written in {folder}: {error}. Make room, or mend the disk, and give "
            "the same command again."
        ) from error


def keep_configuration(path: pathlib.Path, configuration: str | None) -> None:
    """Writes a gin file that alone makes the same run again, if it is known."""
    if configuration is not None and jax.process_index() == 0:
        with atomic.writing(path) as partial:
            partial.write_text(configuration, encoding="utf-8")


class _Events:
    """TensorBoard's file, written at once: tensorboardX's own writer has a thread, which dies alone."""

    def __init__(self, tensorboard: types.ModuleType, folder: pathlib.Path, first_step: int):
        self._protos, self._summary = tensorboard.proto.event_pb2, tensorboard.summary
        self._file = tensorboard.event_file_writer.EventsWriter(str(folder / "events"))
        start = self._protos.SessionLog(status=self._protos.SessionLog.START)
        self._write(session_log=start, step=first_step + 1)

    def __call__(self, step: int, scalars: Mapping[str, float], texts: Mapping[str, str]) -> None:
        for make, values in ((self._summary.scalar, scalars), (self._summary.text, texts)):
            for name, value in values.items():
                self._write(summary=make(name, value), step=step)
        self._file.flush()

    def _write(self, **what: Any) -> None:
        self._file.write_event(self._protos.Event(wall_time=time.time(), **what))

    def close(self) -> None:
        self._file.close()


def _open_events(folder: pathlib.Path, first_step: int) -> _Events | None:
    try:
        import tensorboardX  # a run does not need it  # pylint: disable=import-outside-toplevel
    except ImportError:
        logging.warning(
            "tensorboardX is not installed: no TensorBoard events, only "
            "%s. `pip install tensorboardX` adds them.",
            folder / SCALARS,
        )
        return None
    return _Events(tensorboardX, folder, first_step)
