"""Text tables with some cells replaced; all else stays as it is written, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ptheta.errors import SourceError


def fill_delimited(
    text: str,
    separator: str,
    names: Sequence[str],
    n: int,
    cells: Mapping[str, Sequence[str | None]],
    preamble: int = 0,
) -> str:
    """A table as text with some cells replaced.

    Args:
        text: of the file; a mark of its byte order stays.
        separator: between the fields of a row.
        names: of the file's columns; a file of as many rows as there are cells has no header.
        n: rows.
        cells: column → what its n cells say, None where a cell stays; columns that the file lacks are added.
        preamble: lines before the first row.

    Raises:
        SourceError: other rows than n.
    """
    mark = text[: text.startswith("\ufeff")]
    rows = _rows(text[len(mark) :], separator)
    header = [row for row, (fields, _) in enumerate(rows) if row >= preamble and not _is_blank(fields, separator)]
    width = len(rows[header[0]][0]) if header else 0
    header = [row for row in header if not _is_comment(rows[row][0], width)]
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
                before = "" if fields[j].strip() else fields[j].replace(separator, "")
                fields[j] = before + _quoted(value, separator)
    return mark + "".join(separator.join(fields) + end for fields, end in rows)


def _rows(text: str, separator: str) -> list[tuple[list[str], str]]:
    """Fields of every line as they are spelled, and how the line ends."""
    mark, before = re.escape(separator), " *" if separator != " " else ""
    field = re.compile(rf'({before}"(?:[^"]|"")*"?[^{mark}\r\n]*|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z)')
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


def _is_comment(fields: list[str], width: int) -> bool:
    """Whether a line begins with # and has another number of cells than the first row."""
    return fields[0].startswith("#") and len(fields) != width


def _quoted(value: str, separator: str) -> str:
    special = any(mark in value for mark in (separator, '"', "\r", "\n"))
    return '"' + value.replace('"', '""') + '"' if special else value
