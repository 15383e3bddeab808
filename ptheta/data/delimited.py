"""CSV files whose cells are taken as they are written: contexts, and descriptions of sounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ptheta.errors import PthetaError, SourceError
from ptheta.listing import unreadable


def read_text(path: str | Path) -> str:
    """The text of a UTF-8 file as it is, without a mark of its byte order.

    Raises:
        SourceError: it cannot be read.
    """
    try:
        return Path(path).read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise unreadable(path, error) from None
    except UnicodeDecodeError as error:
        raise SourceError(f"{path} is no UTF-8 text: {error.reason} at byte {error.start:,}", "save it so") from None


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file that are not blank.

    Raises:
        SourceError: it cannot be read, or has none.
    """
    lines = [line for line in re.split("\r\n|\n|\r", read_text(path)) if line.strip()]
    if not lines:
        raise SourceError(f"{path} has no lines", "give at least one")
    return lines


def read_cells(path: str | Path) -> tuple[list[str], list[list[str]]]:
    """Names of the columns of a CSV file, and the cells of every row.

    A blank line is no row; in a file of one column it is an empty cell, unless nothing follows.

    Raises:
        SourceError: damaged, without rows, or with rows of other lengths than the header; the row is named.
    """
    text = read_text(path)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise SourceError(f"{path} is no readable CSV file: {error}", "mend or save it again") from None
    while lines and not lines[-1]:
        lines.pop()
    names = lines[0] if lines else []
    rows = [line or [""] for line in lines[1:] if line or len(names) == 1]
    if len(set(names)) < len(names) or not names:
        raise SourceError(f"{path} has no header, or names a column twice", "name each column once in the first line")
    if not rows:
        raise SourceError(f"{path} has no rows", "give at least one")
    for number, row in enumerate(rows, 1):
        if len(row) != len(names):
            problem = f"row {number:,} of {path} has {len(row)} cells, but its header {len(names)}"
            raise SourceError(problem, "mend it; quote cells that hold commas")
    return names, rows


@contextmanager
def in_row(number: int, path: str | Path) -> Iterator[None]:
    """Errors within are told of a row of a file, counted from 1."""
    try:
        yield
    except PthetaError as error:
        raise type(error)(f"row {number:,} of {path}: {error.problem}", error.remedy) from None
