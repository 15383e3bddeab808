"""Text tables, CSV and its relatives: one reader for files, folders of files, contexts and descriptions of sounds."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from ptheta.data.options import AS_THEY_STAND
from ptheta.data.sources.asked import Asked, asked
from ptheta.data.sources.cells import Meaning, Writing, missing_words, reports
from ptheta.data.sources.dialects import inferred, lines_of, read_bytes
from ptheta.data.sources.encodings import decoded
from ptheta.data.sources.tables import ArrowTable, Table
from ptheta.data.sources.text_columns import typed
from ptheta.data.sources.text_files import Layout, TextFile, read_file
from ptheta.errors import PthetaError, SourceError
from ptheta.remarks import remark


def open_text_tables(groups: Mapping[str, Sequence[Path]]) -> dict[str, Table]:
    """Split → table of its files; what the columns hold is inferred from all files together.

    Raises:
        SourceError: a file that cannot be read, or files of different columns.
    """
    return _Files(groups, asked()).tables({})


def text_table(path: Path) -> Table:
    """The table of one file."""
    return open_text_tables({"all": [path]})["all"]


class _Files:
    """Files that belong together, as they were asked for."""

    def __init__(self, groups: Mapping[str, Sequence[Path]], options: Asked):
        self.groups, self.options = groups, options
        self.last: tuple[Any, dict[str, Table]] | None = None

    def tables(self, words: Mapping[str, Sequence[str]]) -> dict[str, Table]:
        """The tables, of which some columns hold words, of which some values are known."""
        words = {**self.options.words, **words}
        if self.last is None or self.last[0] != words:
            self.last = words, self._read(words)
        return self.last[1]

    def _read(self, words: Mapping[str, Sequence[str]]) -> dict[str, Table]:
        import datasets
        import pyarrow as pa

        files = [read_file(path, self.options) for group in self.groups.values() for path in group]
        first = files[0]
        for file in files[1:]:
            if other := sorted(set(file.names) ^ set(first.names)):
                raise SourceError(
                    f"column {other[0]!r} is in only one of {first.layout.path} and {file.layout.path}",
                    "give files of the same columns",
                )
        columns, meanings = typed(files, self.options, words)
        wanted = set(self.options.names or meanings)
        for sentence in reports({name: found for name, found in meanings.items() if name in wanted}):
            remark(sentence)
        tables: dict[str, Table] = {}
        number, start = 0, 0
        for split, group in self.groups.items():
            mine = [file.layout for file in files[number : number + len(group)]]
            number += len(group)
            rows = sum(one.rows for one in mine)
            part = pa.table({name: column.slice(start, rows) for name, column in columns.items()})
            start += rows
            made = ArrowTable.of(datasets.Dataset(part), mine[0].path.name if len(mine) == 1 else split)
            tables[split] = TextTable(
                title=made.title,
                columns=made.columns,
                dataset=made.dataset,
                spells=True,
                parts=[(one.path.name, one.rows) for one in mine],
                files=self,
                split=split,
                layouts=mine,
                meanings=meanings,
                words=words,
            )
        return tables


@dataclass(kw_only=True)
class TextTable(ArrowTable):
    """Rows of text tables."""

    files: _Files
    split: str
    layouts: list[Layout]
    meanings: dict[str, Meaning]
    words: Mapping[str, Sequence[str]]

    def spelled(self, words: Mapping[str, Sequence[str]]) -> Table:
        """Columns of words as they are spelled, a known value being one even where others use it for a missing cell."""
        more = {name: known for name, known in words.items() if name in self.columns and name not in self.words}
        usual, _ = missing_words(self.files.options.options.words, AS_THEY_STAND)
        other = any(self.columns[name].kind != "string" or usual & set(known) for name, known in more.items())
        return self.files.tables({**self.words, **more})[self.split] if other else self

    @property
    def writing(self) -> dict[str, Any]:
        """Separator, encoding, and columns of numbers that Python writes differently."""
        dialect, path = self.layouts[0].dialect, self.layouts[0].path
        usual = "\t" if ".tsv" in path.name.lower() else ","
        found: dict[str, Any] = {} if dialect.separator == usual else {"separator": dialect.separator}
        if dialect.encoding != "utf-8" or dialect.mark:
            found |= {"encoding": dialect.encoding, "mark": dialect.mark.hex()}
        ways = {name: one.writing for name, one in self.meanings.items() if one.is_number and not one.is_plain}
        return found | ({"columns": {name: asdict(way) for name, way in ways.items()}} if ways else {})

    def writing_of(self, name: str) -> Writing:
        """How numbers of a column are written; of one without any, as of the others."""
        own = self.meanings.get(name, Meaning("empty"))
        if own.kind != "empty":
            return own.writing
        marks = [found.writing.decimal for found in self.meanings.values() if found.kind == "real"]
        return Writing(max(set(marks), key=marks.count)) if marks else Writing()


def read_text(path: str | Path) -> str:
    """The text of a file as it is, without a mark of its byte order.

    Raises:
        SourceError: it cannot be read, or is neither UTF-8 nor marked as anything else.
    """
    return decoded(read_bytes(path), path, asked().options.encoding, guess=False)[0]


def read_lines(path: str | Path) -> list[str]:
    """The lines of a text file that are not blank.

    Raises:
        SourceError: it cannot be read, or has none.
    """
    lines = [line for line in re.split("\r\n|\n|\r", read_text(path)) if line.strip()]
    if not lines:
        raise SourceError(f"{path} has no lines", "give at least one")
    return lines


def read_cells(path: str | Path, known: Mapping[str, Sequence[str]] | None = None) -> tuple[list[str], list[list[str]]]:
    """Names of the columns of a CSV file, and the cells of every row as they are written, without outer spaces.

    A blank line is not a row; in a file of one column it is an empty cell, unless nothing
    follows.

    Args:
        path: of the file.
        known: columns of words → values of them that are known. If given, cells are as a reader of tables takes them:
            a missing one is empty, and numbers are as Python writes them.

    Raises:
        SourceError: damaged, without rows, or with rows of other lengths than the header; the row is named.
    """
    file, rows = _strict(path)
    return file.names, rows if known is None else _plain(file, asked(), known)


def read_values(paths: Sequence[Path], words: Sequence[str]) -> dict[str, list[Any]]:
    """Column → values of all rows of CSV files of the same columns, one after the other, as of any text table.

    Args:
        paths: of the files.
        words: columns that hold words, whatever they look like.

    Raises:
        SourceError: as `read_cells`.
    """
    options = asked()
    columns, meanings = typed(
        [_strict(path)[0] for path in paths], options, {**options.words, **dict.fromkeys(words, ())}
    )
    for sentence in reports({name: found for name, found in meanings.items() if name not in words}):
        remark(sentence)
    return {name: values.to_pylist() for name, values in columns.items()}


def _strict(path: str | Path) -> tuple[TextFile, list[list[str]]]:
    """A CSV file whose rows all have as many cells as its header, and these rows."""
    import pyarrow as pa

    options = asked()
    options.used = True
    text, encoding, mark = decoded(read_bytes(path), path, options.options.encoding)
    options = replace(options, options=replace(options.options, header="yes"))
    dialect = inferred(text, path, options, encoding, mark)
    body = "".join(lines_of(text)[dialect.preamble :]) if dialect.preamble else text
    reader = csv.reader(
        io.StringIO(body, newline=""),
        delimiter=dialect.separator,
        skipinitialspace=dialect.separator != " ",
        strict=True,
    )
    try:
        lines = [[cell.strip() for cell in line] for line in reader]
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
            raise SourceError(problem, f"correct it; quote cells that hold {dialect.separator!r}")
    cells = {name: pa.array([row[j] for row in rows], pa.large_string()) for j, name in enumerate(names)}
    return TextFile(Layout(Path(path), dialect, names, len(rows)), cells), rows


def _plain(file: TextFile, options: Asked, known: Mapping[str, Sequence[str]]) -> list[list[str]]:
    """Rows whose missing cells are empty and whose numbers are written plainly."""
    columns, meanings = typed([file], options, known)
    for sentence in reports({name: replace(found, missing={}) for name, found in meanings.items() if found.is_number}):
        remark(sentence)
    written: list[list[str]] = []
    for name, cells in file.cells.items():
        values, plain = columns[name].to_pylist(), meanings[name].is_plain
        own = [cell if plain else str(value) for cell, value in zip(cells.to_pylist(), values)]
        written.append(["" if value is None else cell for cell, value in zip(own, values)])
    return [list(row) for row in zip(*written)]


@contextmanager
def in_row(number: int, path: str | Path) -> Iterator[None]:
    """Errors within name a row of a file, counted from 1."""
    try:
        yield
    except PthetaError as error:
        raise error.within(f"row {number:,} of {path}") from None
