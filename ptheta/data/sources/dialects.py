"""How a text table is written: its encoding, separator, comments and header, inferred from the file itself."""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from ptheta.data.sources.asked import Asked
from ptheta.data.sources.cells import kind_of_cell
from ptheta.data.sources.headers import header_of
from ptheta.errors import SourceError
from ptheta.listing import regular, unreadable
from ptheta.numbers import plural
from ptheta.remarks import remark

SAMPLE = 2**18
"""Characters from which a dialect is inferred."""

SEEN = 1_000
"""Rows from which a dialect is inferred, at most."""

SEPARATORS = (",", ";", "\t", "|")
"""Candidates, likeliest first."""

UNUSUAL = (" ", ":", "^", "~")
"""What is never taken for a separator unless it is asked for."""

CLEARLY = 0.2
"""By how much more of the cells have to be numbers before an unusual separator is preferred to one that fits, too."""

PACKED_TIMES, PACKED_LEAST, PACKED_MOST = 200, 2**26, 2**29
"""A gzipped table may unpack to so many times its bytes, but always to the second number of bytes and never to more
than the third, since it is unpacked in memory."""


@dataclass(frozen=True)
class Dialect:
    """How a text table is written.

    Args:
        encoding: Python's name of it.
        mark: of the byte order, with which the file begins.
        separator: between the cells of a row.
        preamble: lines before the first row: `sep=;` and comments.
        header: whether the first row holds names.
    """

    encoding: str = "utf-8"
    mark: bytes = b""
    separator: str = ","
    preamble: int = 0
    header: bool = True

    def encode(self, text: str) -> bytes:
        """Bytes of a text, with the mark.

        Raises:
            SourceError: a character that the encoding lacks.
        """
        try:
            return self.mark + text.encode(self.encoding)
        except UnicodeEncodeError as error:
            character = error.object[error.start]
            raise SourceError(
                f"{character!r} cannot be written in {self.encoding}", "save the file as UTF-8 first"
            ) from None


def read_bytes(path: str | Path) -> bytes:
    """The bytes of a file, unpacked if it is gzipped.

    Raises:
        SourceError: it cannot be read, or unpacks to far more than a table does.
    """
    path = regular(path)
    try:
        if path.suffix.lower() != ".gz":
            return path.read_bytes()
        most = min(max(PACKED_LEAST, PACKED_TIMES * path.stat().st_size), PACKED_MOST)
        with gzip.open(path) as file:
            content = file.read(most + 1)
    except OSError as error:
        if isinstance(error, gzip.BadGzipFile):
            raise SourceError(f"{path} is not a gzip file: {error}", "fetch it again") from None
        raise unreadable(path, error) from None
    if len(content) > most:
        raise SourceError(f"{path} unpacks to more than {most:,} bytes", "unpack it first")
    return content


def inferred(text: str, path: str | Path, asked: Asked, encoding: str = "utf-8", mark: bytes = b"") -> Dialect:
    """The dialect of a text table; what is unusual is reported.

    Args:
        text: of the file.
        path: its suffix says which separator is usual.
        asked: what was asked.
        encoding, mark: of the file.
    """
    name = Path(path).name
    usual = "\t" if ".tsv" in name.lower() else ","
    lines = lines_of(text[:SAMPLE])
    declared = re.fullmatch(r'"?sep=(.)"?\s*', lines[0], re.IGNORECASE) if lines else None
    preamble = 1 if declared else 0
    sample = "".join(lines[preamble:])
    truncated = len(text) > SAMPLE
    separator = asked.options.mark or (declared[1] if declared else _separator(sample, usual, truncated))
    comments = _comments(lines[preamble:], separator, truncated)
    rows = records("".join(lines[preamble + comments :]), separator, truncated)
    if asked.options.header is not None:
        header = asked.options.header == "yes"
    else:
        header, why = header_of(rows, asked.names)
        if not header:
            last = max(map(len, rows[:1]), default=1) - 1
            remark(
                f"{name} has no header, since its first row {why}; its columns are called 0 to {last}"
                " (--header yes takes that row as names)"
            )
        elif why:
            remark(f"{name}: its first row {why} and is taken as its header (--header no takes it as data)")
    if len(rows) > 2 and max(map(len, rows)) == 1 and not asked.options.separator and (other := _unusual(rows)):
        how = "name it with --separator" if other.strip() or "  " not in sample else "write a comma in place of blanks"
        remark(f"{name} is read as one column; if {other!r} separates its cells, {how}")
    if separator != usual and not asked.options.separator:
        remark(f"{name} is read with the separator {separator!r}")
    if comments:
        first = lines[preamble].strip()
        remark(f"{name}: {plural(comments, 'comment line')} before the table, such as {first!r:.60}, left out")
    return Dialect(encoding, mark, separator, preamble + comments, header)


