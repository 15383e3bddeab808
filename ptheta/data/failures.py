"""Files that cannot be used are named together, not one at a time."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptheta.errors import SourceError
from ptheta.listing import is_folder

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
        remedies = {error.remedy for error in found}
        remedy = first.remedy if len(remedies) == 1 else "remove them or save them again"
        super().__init__(f"{len(found):,} files cannot be used{_listed([e.problem for e in found])}", remedy)

    def __reduce__(self):
        return type(self), (self.found,)

    def within(self, place: str) -> SourceError:
        """The same error, of what a place holds."""
        return SourceError(f"{place}: {self.problem}", self.remedy)


def _listed(problems: list[str]) -> str:
    """The first of some problems, without the folder that all share; what all say of a file is said once.

    >>> _listed(["1.png is no picture", "2.png is no picture"]), _listed(["1.png is red", "2.png is no picture"])
    (': 1.png, 2.png: each is no picture', ': 1.png is red, 2.png is no picture')
    """
    folder = _start_of(problems).rpartition("/")[0]
    folder = folder if folder and is_folder(Path(folder)) else ""
    names = [problem.removeprefix(f"{folder}/") if folder else problem for problem in problems]
    end = _start_of([name[::-1] for name in names])[::-1]
    end = end[end.find(" ") :] if " " in end else ""
    heads = [name.removesuffix(end).rstrip(":") for name in names]
    end = "" if not end or any(" " in head for head in heads) else f": each{end}"
    more = f" and {len(problems) - SHOWN:,} more" * (len(problems) > SHOWN)
    return (f" in {folder}" if folder else "") + f": {', '.join((heads if end else names)[:SHOWN])}{more}{end}"


def _start_of(texts: list[str]) -> str:
    """What all texts begin with."""
    unlike = (i for i, letters in enumerate(zip(*texts)) if len(set(letters)) > 1)
    return texts[0][: next(unlike, min(map(len, texts)))]


class Failures:
    """Goes on after a file that cannot be used, and raises the errors of all in the end.

    >>> failures = Failures()
    >>> for name in ("a", "b"):
    ...     with failures.caught():
    ...         raise SourceError(f"{name} is damaged", "remove it")
    >>> failures.end()
    Traceback (most recent call last):
    ...
    ptheta.data.failures.UnusableFiles: 2 files cannot be used: a, b: each is damaged; remove it
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
