"""Callbacks of a fit, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ptheta.errors import Stopped, stopping
from ptheta.training.objectives.base import Verdict
from ptheta.training.state import Position


class Listener(Protocol):
    """Callbacks of a fit."""

    def record(self, values: dict[str, Any], verdict: Verdict | None) -> None:
        """A validation was done.

        Args:
            values: for the metrics: step, seconds, the running loss, what the objective judged, learning_rate.
            verdict: the judgement; None if there was nothing to judge by.
        """
        ...

    def stopping(self) -> None:
        """Ctrl-C was pressed; the step at hand is finished and saved first."""
        ...

    def advance(self, progress: float, position: Position) -> None:
        """A step was done."""
        ...

    def note(self, text: str) -> None:
        """Something was decided in the fit, in a sentence."""
        ...


class Stop:
    """Whether a signal came that asks to stop."""

    def __init__(self, listener: Listener | None):
        self.listener, self.number, self.waits = listener, 0, True

    def __bool__(self) -> bool:
        return self.number != 0

    def handle(self, number: int, frame: Any) -> None:
        """Handle a signal: the first is noted, or raised where nothing is worth waiting for; a second one is raised."""
        again, self.number = bool(self), number
        if again or not self.waits:
            raise self.error
        if self.listener:
            self.listener.stopping()

    @property
    def error(self) -> KeyboardInterrupt:
        """What is raised for the signal that came."""
        return Stopped(self.number)

    @contextmanager
    def at_once(self) -> Iterator[None]:
        """Within, a signal is raised where it arrives: for what changes nothing and can be done again."""
        if self:
            raise self.error
        self.waits = False
        try:
            yield
        finally:
            self.waits = True


@contextmanager
def interruptible(listener: Listener | None) -> Iterator[Stop]:
    """Handles signals that ask to stop, so that a step is finished and saved; a second one stops at once."""
    stop = Stop(listener)
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, stop.handle) for number in stopping()}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
