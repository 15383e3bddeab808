"""The one door for what other libraries raise: reading what users give ends in our own errors, whatever a parser does.

Which exceptions a parser of damaged data raises is not written anywhere, so none are listed: within `guarded` every
exception that is not ours becomes one line that names the file and the cause. The original is its `__cause__`, and the
command line shows it where `PTHETA_TRACEBACK` is set, so that a fault of our own is not hidden.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

from ptheta.errors import PthetaError, SourceError
from ptheta.listing import unreadable

TRACEBACK = "PTHETA_TRACEBACK"
"""Environment variable; if set, the command line shows the traceback of every error."""

LONGEST = 300
"""Characters of a foreign message that are shown."""

_PLAIN = (OSError, ValueError, EOFError, SyntaxError)
"""Exceptions whose message says what is wrong without the exception's name."""


class Signal(Exception):
    """Control flow of our own, which is no error and passes every guard."""


@contextlib.contextmanager
def guarded(
    origin: object,
    remedy: str = "repair or replace it",
    *,
    error: type[PthetaError] = SourceError,
    problem: str = "cannot read {origin}",
) -> Iterator[None]:
    """Within, whatever is raised while something of a user's is read becomes one line.

    Args:
        origin: names the file, folder or table.
        remedy: what the user can do.
        error: type of the error.
        problem: what went wrong, before the cause.

    Raises:
        PthetaError: ours as they are, anything else as `error`. Interrupts, the end of the process and a `Signal` pass.

    >>> with guarded("a.json"):
    ...     {}["columns"]
    Traceback (most recent call last):
    ...
    ptheta.errors.SourceError: cannot read a.json: KeyError: 'columns'; repair or replace it
    """
    try:
        yield
    except (PthetaError, Signal, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as raised:  # a panic of a library in Rust is no Exception
        root = raised.__cause__ or raised
        if out_of_memory(root):
            smaller = "give a --limit, or a smaller source" if error is SourceError else "use a larger machine"
            made: PthetaError = error(f"{origin} does not fit into memory", smaller)
        elif isinstance(root, PermissionError):
            made = unreadable(_named(root) or origin, root)
        else:
            what = problem.format(origin=origin)
            made = error(f"{what}: {reason(root)}", remedy)
        raise made from raised


def reason(error: BaseException) -> str:
    """What an exception says, in one line; where its message is not a sentence, with its name.

    >>> reason(ValueError("bad\\nmagic")), reason(KeyError("x")), reason(EOFError())
    ('bad magic', "KeyError: 'x'", 'EOFError')
    """
    if isinstance(error, RecursionError):
        return "it is nested too deeply"
    message = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    text = " ".join(message.split())[:LONGEST]
    named = (
        isinstance(error, _PLAIN) or type(error).__name__ in ("error", "Error") or "pyarrow" in type(error).__module__
    )
    return text if text and named else f"{type(error).__name__}: {text}".removesuffix(": ")


def out_of_memory(error: BaseException) -> bool:
    """Whether memory was too small, of the processor or of an accelerator."""
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and any(words in str(error) for words in ("out of memory", "can't allocate"))
    )


def _named(error: OSError) -> Any:
    """The file that an error of the operating system names; of bytes, as text."""
    return None if error.filename is None or isinstance(error.filename, int) else os.fsdecode(error.filename)