def lines_of(text: str) -> list[str]:
    """The lines of a text with their ends, as readers of tables see them."""
    return re.findall(r"[^\r\n]*(?:\r\n|\n|\r)|[^\r\n]+", text)


def records(text: str, separator: str, truncated: bool = False) -> list[list[str]]:
    """The first rows of a text, their cells without outer spaces; a row that may be cut off is left out."""
    found: list[list[str]] = []
    try:
        for row in csv.reader(io.StringIO(text, newline=""), delimiter=separator, skipinitialspace=separator != " "):
            if len(row) > 1 or (row and row[0].strip()):
                found.append([cell.strip() for cell in row])
            if len(found) > SEEN:
                return found
    except csv.Error:
        return found
    return found[:-1] if truncated and len(found) > 1 else found


def _separator(sample: str, usual: str, truncated: bool) -> str:
    """The separator by which the rows have equally many cells, of several the one that leaves most numbers."""
    scores: dict[str, float] = {}
    for mark in dict.fromkeys((usual, *SEPARATORS)):
        rows = [row for row in records(sample, mark, truncated) if not row[0].startswith("#")]
        width = max((len(row) for row in rows[:1]), default=1)
        if width > 1 and sum(len(row) == width for row in rows) >= 0.9 * len(rows):
            cells = [cell for row in rows for cell in row if cell]
            scores[mark] = sum(kind_of_cell(cell) == "number" for cell in cells) / max(len(cells), 1)
    if not scores:
        first = next((line for line in sample.splitlines() if line.strip() and not line.startswith("#")), "")
        if not any(mark in first for mark in (usual, *SEPARATORS)):  # one column, the cells of which may hold them
            return next((mark for mark in (usual, *SEPARATORS) if mark not in sample), usual)
        return usual if usual in first else max(SEPARATORS, key=lambda mark: (first.count(mark), mark == usual))
    best = max(scores, key=lambda mark: scores[mark])
    return usual if usual in scores and scores[best] - scores[usual] < CLEARLY else best


def _unusual(rows: Sequence[Sequence[str]]) -> str:
    """What would divide every row of a column that is not one of numbers or dates into as many cells, of which those of
    one place are numbers; empty if nothing does."""
    lines = [row[0] for row in rows]
    if sum(kind_of_cell(line) in ("number", "date") for line in lines) > len(lines) / 2:
        return ""
    for mark in UNUSUAL:
        first, *others = [re.split(rf"{re.escape(mark)}+", line) for line in lines]
        kinds = [{kind_of_cell(cell) for cell in column} for column in zip(*others)]
        if (
            len(first) > 1
            and {len(cells) for cells in others} == {len(first)}
            and any(k <= {"number", ""} for k in kinds)
        ):
            return mark
    return ""


def _comments(lines: Sequence[str], separator: str, truncated: bool) -> int:
    """How many lines before the table begin with # and are no row of it."""
    count = 0
    while count < len(lines) and (lines[count].startswith("#") or not lines[count].strip()):
        count += 1
    if not any(line.startswith("#") for line in lines[:count]):
        return 0
    rows = records("".join(lines[count:]), separator, truncated)
    width = len(rows[0]) if rows else 1
    while count and (
        not lines[count - 1].strip()
        or (len(lines[count - 1].split(separator)) == width and not re.match("# |##", lines[count - 1]))
    ):
        count -= 1  # a name or a value that begins with #
    return count
