"""Ctrl-C and SIGTERM as a question that a loop asks before each step."""

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


def watch() -> None:
    """Has JAX keep a SIGTERM that comes before a loop does; all processes call it as they meet."""
    multihost_utils.reached_preemption_sync_point(next(_calls))


class Interrupt:
    """Turns SIGTERM and the first Ctrl-C into an end of the loop between two steps.

    Several processes end before the same step, whichever of them got the signal: there JAX keeps
    the watch for SIGTERM, and Ctrl-C is handed on to it.
    """

    def __enter__(self):
        self.asked = False
        self._before: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            if jax.process_count() == 1:
                self._watch(signal.SIGTERM, self._ask)
                self._watch(signal.SIGINT, self._ask)
            else:
                self._watch(signal.SIGINT, self._hand_on)
        return self

    def asked_now(self) -> bool:
        """Whether to end now; all processes must ask equally often."""
        if jax.process_count() > 1 and multihost_utils.reached_preemption_sync_point(next(_calls)):
            self.asked = True
        return self.asked

    def _watch(self, number, handler):
        self._before[number] = signal.signal(number, handler)

    def _ask(self, number, frame):
        del frame
        self.asked = True
        signal.signal(number, self._before[number])

    def _hand_on(self, number, frame):
        del frame
        os.kill(os.getpid(), signal.SIGTERM)
        signal.signal(number, self._before[number])

    def __exit__(self, *_):
        for number, handler in self._before.items():
            signal.signal(number, handler)
