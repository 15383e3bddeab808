"""Remarks: what a reader leaves out or reinterprets is reported, by one path, to whoever asked for the data.

Readers lie deep: a codec, a lister of folders, a parser of CSV. Each calls `remark`. `load` collects what it hears, for
the notes of its data; a command prints what nobody collected.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from ptheta.wording import worded

PACKAGE = str(Path(__file__).parent)
"""Where the code lies that no warning points to."""

_LISTENER: ContextVar[Callable[[str], None] | None] = ContextVar("ptheta_remarks", default=None)


class DataWarning(UserWarning):
    """Data that were left out or reinterpreted, where nobody collects remarks."""


def remark(text: str) -> None:
    """Report what is left out or reinterpreted, in one sentence without a full stop; a repeated one is kept once.

    Where nobody listens it becomes a `DataWarning`.
    """
    listener = _LISTENER.get()
    if listener is None:
        warn(text)
    else:
        listener(text)


def warn(text: str) -> None:
    """A `DataWarning` that points to the line outside this package from which it was called."""
    level, frame = 1, sys._getframe(0)
    while frame.f_back is not None and frame.f_code.co_filename.startswith(PACKAGE):
        level, frame = level + 1, frame.f_back
    warnings.warn(worded(text), DataWarning, stacklevel=level)


def announce(text: str) -> None:
    """Say what is about to be done, to whoever listens; where nobody does, it is not worth a warning."""
    if (listener := _LISTENER.get()) is not None:
        listener(text)


@contextmanager
def collecting() -> Iterator[list[str]]:
    """Within, remarks are added to the list that this gives, in order.

    >>> with collecting() as found:
    ...     remark("2 rows were skipped")
    ...     remark("2 rows were skipped")
    >>> found
    ['2 rows were skipped']
    """
    found: list[str] = []

    def add(text: str) -> None:
        if text not in found:
            found.append(text)

    with heard_by(add):
        yield found


@contextmanager
def heard_by(listener: Callable[[str], None]) -> Iterator[None]:
    """Within, each remark goes to the listener, unless it is collected further inside."""
    token = _LISTENER.set(listener)
    try:
        yield
    finally:
        _LISTENER.reset(token)
