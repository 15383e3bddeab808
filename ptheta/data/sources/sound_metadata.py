"""Metadata files that describe the sounds beside them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ptheta.data.sources.delimited import read_cells
from ptheta.data.sources.json_lines import objects
from ptheta.data.sources.splits import named_splits
from ptheta.data.sources.tables import ArrayTable, Column, Source, Table, describe
from ptheta.errors import SourceError
from ptheta.numbers import plural
from ptheta.remarks import remark

FILE = "file_name"
"""Column that names a sound, relative to the metadata file."""

WHOLE = re.compile(r"-?(0|[1-9]\d{0,17})")
REAL = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?\d+)?")
"""Cells that are numbers and not names: 7 and 0.5, but not 007."""


def described_sounds(path: Path, files: dict[str, list[Path]], sounds: list[Path]) -> Source:
    """One row for each of the metadata files' rows, whose column `file_name` names a sound.

    Args:
        path: of the folder.
        files: split, or "", → its metadata files, CSV or JSONL.
        sounds: all sounds in the folder.

    Raises:
        SourceError: a damaged file, files of different columns, or a sound that two of them describe.
    """
    import pyarrow as pa

    in_order = [file for group in files.values() for file in group]
    read = {file: _columns(file) for file in in_order}
    names = list(read[in_order[0]])
    described: dict[str, Path] = {}
    for file, columns in read.items():
        if FILE not in columns:
            raise SourceError(f"{file} has no column {FILE!r}", "name a sound in each row, relative to the file")
        if set(columns) != set(names):
            other = sorted(set(columns) ^ set(names))[0]
            raise SourceError(f"column {other!r} is in one of {in_order[0]} and {file} only", "give both the same")
        for row, name in enumerate(columns[FILE], 1):
            if not isinstance(name, str):
                raise SourceError(f"row {row:,} of {file} names no sound", "fill it in or remove that row")
            sound = os.path.normpath(file.parent / name)
            if described.setdefault(sound, file) != file:
                raise SourceError(f"{sound} is described by {described[sound]} and {file}", "leave one of them")
    arrays = {name: _array(name, {file: columns[name] for file, columns in read.items()}) for name in names}
    kinds = {name: array.type for name, array in arrays.items() if name != FILE}
    columns = {"audio": Column("audio", "sound")} | describe(pa.schema(list(kinds.items())))
    tables: dict[str, Table] = {}
    start = 0
    for split, group in files.items():
        places = [str(file.parent / name) for file in group for name in read[file][FILE]]
        rows: dict[str, Any] = {name: arrays[name].slice(start, len(places)) for name in kinds}
        rows["audio"] = [{"path": place, "bytes": None} for place in places]
        tables[split or "all"] = ArrayTable(split or path.name, columns, rows, places)
        start += len(places)
    source = Source(path.resolve().name, str(path), named_splits(tables, str(path)))
    if more := sum(os.path.normpath(sound) not in described for sound in sounds):
        remark(f"left out, not described by any metadata file: {plural(more, 'sound')}")
    return source


def _columns(file: Path) -> dict[str, list[Any]]:
    """Column → value of every row; of a CSV file as it is written, None where a cell is empty."""
    if file.suffix == ".csv":
        names, rows = read_cells(file)
        return {name: [row[j] or None for row in rows] for j, name in enumerate(names)}
    found = [row for _, _, row in objects(file)]
    names = list(dict.fromkeys(name for row in found for name in row))
    return {name: [row.get(name) for row in found] for name in names}


def _array(name: str, values: dict[Path, list[Any]]) -> Any:
    """A column of all files as one Arrow array; cells of CSV files are numbers if all of them are."""
    import pyarrow as pa

    cells = [cell for file, column in values.items() if file.suffix == ".csv" for cell in column if cell is not None]
    kind: Callable[[str], Any] = str
    if cells and name != FILE:
        kind = next(
            (made for spelled, made in ((WHOLE, int), (REAL, float)) if all(map(spelled.fullmatch, cells))), str
        )
    flat = [
        kind(value) if file.suffix == ".csv" and value is not None else value
        for file, column in values.items()
        for value in column
    ]
    try:
        return pa.array(flat)
    except (pa.ArrowException, OverflowError):
        where = " and ".join(str(file) for file in values)
        raise SourceError(f"column {name!r} holds values of different kinds in {where}", "make them the same") from None
