"""CSV files: those that pandas would write so as rows and a few words on how; all others as they are spelled.

How cells were written is inferred, not assumed. A file that is regular has the same decimals in all cells of a column,
one word for a missing cell, quotes where they are needed. Of any other file the spelling of every cell is predicted
from its value: by the decimal mark, thousands, currency and decimals of its column, or as most cells of that value are
spelled. What is kept beside the rows is the text with a mark in place of every cell that is spelled as predicted.
"""

from __future__ import annotations

import contextlib
import csv
import io
import itertools
import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.coding.errors import NotCoded
from ptheta.data.formats import MISSING
from ptheta.data.sources.cells import Writing
from ptheta.data.sources.delimited import TextTable
from ptheta.data.sources.dialects import Dialect
from ptheta.data.sources.spelled_rows import SpelledRows, quoted

Found = tuple[np.ndarray, bytes, dict[str, Any], list[str] | None]
"""Rows, side data, how to restore, labels."""

AS_PREDICTED, OTHERWISE = "\x01", "\x02"
"""What stands for a cell that is spelled as predicted, and behind one that is not."""

TRIED = 1_000
"""Cells of a column by which it is inferred how numbers are spelled."""

LONGEST = 16
"""Decimals of a column of numbers, less than."""


def read(
    path: Path, content: bytes, codec: Any, rows: np.ndarray, table: TextTable, context: str | None
) -> Iterator[Found]:
    """A CSV file as rows, in both ways if it may be regular.

    Args:
        path: of the file.
        content: of it.
        codec: of the run.
        rows: of the file [n, m].
        table: the file, opened.
        context: column of the labels.
    """
    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    dialect = table.layouts[0].dialect
    if (dialect.separator, dialect.encoding, dialect.preamble) == (separator, "utf-8", 0):
        with contextlib.suppress(Exception):  # whatever pandas finds irregular in it
            yield rows, *_regular(content, codec, rows, separator, context)
    yield rows, *_spelled(codec, rows, table, context)


def is_csv(how: dict[str, Any]) -> bool:
    """Whether `how` is of a CSV file."""
    return "separator" in how


def restore(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> bytes:
    """The CSV file of rows [n, m]."""
    return _spelled_again(rows, side, codec, how) if "spelled" in how else _regular_again(rows, side, codec, how)


# Regular


def _regular(
    content: bytes, codec: Any, rows: np.ndarray, separator: str, context: str | None
) -> tuple[bytes, dict[str, Any], list[str] | None]:
    """What is kept beside the columns of the model, how cells are written, and labels."""
    import pandas as pd

    text = content.decode()
    cells = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    header = set(codec.names) <= set(cells.columns)
    if not header:
        cells = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, header=None)
        cells.columns = cells.columns.map(str)
    others = [name for name in cells.columns if name not in codec.names]
    how: dict[str, Any] = {
        "separator": separator,
        "lines": "\r\n" if "\r\n" in text else "\n",
        "last": text.endswith("\n"),
        "header": header,
        "columns": list(cells.columns) if others or list(cells.columns) != list(codec.names) else None,
    }
    ways = {name: _way(cells[name].to_numpy(object), column) for name, column in codec.decode(rows).items()}
    how["ways"] = {name: way for name, way in ways.items() if way}
    side = cells[others].to_csv(index=False).encode() if others else b""
    return side, how, list(cells[context]) if context in others else None


def _way(written: np.ndarray, column: Any) -> dict[str, Any]:
    """How a column's cells are written: what stands for a missing one, and decimals."""
    way: dict[str, Any] = {}
    absent = column.isna().to_numpy()
    if absent.any():
        ways = sorted(set(written[absent]))
        if len(ways) > 1 or ways[0] not in MISSING:
            raise ValueError("missing cells are written in several ways")
        way["missing"] = ways[0]
    present = written[~absent]
    if column.dtype.kind in "fi" and len(present):
        decimals = {len(cell.partition(".")[2]) for cell in present}
        if len(decimals) == 1 and (column.dtype.kind == "f" or decimals != {0}):
            way["decimals"] = decimals.pop()
    return way


