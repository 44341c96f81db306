"""How training goes, as one line that a terminal redraws or a log repeats.

Only for eyes: what is kept goes through writers.py.
"""

from collections.abc import Callable
import datetime
import io
import sys
import time
from typing import SupportsFloat

import jax

_REDRAW_SECONDS = 0.5  # on a terminal
_LOG_SECONDS = 30.0  # where lines stay
_CLEAR = "\r\x1b[K"


class Progress:
    """`progress(step, loss)` after each step; a line is drawn now and then.

    Process 0 alone draws.
    """

    def __init__(
        self,
        first_step: int,
        last_step: int,
        examples_per_step: int,
        stream: io.TextIOBase | None = None,
        clock: Callable[[], float] = time.monotonic,
    ):
        """Starts the clock.

        Args:
          first_step: steps that were done before, by a run that resumes.
          last_step: the step at which training ends.
          examples_per_step: B.
          stream: where the line goes; standard output if None.
          clock: seconds.
        """
        self._last_step, self._examples_per_step = last_step, examples_per_step
        self._stream = sys.stdout if stream is None else stream
        self._clock = clock
        self._on_terminal = self._stream.isatty()
        self._interval = _REDRAW_SECONDS if self._on_terminal else _LOG_SECONDS
        self._measure_from(first_step)

    def __call__(self, step: int, loss: SupportsFloat) -> None:
        self._step = step
        due = self._clock() - self._since >= self._interval
        if jax.process_index() == 0 and (due or step == self._last_step):
            loss = float(loss)
            seconds = (self._clock() - self._since) / (step - self._since_step)
            self._draw(self._line(loss, seconds), stays=step == self._last_step)
            self._measure_from(step)

    def note(self, text: str) -> None:
        """A line that stays, above the progress line.

        The time until then is in no step time: a note ends an evaluation or a save.
        """
        if jax.process_index() == 0:
            self._draw(text, stays=True)
        self._measure_from(self._step)

    def _measure_from(self, step: int) -> None:
        self._step = self._since_step = step
        self._since = self._clock()

    def _line(self, loss: float, seconds: float) -> str:
        left = datetime.timedelta(seconds=round((self._last_step - self._step) * seconds))
        return (
            f"step {self._step}/{self._last_step}  {seconds:.3g} s/step  "
            f"{self._examples_per_step / seconds:,.1f} examples/s  "
            f"loss {loss:.4f}  ETA {left}"
        )

    def _draw(self, line: str, stays: bool) -> None:
        start = _CLEAR if self._on_terminal else ""
        end = "\n" if stays or not self._on_terminal else ""
        print(f"{start}{line}", end=end, file=self._stream, flush=True)
