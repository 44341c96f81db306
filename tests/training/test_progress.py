"""The progress line, on a clock and a stream that the tests hold."""

import io

import jax
import pytest

from prompt_tuning.training import progress


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


class Terminal(io.StringIO):
    def isatty(self):
        return True


class Loss:
    """A loss that counts how often it is fetched."""

    fetched = 0

    def __float__(self):
        self.fetched += 1
        return 2.0


@pytest.fixture
def clock():
    return Clock()


def test_a_log_gets_a_line_now_and_then_and_at_the_end(clock):
    stream, loss = io.StringIO(), Loss()
    report = progress.Progress(0, 100, 1000, stream, clock)
    for step in range(1, 101):
        clock.now += 0.5
        report(step, loss)
    assert stream.getvalue().splitlines() == [
        "step 60/100  0.5 s/step  2,000.0 examples/s  loss 2.0000  ETA 0:00:20",
        "step 100/100  0.5 s/step  2,000.0 examples/s  loss 2.0000  ETA 0:00:00",
    ]
    assert loss.fetched == 2


def test_a_terminal_redraws_one_line(clock):
    stream = Terminal()
    report = progress.Progress(7, 10, 1000, stream, clock)
    for step in (8, 9, 10):
        clock.now += 1
        report(step, 2.0)
    drawn = stream.getvalue().split("\r\x1b[K")
    assert [line[:9] for line in drawn] == ["", "step 8/10", "step 9/10", "step 10/1"]
    assert stream.getvalue().count("\n") == 1 and stream.getvalue().endswith("\n")


def test_time_up_to_a_note_is_in_no_step(clock):
    stream = io.StringIO()
    report = progress.Progress(0, 200, 1000, stream, clock)
    clock.now += 1
    report(1, 2.0)
    clock.now += 1000  # an evaluation
    report.note("accuracy 50.0")
    clock.now += 40
    report(21, 2.0)
    assert stream.getvalue().splitlines() == [
        "accuracy 50.0",
        "step 21/200  2 s/step  500.0 examples/s  loss 2.0000  ETA 0:05:58",
    ]


def test_only_process_zero_draws(clock, monkeypatch):
    monkeypatch.setattr(jax, "process_index", lambda: 1)
    stream = Terminal()
    report = progress.Progress(0, 2, 1000, stream, clock)
    clock.now += 40
    report(1, 2.0)
    report.note("accuracy 50.0")
    assert stream.getvalue() == ""
