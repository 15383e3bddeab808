"""Who hears a fit, and how it is asked to stop."""

from __future__ import annotations

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Protocol

from ptheta.training.state import Position


class Listener(Protocol):
    """Hears how a fit goes."""

    def record(self, values: dict[str, Any]) -> None:
        """A validation was done: step, seconds, what the objective tells of it, learning_rate."""
        ...

    def stopping(self) -> None:
        """Ctrl-C was pressed; the step at hand is finished and saved first."""
        ...

    def advance(self, progress: float, position: Position) -> None:
        """A step was done."""
        ...


@contextmanager
def interruptible(listener: Listener | None) -> Iterator[threading.Event]:
    """An event that Ctrl-C or SIGTERM sets, so that a step is finished and saved; a second one stops at once."""
    event = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield event
        return

    def stop(number: int, frame: Any) -> None:
        if event.is_set():
            raise KeyboardInterrupt
        event.set()
        if listener:
            listener.stopping()

    before = {number: signal.signal(number, stop) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield event
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
