"""Lines for the person beside the results: notes on the data, and remarks on what is left out or reinterpreted."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from ptheta.cli.arguments import is_first
from ptheta.remarks import heard_by

_printed: ContextVar[set[str]] = ContextVar("_printed")
"""Lines that the command at hand has printed."""


@contextmanager
def printing_remarks() -> Iterator[None]:
    """Within, print every remark of a command that nobody collects."""
    token = _printed.set(set())
    try:
        with heard_by(lambda text: note([text])):
            yield
    finally:
        _printed.reset(token)


def note(lines: Iterable[str]) -> None:
    """Print lines to the standard error, each once in a command; of several processes the first one does."""
    printed = _printed.get(set())
    for line in lines:
        if line not in printed and is_first():
            print(line, file=sys.stderr)
        printed.add(line)
