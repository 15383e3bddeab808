"""Text tables as they are spelled: their cells one by one, and everything between them, byte for byte."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from ptheta.errors import SourceError

if TYPE_CHECKING:
    from ptheta.data.sources.text_files import Layout


class SpelledRows:
    """The lines of a text table, each cell as it is spelled.

    Args:
        text: of the file, without a mark of its byte order.
        separator: between the cells of a row.

    Attributes:
        lines: the cells of every line, and how it ends.
        separator: as given.

    >>> SpelledRows('a;"b;c"\\n1;2', ";").lines
    [(['a', '"b;c"'], '\\n'), (['1', '2'], '')]
    """

    def __init__(self, text: str, separator: str):
        self.separator = separator
        self.lines: list[tuple[list[str], str]] = []
        mark, before = re.escape(separator), " *" if separator != " " else ""
        field = re.compile(rf'({before}"(?:[^"]|"")*"?[^{mark}\r\n]*|[^{mark}\r\n]*)({mark}|\r\n|\n|\r|\Z)')
        cells: list[str] = []
        at = 0
        while at < len(text) or cells:
            found = field.match(text, at)
            assert found is not None
            cells.append(found[1])
            at = found.end()
            if found[2] != separator:
                self.lines.append((cells, found[2]))
                cells = []

    def text(self) -> str:
        """The text of the lines."""
        return "".join(self.separator.join(cells) + end for cells, end in self.lines)

    def rows(self, preamble: int, n: int, units: bool = False) -> tuple[list[str] | None, list[list[str]]]:
        """The cells of the header, if there is one, and those of n rows; to change them changes the lines.

        Args:
            preamble: lines before the first row.
            n: rows; a table of as many lines has no header.
            units: whether a row of units is below the header.

        Raises:
            SourceError: other rows than n.
        """
        found = [cells for cells, _ in self.lines[preamble:] if not self._is_blank(cells)]
        width = len(found[0]) if found else 0
        found = [cells for cells in found if not (cells[0].startswith("#") and len(cells) != width)]  # comments
        if units:
            found[1:2] = []
        if len(found) not in (n, n + 1):
            raise SourceError(f"the file has {len(found):,} rows, not {n:,}", "save it again, a row a line")
        return (found[0], found[1:]) if len(found) == n + 1 else (None, found)

    def _is_blank(self, cells: list[str]) -> bool:
        """Whether a line is not a row to a reader of tables."""
        return len(cells) == 1 and not cells[0].strip(" \t".replace(self.separator, ""))


def filled(text: str, layout: Layout, cells: Mapping[str, Sequence[str | None]]) -> str:
    """A table as text with some cells replaced.

    Args:
        text: of the file.
        layout: of it.
        cells: column → what each of its cells says, None where a cell stays; columns that the file lacks are added.

    Raises:
        SourceError: the lines of the text are not its rows.
    """
    separator = layout.dialect.separator
    spelled = SpelledRows(text, separator)
    header, rows = spelled.rows(layout.dialect.preamble, layout.rows, layout.units)
    columns = [*layout.fields, *(name for name in cells if name not in layout.fields)]
    if header is not None:
        header.extend(quoted(name, separator) for name in columns[len(layout.fields) :])
    for name, new in cells.items():
        j = columns.index(name)
        for row, value in zip(rows, new):
            if value is not None:
                row.extend([""] * (j + 1 - len(row)))
                before = "" if row[j].strip() else row[j].replace(separator, "")
                row[j] = before + quoted(value, separator)
    return spelled.text()


def quoted(value: str, separator: str) -> str:
    """A cell as it is spelled, in quotes where it needs them."""
    special = any(mark in value for mark in (separator, '"', "\r", "\n"))
    return '"' + value.replace('"', '""') + '"' if special else value
