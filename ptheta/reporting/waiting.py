"""What a person sees while something takes long that has no progress of its own."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.text import Text

from ptheta import terminal
from ptheta.numbers import duration

PATIENCE = 2.0
"""Seconds after which a terminal shows what is being done."""

QUIET = 10.0
"""Seconds after which a line is written where there is no terminal."""


def is_shown(verbose: bool | None) -> bool:
    """Whether anything is shown: as asked for; None: on a terminal, and in a notebook."""
    return sys.stderr.isatty() or in_notebook() if verbose is None else verbose


def in_notebook() -> bool:
    """Whether a notebook's kernel runs this, whose standard error is shown but is no terminal."""
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return getattr(shell, "kernel", None) is not None


@contextmanager
def waiting(what: str, console: Console) -> Iterator[None]:
    """Within, show what is being done if it takes long: on a terminal a line that moves, elsewhere a line after ten
    seconds, and others after twice the time each.

    Args:
        what: is being done, for example `drawing samples`.
        console: to show it on.
    """
    status = console.status(Text(what)) if console.is_terminal else None
    ended = threading.Event()

    def lines() -> None:
        seconds, passed = QUIET, ""
        while not ended.wait(seconds / (2 if passed else 1)):
            console.print(f"{what} …{passed}", soft_wrap=True)
            seconds *= 2
            passed = f", {duration(seconds)} so far"

    def line() -> None:
        if status is not None and not ended.wait(PATIENCE):
            status.start()

    shown = threading.Thread(target=lines if status is None else line, daemon=True)
    shown.start()
    try:
        yield
    finally:
        ended.set()
        if status is not None:
            shown.join(1.0)  # it may be about to start
            status.stop()


def console_for(verbose: bool | None, *, is_main: bool = True) -> Console:
    """The console of a command on standard error; it is quiet where nothing is to be shown."""
    return terminal.console(quiet=not (is_main and is_shown(verbose)))
