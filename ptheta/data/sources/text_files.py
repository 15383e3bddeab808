"""Text tables as they are written: one file → its dialect, the names of its columns, and its cells as strings."""

from __future__ import annotations

import csv
import io
import re
import warnings
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.data.sources.asked import Asked
from ptheta.data.sources.cells import compute
from ptheta.data.sources.dialects import Dialect, inferred, lines_of, read_bytes
from ptheta.data.sources.encodings import decoded
from ptheta.data.sources.units import last_row, second_header, units_row
from ptheta.errors import SourceError
from ptheta.numbers import listed, plural
from ptheta.remarks import remark

if TYPE_CHECKING:
    import pyarrow as pa

SEEN = 1_000
"""Rows by which it is inferred whether one holds units, names, totals or a note."""

SHOWN = 6
"""Words of a row that an error names."""

MOST_COLUMNS = 2**14
"""Most columns of a text table."""

UNNAMED = "Unnamed: {}"
"""Name of a column that has none, by its number."""


@dataclass(frozen=True)
class Layout:
    """What is where in a text table.

    Args:
        path: of the file.
        dialect: how it is written.
        fields: names of all fields of a row, those that are left out too, each once.
        rows: without the header and units.
        units: whether the row below the header holds units.
    """

    path: Path
    dialect: Dialect
    fields: list[str]
    rows: int
    units: bool = False

    def text(self) -> str:
        """The text of the file, without the mark of its byte order."""
        return read_bytes(self.path)[len(self.dialect.mark) :].decode(self.dialect.encoding)


@dataclass(frozen=True)
class TextFile:
    """One text table.

    Args:
        layout: of it.
        cells: column → its cells as they are written, strings.
    """

    layout: Layout
    cells: dict[str, pa.Array]

    @property
    def names(self) -> list[str]:
        """Of its columns."""
        return list(self.cells)


def read_file(path: str | Path, options: Asked, *, header: bool | None = None) -> TextFile:
    """A text table as it is written; what is inferred or left out is reported.

    Args:
        path: of the file.
        options: what was asked.
        header: whether the first row holds names, if that is known.

    Raises:
        SourceError: it cannot be read, or its rows have more cells than its header.
    """
    path = Path(path)
    options.used = True
    text, encoding, mark = decoded(read_bytes(path), path, options.options.encoding)
    if header is not None:
        options = replace(options, options=replace(options.options, header="yes" if header else "no"))
    dialect = inferred(text, path, options, encoding, mark)
    lines = lines_of(text[: 2**16]) if dialect.preamble else []
    body = text[sum(map(len, lines[: dialect.preamble])) :]
    cells = _parsed(body, path, dialect)
    first = [str(column[0].as_py()).strip() for column in cells] if cells and len(cells[0]) else []
    if not dialect.header:
        names = [str(j) for j in range(len(cells))]
        return TextFile(Layout(path, dialect, names, len(cells[0])), dict(zip(names, cells)))
    fields = _distinct(first, path)
    named = {name: column.slice(1) for name, column in zip(fields, cells)}
    kept = _without_empty(named, first, path, options)
    units = _units(kept, path, options)
    kept = {name: column.slice(1) for name, column in kept.items()} if units else kept
    _report_last(kept, path)
    return TextFile(Layout(path, dialect, fields, len(cells[0]) - 1 - units, units), kept)


def _units(cells: dict[str, pa.Array], path: Path, options: Asked) -> bool:
    """Whether the first row holds units, which is reported.

    Raises:
        SourceError: it holds further names of columns.
    """
    if any(not len(column) for column in cells.values()):
        return False
    first = {name: column[0].as_py() for name, column in cells.items()}
    below = {name: column.slice(1, SEEN).to_pylist() for name, column in cells.items()}
    found = units_row(first, below)
    if found is None:
        names = second_header(first, below)
        if names and not {*names} & {*options.words} and not {*names.values()} & {*(options.options.words or ())}:
            shown = listed([f"{name} {word!r}" for name, word in names.items()], SHOWN)
            raise SourceError(
                f"the row below the header of {path} holds names, too ({shown})",
                "make one header of both, or remove one of them",
            )
        return False
    shown = listed([f"{name} {unit!r}" for name, unit in found.items()])
    remark(f"{path.name}: the row below the header holds units ({shown}), and is left out; rows are counted below it")
    return True


def _report_last(cells: dict[str, pa.Array], path: Path) -> None:
    """Report a last row that looks like none of the table's."""
    rows = len(next(iter(cells.values())))
    if rows < 3:
        return
    last = {name: column[rows - 1].as_py() for name, column in cells.items()}
    above = {
        name: column.slice(max(0, rows - 1 - SEEN), min(SEEN, rows - 1)).to_pylist() for name, column in cells.items()
    }
    if what := last_row(last, above):
        remark(f"{path.name}: the last row looks like {what}, and is read as any other; remove it if it is no event")


def _parsed(body: str, path: Path, dialect: Dialect) -> list[pa.Array]:
    """The cells of all rows, the first one included, by columns; a row with fewer has empty ones at its end."""
    separator = dialect.separator
    if body.startswith("#") or "\n#" in body or "\r#" in body:
        body = _without_comments(body, path, separator)
    width = next((len(row) for row in _rows_of(body, path, separator) if len(row) > 1 or any(map(str.strip, row))), 0)
    if width > MOST_COLUMNS:
        raise SourceError(f"{path} has {width:,} columns", f"at most {MOST_COLUMNS:,} are read; give fewer")
    if not width:
        raise SourceError(f"{path} has no rows", "give at least one")
    return _regular(body, width, separator) or _irregular(body, path, width, separator)