def _regular_again(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> bytes:
    import pandas as pd

    frame = codec.decode(rows)
    written = {name: _written(frame[name], how["ways"].get(name, {})) for name in codec.names}
    if how["columns"] is not None:
        others = pd.read_csv(io.BytesIO(side), dtype=str, keep_default_na=False) if side else {}
        written = {name: written[name] if name in written else others[name] for name in how["columns"]}
    buffer = io.StringIO()
    pd.DataFrame(written).to_csv(
        buffer,
        index=False,
        sep=how["separator"],
        lineterminator=how["lines"],
        header=how["header"],
        quoting=csv.QUOTE_MINIMAL,
    )
    text = buffer.getvalue()
    return (text if how["last"] else text.removesuffix(how["lines"])).encode()


def _written(column: Any, way: dict[str, Any]) -> np.ndarray:
    """The cells of a column as they are written."""
    absent = column.isna().to_numpy()
    decimals = way.get("decimals")
    shape = str if decimals is None else lambda value: f"{value:.{decimals}f}"
    return np.array([way.get("missing", "") if no else shape(value) for value, no in zip(column, absent)], object)


# As it is spelled


def _spelled(
    codec: Any, rows: np.ndarray, table: TextTable, context: str | None
) -> tuple[bytes, dict[str, Any], list[str] | None]:
    """The text without the cells that are spelled as predicted, how cells are spelled, and labels."""
    (layout,) = table.layouts
    dialect = layout.dialect
    text = layout.text()
    if AS_PREDICTED in text or OTHERWISE in text:
        raise NotCoded("a table with control characters in it, which mark what is predicted")
    spelled = SpelledRows(text, dialect.separator)
    _, lines = spelled.rows(dialect.preamble, len(rows), layout.units)
    frame = codec.decode(rows)
    ways: dict[str, dict[str, Any]] = {}
    for name in codec.names:
        j = layout.fields.index(name)
        cells = [line[j] if j < len(line) else None for line in lines]
        writing = table.meanings[name].writing if codec.levels_of(name) is None else None
        ways[name] = {"at": j} | _spelling(frame[name], cells, writing, dialect.separator)
        for line, cell, predicted in zip(lines, cells, _predicted(frame[name], ways[name], dialect.separator)):
            if cell is not None:
                line[j] = AS_PREDICTED if cell == predicted else cell + OTHERWISE
    how = {
        "separator": dialect.separator,
        "spelled": ways,
        "encoding": dialect.encoding,
        "mark": dialect.mark.hex(),
    }
    labels = None
    if context in table.columns and context not in codec.names:
        labels = [str(value) for chunk in table.chunks([context]) for value in chunk[context].to_pylist()]
    return spelled.text().encode(), how, labels


def _spelled_again(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> bytes:
    """The file of what `_spelled` kept."""
    separator, ways = how["separator"], how["spelled"]
    spelled = SpelledRows(side.decode(), separator)
    frame = codec.decode(rows)
    columns = [(way["at"], _predicted(frame[name], way, separator)) for name, way in ways.items()]
    at = 0
    for cells, _ in spelled.lines:
        marked = False
        for j, predicted in columns:
            if j < len(cells) and cells[j].endswith((AS_PREDICTED, OTHERWISE)):
                marked = True
                cells[j] = predicted[at] if cells[j] == AS_PREDICTED else cells[j].removesuffix(OTHERWISE)
        at += marked
    return Dialect(how["encoding"], bytes.fromhex(how["mark"])).encode(spelled.text())


def _spelling(column: Any, cells: list[str | None], writing: Writing | None, separator: str) -> dict[str, Any]:
    """How most cells of a column are spelled.

    Args:
        column: its values, a Series of pandas.
        cells: as they are spelled; None where a row is too short.
        writing: of numbers; None: categories.
        separator: between cells.
    """
    absent = column.isna().to_numpy()
    missing = Counter(cell for cell, no in zip(cells, absent) if no and cell is not None)
    way: dict[str, Any] = {"missing": missing.most_common(1)[0][0]} if missing else {}
    present = [(value, cell) for value, cell, no in zip(column, cells, absent) if cell is not None and not no]
    if writing is None:
        counts = Counter((str(value), cell) for value, cell in present)
        usual: dict[str, str] = {}
        for (value, cell), _ in counts.most_common():
            usual.setdefault(value, cell)
        own = {value: cell for value, cell in usual.items() if cell != quoted(value, separator)}
        return way | ({"cells": own} if own else {})
    some = present[:TRIED]
    ends = Counter(len(re.sub("[^0-9]*$", "", cell).rpartition(writing.decimal)[2]) for _, cell in some)
    fractions = [None, *(digits for digits, _ in ends.most_common(2) if digits < LONGEST), 0]
    thousands = (writing.thousands, "") if writing.thousands else ("",)
    pads = [pad for pad, _ in Counter(cell[: len(cell) - len(cell.lstrip(" "))] for _, cell in some).most_common(1)]
    best = max(
        itertools.product(fractions, thousands, (False, True), pads or [""]),
        key=lambda made: sum(_number(value, writing, separator, *made) == cell for value, cell in some),
    )
    names = ("decimals", "thousands", "quoted", "pad")
    return way | {"number": [writing.decimal, writing.before, writing.after], **dict(zip(names, best))}


def _predicted(column: Any, way: dict[str, Any], separator: str) -> list[str]:
    """How the cells of a column, a Series of pandas, are spelled if they are as most are."""
    absent, missing = column.isna().to_numpy(), way.get("missing", "")
    if "number" not in way:
        own = way.get("cells", {})
        spelled = (own.get(str(value)) or quoted(str(value), separator) for value in column)
    else:
        decimal, before, after = way["number"]
        writing = Writing(decimal, "", before, after)
        made = [way[name] for name in ("decimals", "thousands", "quoted", "pad")]
        spelled = ("" if no else _number(value, writing, separator, *made) for value, no in zip(column, absent))
    return [missing if no else cell for cell, no in zip(spelled, absent)]


def _number(
    value: Any, writing: Writing, separator: str, decimals: int | None, thousands: str, quotes: bool, pad: str
) -> str:
    """A number as it is spelled."""
    text = str(value) if decimals is None else f"{value:.{decimals}f}"
    cell = replace(writing, thousands=thousands).written(text)
    return pad + (f'"{cell}"' if quotes else quoted(cell, separator))
