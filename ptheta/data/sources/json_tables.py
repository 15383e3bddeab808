"""JSON files as tables: every way in which pandas writes one, and lists and lines of objects."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from ptheta.data.sources.cells import dates_among
from ptheta.data.sources.delimited import read_text
from ptheta.data.sources.frames import table_of_columns, taken
from ptheta.data.sources.json_lines import IN_PARTS, LinesTable, not_an_object, parsed, value_of
from ptheta.data.sources.tables import Table
from ptheta.errors import SourceError
from ptheta.numbers import listed, plural
from ptheta.remarks import remark

ROWS = 'give a list of rows, [{"column": value, …}, …]'
"""The remedy for what is not a table."""

MOST_COLUMNS = 2**14
"""Most columns of a table."""

Columns = dict[str, list]


def json_table(path: Path) -> Table:
    """The table of one file.

    Raises:
        SourceError: what is not valid JSON, or not a table, with its line or row.
    """
    return open_json_tables({"all": [path]})["all"]


def open_json_tables(groups: Mapping[str, Sequence[Path]]) -> dict[str, Table]:
    """Split → table of its files; files of lines that are large together are read in parts.

    Raises:
        SourceError: as `json_table`.
    """
    return {split: _table(list(files), split) for split, files in groups.items()}


def _table(files: list[Path], split: str) -> Table:
    import pandas as pd

    title = files[0].name if len(files) == 1 else split
    if all(map(_has_lines, files)) and sum(file.stat().st_size for file in files) >= IN_PARTS:
        return LinesTable.of(files, title)
    read = [_columns(file) for file in files]
    lengths = [len(next(iter(columns.values()))) for columns in read]
    names = list(dict.fromkeys(name for columns in read for name in columns))
    if strange := next((name for name in names if "\0" in name), None):
        raise SourceError(f"{title} has a column called {strange!r}", "rename it")
    if len(names) > MOST_COLUMNS:
        raise SourceError(f"{title} has {len(names):,} columns", f"at most {MOST_COLUMNS:,} are read; give fewer")
    found = {}
    for name in names:
        values = [value for own, rows in zip(read, lengths) for value in own.get(name) or [None] * rows]
        found[name] = taken(pd.Series(values, dtype=object), name)
    strings = {name: values for name, (values, _) in found.items() if not isinstance(values, str)}
    if dates := dates_among(strings):
        remark(f"{listed(list(dates))}: dates and times such as {next(iter(dates.values()))!r} are taken as unordered"
               " categories")  # fmt: skip
    made = table_of_columns(found, title, sum(lengths))
    return replace(made, spells=True, parts=[(file.name, rows) for file, rows in zip(files, lengths)])


def _has_lines(path: Path) -> bool:
    """Whether a file is named like one of an object a line."""
    return path.suffix.lower() != ".json"


def _columns(path: Path) -> Columns:
    """Column → value of every row."""
    text = read_text(path)
    try:
        value = value_of(text)
        value = value if isinstance(value, list) or not _has_lines(path) else [value]
    except RecursionError:
        raise SourceError(f"{path} is nested too deeply", ROWS) from None
    except ValueError as error:
        if not _has_lines(path) and (text.lstrip().startswith("[") or "\n" not in text.strip()):
            raise SourceError(f"{path} is not valid JSON: {error}", "correct it") from None
        value = [parsed(line, path, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    found = _of_rows(value, path) if isinstance(value, list) else _of_object(value, path)
    if not found or not next(iter(found.values())):
        raise SourceError(f"{path} has no rows", "give at least one")
    return found


def _of_rows(rows: list, path: Path) -> Columns:
    """Of pandas' orients `records` and `values`, or lines."""
    kinds = {dict: 0, list: 0} | {type(row): 0 for row in rows}
    for row in rows:
        kinds[type(row)] += 1
    if rows and kinds[list] == len(rows):
        return _of_values(rows, None, path)
    if rows and not kinds[dict]:
        raise SourceError(f"{path} is a list of {_kind(rows[0])}s, not of rows", ROWS)
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise not_an_object(f"row {number:,} of {path.name}")
    names = dict.fromkeys(name for row in rows for name in row)
    if len(names) > MOST_COLUMNS:
        raise SourceError(f"{path} has {len(names):,} columns", f"at most {MOST_COLUMNS:,} are read; give fewer")
    return {name: [row.get(name) for row in rows] for name in names}


