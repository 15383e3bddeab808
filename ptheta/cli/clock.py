"""When the command at hand began: a budget of minutes is that of the whole command, its imports included."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

_began: ContextVar[float | None] = ContextVar("_began", default=None)


@contextmanager
def timed(*, whole_process: bool) -> Iterator[None]:
    """Within, the command began now, or with its process if that is the command.

    Args:
        whole_process: whether the process was started for this command.
    """
    token = _began.set(time.perf_counter() - (age() if whole_process else 0.0))
    try:
        yield
    finally:
        _began.reset(token)


def began() -> float:
    """The time on the clock of `time.perf_counter` at which the command began; now, if there is none."""
    found = _began.get()
    return time.perf_counter() if found is None else found


def age() -> float:
    """Seconds since this process was started; 0 where the system does not tell."""
    with contextlib.suppress(OSError, ValueError, IndexError, AttributeError):
        fields = Path("/proc/self/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
        ticks = int(fields[19])  # the 22nd of proc_pid_stat(5), after the name in brackets
        return max(0.0, time.clock_gettime(time.CLOCK_BOOTTIME) - ticks / os.sysconf("SC_CLK_TCK"))
    return 0.0
