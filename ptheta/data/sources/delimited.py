"""CSV files whose cells are taken as they are written: contexts, and descriptions of sounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
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
        raise SourceError(
            f"{path} is not UTF-8 text: {error.reason} at byte {error.start:,}", "save it as UTF-8"
        ) from None


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

    A blank line is not a row; in a file of one column it is an empty cell, unless nothing follows.

    Raises:
        SourceError: damaged, without rows, or with rows of other lengths than the header; the row is named.
    """
    text = read_text(path)
    try:
        lines = list(csv.reader(io.StringIO(text, newline=""), strict=True))
    except csv.Error as error:
        raise SourceError(f"{path} is not a readable CSV file: {error}", "correct it or save it again") from None
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
            raise SourceError(problem, "correct it; quote cells that hold commas")
    return names, rows


@contextmanager
def in_row(number: int, path: str | Path) -> Iterator[None]:
    """Errors within name a row of a file, counted from 1."""
    try:
        yield
    except PthetaError as error:
        raise type(error)(f"row {number:,} of {path}: {error.problem}", error.remedy) from None


def fill_delimited(
    text: str, separator: str, names: Sequence[str], n: int, cells: Mapping[str, Sequence[str | None]]
) -> str:
    """A table as text with some cells replaced.

    Args:
        text: of the file; a mark of its byte order stays.
        separator: between the fields of a row.
        names: of the file's columns; a file of as many rows as there are cells has no header.
        n: rows.
        cells: column → what its n cells say, None where a cell stays; columns that the file lacks are added.

    Raises:
        SourceError: other rows than n.
    """
    mark = text[: text.startswith("\ufeff")]
    rows = _rows(text[len(mark) :], separator)
    header = [row for row, (fields, _) in enumerate(rows) if not _is_blank(fields, separator)]
    if len(header) not in (n, n + 1):
        raise SourceError(f"the file has {len(header):,} rows, not {n:,}", "save it again, a row a line")
    first = header[0] if len(header) == n + 1 else None
    places = [row for row in header if row != first]
    columns = [*names, *(name for name in cells if name not in names)]
    if first is not None:
        rows[first][0].extend(_quoted(name, separator) for name in columns[len(names) :])
    for name, new in cells.items():
        j = columns.index(name)
        for row, value in zip(places, new):
            fields = rows[row][0]
            if value is not None:
                fields.extend([""] * (j + 1 - len(fields)))
                fields[j] = _quoted(value, separator)
    return mark + "".join(separator.join(fields) + end for fields, end in rows)


def _rows(text: str, separator: str) -> list[tuple[list[str], str]]:
    """Fields of every line as they are spelled, and how the line ends."""
    field = re.compile(rf'("(?:[^"]|"")*"?[^{separator}\r\n]*|[^{separator}\r\n]*)({separator}|\r\n|\n|\r|\Z)')
    rows, fields, at = [], [], 0
    while at < len(text) or fields:
        found = field.match(text, at)
        assert found is not None
        fields.append(found[1])
        at = found.end()
        if found[2] != separator:
            rows.append((fields, found[2]))
            fields = []
    return rows


def _is_blank(fields: list[str], separator: str) -> bool:
    """Whether a line is not a row to a reader of tables."""
    return len(fields) == 1 and not fields[0].strip(" \t".replace(separator, ""))


def _quoted(value: str, separator: str) -> str:
    special = any(mark in value for mark in (separator, '"', "\r", "\n"))
    return '"' + value.replace('"', '""') + '"' if special else value
