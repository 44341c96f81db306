"""Ctrl-C and SIGTERM as a question that a loop asks between steps, an evaluation between batches."""

import itertools
import os
import signal
import threading
from typing import Any

import jax
from jax.experimental import multihost_utils

# JAX ends all processes at the call after the furthest that any has made; it counts from its own
# start, not a run's, and knows none before the first.
_calls = itertools.count()
_active: "Interrupt | None" = None  # signals are the process's, so there is one


class Asked(Exception):
    """The end was asked for while something long was being done that may be left undone."""


def watch() -> None:
    """Has JAX keep a SIGTERM that comes before a loop does; all processes call it as they meet."""
    multihost_utils.reached_preemption_sync_point(next(_calls))


def check() -> None:
    """Raises Asked where a loop that can be interrupted has been asked to end.

    For what that loop calls and takes long; all processes must call it equally often.
    """
    if _active is not None and _active.asked_now():
        raise Asked


class Interrupt:
    """Turns SIGTERM and the first Ctrl-C into an end of the loop between two steps.

    Several processes end before the same step, whichever of them got the signal: there JAX keeps
    the watch for SIGTERM, and Ctrl-C is handed on to it.

    Attributes:
      signal: the one that asked, None before.
    """

    def __enter__(self):
        global _active
        self.signal: signal.Signals | None = None
        self._before: dict[int, Any] = {}
        _active = self
        return self

    def begin(self) -> None:
        """From here on there is something to save; before, a signal ends the process as any other.

        A program that is being compiled for minutes answers no handler of Python's.
        """
        if self._before or threading.current_thread() is not threading.main_thread():
            return
        if jax.process_count() == 1:
            self._watch(signal.SIGTERM, self._ask)
            self._watch(signal.SIGINT, self._ask)
        else:
            self._watch(signal.SIGINT, self._hand_on)

    def asked_now(self) -> bool:
        """Whether to end now; all processes must ask equally often."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(next(_calls)):
            self.signal = signal.SIGTERM
        return self.signal is not None

    def _watch(self, number, handler):
        self._before[number] = signal.signal(number, handler)

    def _ask(self, number, frame):
        del frame
        self.signal = signal.Signals(number)
        if number == signal.SIGINT:  # a second one does not wait; launchers repeat SIGTERM
            signal.signal(number, self._before[number])

    def _hand_on(self, number, frame):
        del frame
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(number, self._before[number])

    def __exit__(self, *_):
        global _active
        _active = None
        for number, handler in self._before.items():
            signal.signal(number, handler)
