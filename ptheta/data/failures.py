"""Files that cannot be used are named together, not one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ptheta.errors import SourceError

SHOWN = 5
"""Files that an error names."""


class UnusableFiles(SourceError):
    """Some files, or rows that each hold a file, cannot be read or do not fit.

    Args:
        found: what is wrong with each.
    """

    def __init__(self, found: list[SourceError]):
        self.found = found
        (first, *others) = found
        if not others:
            super().__init__(first.problem, first.remedy)
            return
        more = f" and {len(found) - SHOWN:,} more" * (len(found) > SHOWN)
        listed = ", ".join(error.problem for error in found[:SHOWN])
        remedies = {error.remedy for error in found}
        remedy = first.remedy if len(remedies) == 1 else "remove them or save them again"
        super().__init__(f"{len(found):,} files cannot be used: {listed}{more}", remedy)

    def __reduce__(self):
        return type(self), (self.found,)

    def within(self, place: str) -> SourceError:
        """The same error, of what a place holds."""
        return SourceError(f"{place}: {self.problem}", self.remedy)


class Failures:
    """Goes on after a file that cannot be used, and raises the errors of all in the end.

    >>> failures = Failures()
    >>> for name in ("a", "b"):
    ...     with failures.caught():
    ...         raise SourceError(f"{name} is damaged", "remove it")
    >>> failures.end()
    Traceback (most recent call last):
    ...
    ptheta.data.failures.UnusableFiles: 2 files cannot be used: a is damaged, b is damaged; remove it
    """

    def __init__(self):
        self.found: list[SourceError] = []

    @contextmanager
    def caught(self, kind: type[SourceError] = SourceError) -> Iterator[None]:
        """Within, an error of this kind is kept for later."""
        try:
            yield
        except kind as error:
            self.found += error.found if isinstance(error, UnusableFiles) else [error]

    def end(self) -> None:
        """Raise what was kept.

        Raises:
            UnusableFiles: if there is any.
        """
        if self.found:
            raise UnusableFiles(self.found)