def _of_values(rows: list[list], names: list | None, path: Path) -> Columns:
    """Of rows that are lists."""
    width = len(rows[0]) if names is None and rows else len(names or ())
    for number, row in enumerate(rows, 1):
        if not isinstance(row, list) or len(row) != width:
            what = plural(len(row), "value") if isinstance(row, list) else _kind(row)
            raise SourceError(f"row {number:,} of {path.name} has {what}, but others {width}", "give each as many")
    if names is None and width:
        remark(f"{path.name} has no names of columns; they are called 0 to {width - 1}")
    spelled = [str(name) for name in (range(width) if names is None else names)]
    if again := sorted({name for name in spelled if spelled.count(name) > 1}):
        raise SourceError(f"two columns of {path.name} are called {again[0]!r}", "rename one of them")
    return {name: [row[j] for row in rows] for j, name in enumerate(spelled)}


def _of_object(value: Any, path: Path) -> Columns:
    """Of pandas' orients `split`, `table`, `columns` and `index`, or of one list a column."""
    if not isinstance(value, dict):
        raise SourceError(f"{path} is {'null' if value is None else f'one {_kind(value)}'}, not a table", ROWS)
    if not value:
        return {}
    data, fields = value.get("data"), value.get("columns")
    if isinstance(data, list) and isinstance(fields, list) and set(value) <= {"columns", "index", "data"}:
        _note_index(value.get("index") or [], path)
        return _of_values(data, fields, path)
    if isinstance(data, list) and isinstance(value.get("schema"), dict) and "fields" in value["schema"]:
        return _of_table(value["schema"], data, path)
    kinds = {type(part) for part in value.values()}
    if kinds == {dict}:
        return _of_objects(value, path)
    held = [name for name, part in value.items() if isinstance(part, list) and part and isinstance(part[0], dict)]
    if held and (len(value) == 1 or kinds != {list}):
        raise SourceError(f"{path} holds its rows under {held[0]!r}", "save that list alone")
    if kinds != {list}:
        raise SourceError(f"{path} is a single object, not a table", ROWS)
    lengths = {name: len(part) for name, part in value.items()}
    if len(set(lengths.values())) > 1:
        (one, n), (other, m) = min(lengths.items(), key=lambda of: of[1]), max(lengths.items(), key=lambda of: of[1])
        raise SourceError(f"column {one!r} of {path} has {plural(n, 'value')}, but {other!r} {m:,}", "give as many")
    return value


def _of_table(schema: dict, rows: list, path: Path) -> Columns:
    """Of pandas' orient `table`, without its index."""
    found = _of_rows(rows, path) if rows else {}
    index = schema.get("primaryKey", [])
    for name in [index] if isinstance(index, str) else index if isinstance(index, list) else []:
        if isinstance(name, str) and name in found and len(found) > 1:
            _note_index(found.pop(name), path)
    return found


def _of_objects(value: dict[str, dict], path: Path) -> Columns:
    """Of objects in an object: pandas' orients `columns`, a column each, or `index`, a row each."""
    inner = list(dict.fromkeys(key for part in value.values() for key in part))
    if not inner:
        raise SourceError(f"{path} has no rows", "give at least one")
    if _are_columns(value, inner, path):
        _note_index(inner, path)
        return {name: [part.get(key) for key in inner] for name, part in value.items()}
    _note_index(list(value), path)
    return {name: [row.get(name) for row in value.values()] for name in inner}


def _are_columns(value: dict[str, dict], inner: list[str], path: Path) -> bool:
    """Whether the objects in an object are its columns, and not its rows.

    Raises:
        SourceError: they may be either.
    """
    numbered = (_counts(list(value)), _counts(inner))
    if numbered in ((True, False), (False, True)):
        return numbered[1]
    alike = (
        all(len({_kind(v) for v in part.values() if v is not None}) <= 1 for part in value.values()),
        all(len({_kind(part[key]) for part in value.values() if part.get(key) is not None}) <= 1 for key in inner),
    )
    if alike in ((True, False), (False, True)):
        return alike[0]
    if len(inner) == len(value):
        raise SourceError(
            f"{path} may be rows by name (pandas' orient='index') or columns (orient='columns')",
            "save it with orient='records'",
        )
    return len(inner) > len(value)


def _counts(keys: list[str]) -> bool:
    """Whether keys are the numbers of rows."""
    return keys == [str(k) for k in range(len(keys))] or sorted(keys) == sorted(str(k) for k in range(len(keys)))


def _note_index(index: list, path: Path) -> None:
    """Report that names of rows are left out, unless they only count."""
    if index and not _counts([str(name) for name in index]):
        remark(f"{path.name}: the names of its rows, such as {str(index[0])!r:.40}, are left out")


def _kind(value: Any) -> str:
    """What a value of JSON is called."""
    names = {bool: "truth value", int: "number", float: "number", str: "string", list: "list", dict: "object"}
    return names.get(type(value), "null")