def _regular(body: str, width: int, separator: str) -> list[pa.Array] | None:
    """The cells of a table whose rows have equally many; None if they have not, or where readers differ."""
    import pyarrow as pa
    import pyarrow.csv as arrow

    if width == 1 or not separator.isascii() or ' "' in body or body.count('"') % 2:
        return None
    names = [str(j) for j in range(width)]
    try:
        table = arrow.read_csv(
            io.BytesIO(body.encode()),
            arrow.ReadOptions(use_threads=False, column_names=names),
            arrow.ParseOptions(delimiter=separator, newlines_in_values='"' in body),
            arrow.ConvertOptions(check_utf8=False, column_types=dict.fromkeys(names, pa.large_string())),
        )
    except pa.ArrowInvalid:
        return None
    return [column.combine_chunks() for column in table.columns]


def _irregular(body: str, path: Path, width: int, separator: str) -> list[pa.Array]:
    """The cells of a table whose rows may have fewer than the first one, or more that say nothing."""
    import pandas as pd
    import pyarrow as pa

    quoted = re.search(rf'(^|{re.escape(separator)}) +"', body, re.MULTILINE)  # behind a space

    def read(width: int) -> Any:
        return pd.read_csv(
            io.StringIO(body),
            sep=separator,
            header=None,
            names=range(width),
            index_col=False,
            dtype=str,
            keep_default_na=False,
            na_filter=False,
            skipinitialspace=separator != " " and quoted is not None,
            low_memory=False,
        )

    with warnings.catch_warnings():
        warnings.simplefilter("error", pd.errors.ParserWarning)
        try:
            frame = read(width)
        except (pd.errors.ParserWarning, pd.errors.ParserError) as error:
            if "EOF inside string" in str(error):
                raise SourceError(f"{path} has a quote that is never closed", "close it, or quote the cell") from None
            frame = read(_widest(body, path, separator, width))
    return [pa.array(frame[j], pa.large_string()) for j in frame]


def _rows_of(body: str, path: Path, separator: str) -> Iterator[list[str]]:
    try:
        yield from csv.reader(io.StringIO(body, newline=""), delimiter=separator, skipinitialspace=separator != " ")
    except csv.Error as error:
        raise SourceError(f"{path} is not a readable CSV file: {error}", "correct it or save it again") from None


def _widest(body: str, path: Path, separator: str, width: int) -> int:
    """Cells of the longest row, if none of the rows longer than the first one says anything there.

    Raises:
        SourceError: one does.
    """
    longest = width
    for number, row in enumerate(_rows_of(body, path, separator)):
        if any(map(str.strip, row[width:])):
            raise SourceError(
                f"row {number:,} of {path} has {len(row)} cells, but its header {width}",
                f"correct it; quote cells that hold {separator!r}",
            )
        longest = max(longest, len(row))
    return longest


def _without_comments(body: str, path: Path, separator: str) -> str:
    """The text without lines that begin with # and have another number of cells than the first row."""
    lines, kept, start, left, width = lines_of(body), [], 0, 0, 0
    reader = csv.reader(lines, delimiter=separator, skipinitialspace=separator != " ")
    try:
        for row in reader:
            width = width or len(row)
            if row and row[0].startswith("#") and len(row) != width:
                left += 1
            else:
                kept += lines[start : reader.line_num]
            start = reader.line_num
    except csv.Error as error:
        raise SourceError(f"{path} is not a readable CSV file: {error}", "correct it or save it again") from None
    if left:
        remark(f"{path.name}: {plural(left, 'comment line')} in the table, beginning with #, left out")
    return "".join(kept)


def _distinct(first: Sequence[str], path: Path) -> list[str]:
    """Names of columns, each once: a name that occurs again gets a number, as pandas gives it."""
    names: list[str] = []
    for j, name in enumerate(first):
        wanted = name = name or UNNAMED.format(j)
        number = 0
        while name in names or (number and name in first):
            number += 1
            name = f"{wanted}.{number}"
        names.append(name)
    if again := [name for name, count in Counter(filter(None, first)).items() if count > 1]:
        others = [new for new, old in zip(names, first) if old and new != old]
        remark(f"{path.name} has several columns called {listed(again)}; the further ones become {listed(others)}")
    return names


def _without_empty(cells: dict[str, pa.Array], first: Sequence[str], path: Path, options: Asked) -> dict[str, pa.Array]:
    """Columns but for those without a name that are empty or count the rows."""
    import pyarrow as pa

    pc = compute()
    kept = dict(cells)
    for (name, column), own in zip(cells.items(), first):
        rows = len(column)
        if own or name in options.names or not rows:
            continue
        if pc.all(pc.equal(pc.utf8_trim_whitespace(column), "")).as_py():
            del kept[name]
            remark(f"{path.name}: a column without name and values is left out")
        elif rows > 1 and any(column.equals(pa.array(map(str, range(k, k + rows)), column.type)) for k in (0, 1)):
            del kept[name]
            remark(f"{path.name}: a column without a name that numbers the rows is left out")
    if not kept:
        raise SourceError(f"{path} has no columns with a name", "name them in its first line")
    return kept
