"""What can go wrong, each with what was wrong and what to do about it.

Every error a user can cause is a `PthetaError`. Its text is one line, `problem; remedy`, and the command line prints
that line and exits with status 2.
"""

from __future__ import annotations

import signal
from collections.abc import Sequence

from ptheta.wording import worded

CLOSE = 0.75
"""Similarity from which a word is proposed in place of another: a slip of the fingers, not another word."""

LISTED, SHOWN, COMPARED = 20, 5, 100_000
"""Most words that a remedy lists; of more, how many are shown, and how many are compared."""


class PthetaError(Exception):
    """Base of all errors meant for the user.

    Args:
        problem: what is wrong and where (file, row, column, index).
        remedy: what the user can do.

    Attributes:
        shared: several processes have it alike, so that only the first of them prints it.
    """

    shared = False

    def __init__(self, problem: str, remedy: str):
        self.problem = worded(problem)
        self.remedy = worded(remedy)
        super().__init__(f"{self.problem}; {self.remedy}")

    def __reduce__(self):
        return type(self), (self.problem, self.remedy)

    def within(self, place: str) -> PthetaError:
        """The same error, of what a place holds."""
        return type(self)(f"{place}: {self.problem}", self.remedy)

    def because(self, cause: str) -> PthetaError:
        """The same error, with its cause."""
        return type(self)(f"{self.problem}: {cause}", self.remedy)


class UsageError(PthetaError, ValueError):
    """An argument, flag or name that does not exist or cannot be combined."""


class ArgumentError(UsageError, TypeError):
    """An argument that a function does not have, or of another type than it takes."""


class BusyError(UsageError):
    """A file or folder that another process is writing."""


class SourceError(PthetaError, ValueError):
    """A data source that is missing, empty, damaged or of a kind that cannot be trained on."""


class NoSourceError(SourceError, FileNotFoundError):
    """A data source that is not there."""


class SpaceError(PthetaError, ValueError):
    """A value that is not an event of its space: wrong shape, wrong type, level outside the alphabet, not finite."""


class ContextError(PthetaError, ValueError):
    """A context that is missing, unwanted, or of the wrong space or number of rows."""


class DensityError(PthetaError):
    """A density was asked of a model that has none, or a sum over more events than can be enumerated."""


class RunError(PthetaError):
    """A run folder that is missing, damaged, edited or made by a newer format."""


class NoRunError(RunError, FileNotFoundError):
    """A run folder that is not there."""


class FitError(PthetaError, ValueError):
    """Learning cannot start or go on: no budget, no data, loss not finite."""


class Stopped(KeyboardInterrupt):
    """A signal that asks a command to stop: SIGINT, which is Ctrl-C, SIGTERM, or the SIGHUP of a terminal that closes.

    Args:
        number: of the signal.
    """

    def __init__(self, number: int):
        self.number = number
        super().__init__()


def stopping() -> list[int]:
    """Numbers of the signals that ask a command to stop; of a command that was begun with nohup without SIGHUP."""
    if not hasattr(signal, "SIGHUP") or signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # Windows has none
        return [signal.SIGINT, signal.SIGTERM]
    return [signal.SIGINT, signal.SIGTERM, signal.SIGHUP]


def nearest(name: str, known: Sequence[str]) -> str:
    """A clause that names the known word nearest to `name`, or lists them all; of many, those that are most like it.

    >>> nearest("transfomer", ["made", "transformer"])
    'did you mean transformer?'
    >>> nearest("tenfold", [f"no. {k}" for k in range(100)] + ["tenth"])
    'choose one of 101, such as tenth, no. 0, no. 1, no. 2, no. 3'
    """
    if (close := closest(name, known)) is not None:
        return f"did you mean {close}?"
    if len(known) <= LISTED:
        return f"choose one of {', '.join(known)}"
    alike = sorted(known[:COMPARED], key=lambda word: -_likeness(name, word))[:SHOWN]
    return f"choose one of {len(known):,}, such as {', '.join(alike)}"


def closest(name: str, known: Sequence[str]) -> str | None:
    """The known word of which `name` is a slip of the pen, in capitals or small letters; None if there is none.

    >>> closest("Grösse ", ["Farbe", "Größe"]), closest("age", ["image"])
    ('Größe', None)
    >>> closest("12", ["1", "2"]), closest("2020-01-01", ["2019-01-01"]), closest("2020.01.01", ["2020-01-01"])
    (None, None, '2020-01-01')
    """
    import difflib

    asked = _bare(name)
    if any(map(str.isdigit, asked)) and not any(map(str.isalpha, asked)):
        known = [word for word in known if _figures(word) == _figures(asked)]  # another number or date is another value
    longer = max(1, len(asked) // 4)  # a slip of the pen adds or loses few letters
    bare = {_bare(word): word for word in reversed(known)}
    bare = {
        word: whole
        for word, whole in bare.items()
        if abs(len(word) - len(asked)) <= longer or word.startswith(asked) or asked.startswith(word)
    }
    cutoff = min(CLOSE, 1 - 1 / max(len(asked), 3)) - 1e-9  # of three letters one may be wrong
    close = difflib.get_close_matches(asked, list(bare), n=1, cutoff=cutoff)
    return bare[close[0]] if close else None


def _figures(word: str) -> list[str]:
    """Its digits."""
    return [one for one in word if one.isdigit()]


def _likeness(name: str, word: str) -> float:
    """How alike a name and a word are, 0 to 2: above 1 if one holds the other, else by how long they begin alike."""
    asked, other = _bare(name), _bare(word)
    if not asked or not other:
        return 0.0
    if asked in other or other in asked:
        return 1.0 + min(len(asked), len(other)) / max(len(asked), len(other))
    same = next((k for k, (a, b) in enumerate(zip(asked, other)) if a != b), min(len(asked), len(other)))
    return same / max(len(asked), len(other))


def _bare(word: str) -> str:
    """A word without capitals, spaces around it, and the dashes that all flags begin with."""
    return word.strip().lstrip("-").casefold()
