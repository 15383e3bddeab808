"""Metadata files that describe the pictures or sounds beside them."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ptheta.data.sources.delimited import read_cells, read_values
from ptheta.data.sources.json_lines import objects
from ptheta.data.sources.splits import named_splits, split_folders
from ptheta.data.sources.tables import ArrayTable, Column, Source, Table, describe
from ptheta.errors import SourceError
from ptheta.names import printable
from ptheta.numbers import plural
from ptheta.remarks import remark

METADATA = ("metadata.csv", "metadata.jsonl")
"""Names of such files."""

FILE = "file_name"
"""Column that names a file, relative to the metadata file."""


def described_files(path: Path, metadata: Sequence[Path], files: Sequence[Path], column: Column) -> Source | None:
    """One row for each of the metadata files' rows, whose column `file_name` names a file.

    Rows belong to the split whose folder their file lies in.

    Args:
        path: of the folder.
        metadata: CSV or JSONL files in it.
        files: all pictures or sounds in the folder; those that no row names are left out, and reported.
        column: that holds them, of kind image or sound.

    Returns:
        None of pictures that no metadata file names in a column `file_name`.

    Raises:
        SourceError: a damaged metadata file, some of different columns, or a file that two of them describe.
    """
    import pyarrow as pa

    noun = {"image": "picture"}.get(column.kind, column.kind)
    read = _read(metadata)
    if column.kind == "image" and not any(FILE in columns for columns in read.values()):
        return None  # `datasets` has other ways to name pictures
    names = list(read[metadata[0]])
    described: dict[str, Path] = {}
    for file, columns in read.items():
        if FILE not in columns:
            raise SourceError(f"{file} has no column {FILE!r}", f"name a {noun} in each row, relative to the file")
        if set(columns) != set(names):
            other = sorted(set(columns) ^ set(names))[0]
            raise SourceError(f"column {other!r} is in only one of {metadata[0]} and {file}", "give both the same")
        for row, name in enumerate(columns[FILE], 1):
            if not isinstance(name, str):
                raise SourceError(f"row {row:,} of {file} names no {noun}", "fill it in or remove that row")
            target = os.path.normpath(file.parent / name)
            if described.setdefault(target, file) != file:
                raise SourceError(f"{target} is described by {described[target]} and {file}", "leave one of them")
    arrays = {name: _array(name, {file: columns[name] for file, columns in read.items()}) for name in names}
    kinds = {name: array.type for name, array in arrays.items() if name not in (FILE, column.name)}
    columns = {column.name: column} | describe(pa.schema(list(kinds.items())))
    places = [file.parent / name for file in metadata for name in read[file][FILE]]
    row_of = {place: row for row, place in enumerate(places)}
    tables: dict[str, Table] = {}
    for split, group in split_folders(path, places).items():
        if len(row_of) == len(places):
            rows = [row_of[place] for place in group]
        else:  # a file has several rows
            members = set(group)
            rows = [row for row, place in enumerate(places) if place in members]
        chosen: dict[str, Any] = {name: arrays[name].take(pa.array(rows)) for name in kinds}
        chosen[column.name] = [{"path": str(places[row]), "bytes": None} for row in rows]
        tables[split or "all"] = ArrayTable(split or path.name, columns, chosen, [printable(places[r]) for r in rows])
    if other := [file for file in files if os.path.normpath(file) not in described]:
        remark(
            f"left out, not described by any metadata file: {plural(len(other), noun)}, such as {printable(other[0])}"
        )
    return Source(path.resolve().name, str(path), named_splits(tables, str(path)))


def _read(metadata: Sequence[Path]) -> dict[Path, dict[str, list[Any]]]:
    """File → column → value of every row; CSV files of the same columns are read together, as any text tables are."""
    columns = {file: _names(file) for file in metadata}
    tables: dict[frozenset[str], list[Path]] = {}
    for file in metadata:
        if file.suffix == ".csv":
            tables.setdefault(frozenset(columns[file]), []).append(file)
    found = {file: values for file, values in columns.items() if file.suffix != ".csv"}
    for files in tables.values():
        values, start = read_values(files, [FILE]), 0
        for file in files:
            end = start + len(columns[file][next(iter(columns[file]))])
            found[file] = {name: column[start:end] for name, column in values.items()}
            start = end
    return {file: found[file] for file in metadata}


def _names(file: Path) -> dict[str, list[Any]]:
    """Column → value of every row, of a CSV file as they are written."""
    if file.suffix == ".csv":
        names, rows = read_cells(file)
        return {name: [row[j] for row in rows] for j, name in enumerate(names)}
    found = [row for _, _, row in objects(file)]
    names = list(dict.fromkeys(name for row in found for name in row))
    return {name: [row.get(name) for row in found] for name in names}


def _array(name: str, values: dict[Path, list[Any]]) -> Any:
    """A column of all files as one Arrow array."""
    import pyarrow as pa

    try:
        return pa.array([value for column in values.values() for value in column])
    except (pa.ArrowException, OverflowError):
        where = " and ".join(str(file) for file in values)
        raise SourceError(f"column {name!r} holds values of different kinds in {where}", "make them the same") from None
