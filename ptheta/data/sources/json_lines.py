"""JSON files as sources: one value, or one object a line; long files of lines are read a part at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.data.sources.frames import frame_table
from ptheta.data.sources.tables import Column, Table, describe
from ptheta.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

IN_PARTS = 2**26
"""Bytes from which a file of lines is not read as a whole."""

CHUNK_BYTES = 2**23
"""About how many bytes of lines make a chunk."""

SEEN = 1_000
"""Lines from which the kinds of columns are inferred, in a file that is read in parts."""


def json_table(path: Path) -> Table:
    """Rows of a JSON file: a list of objects, a table of columns, or one object a line.

    Raises:
        SourceError: what is not valid JSON, or not an object, with its line or row.
    """
    import pandas as pd

    lines = path.suffix.lower() != ".json"
    if lines and path.stat().st_size >= IN_PARTS:
        return LinesTable.of(path)
    text = path.read_text(encoding="utf-8-sig")
    try:
        value = json.loads(text)
        rows = value if isinstance(value, list) or not lines else [value]
    except json.JSONDecodeError as error:
        if not lines and text.lstrip().startswith("["):
            raise SourceError(f"{path} is not valid JSON: {error}", "correct it") from None
        rows = [_parsed(line, path, number) for number, line in enumerate(text.split("\n"), 1) if line.strip()]
    if isinstance(rows, dict):  # a table of columns
        rows = [dict(zip(rows, row)) for row in zip(*rows.values(), strict=True)]
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise _no_object(f"row {number:,} of {path.name}")
    return replace(frame_table(pd.DataFrame(rows), path.name), spells=True)


@dataclass
class LinesTable(Table):
    """A file of one JSON object a line, read anew and in parts for every pass.

    The columns and their types are those of the first 1,000 lines.
    """

    path: Path
    rows: int
    types: dict[str, pa.DataType]

    @classmethod
    def of(cls, path: Path) -> LinesTable:
        """A table over a file, which is passed once to count its lines."""
        import pyarrow as pa

        first = [row for _, _, row in islice(objects(path), SEEN)]
        names = list(dict.fromkeys(name for row in first for name in row))
        found = {name: _array([row.get(name) for row in first]) for name in names}
        types = {name: values.type for name, values in found.items() if values is not None}
        columns = describe(pa.schema(types))
        with path.open("rb") as file:
            rows = sum(not line.isspace() for line in file)
        return cls(path.name, {name: columns.get(name, Column(name, "other")) for name in names}, path, rows, types)

    @property
    def is_text(self) -> bool:
        """It is JSON."""
        return True

    def __len__(self) -> int:
        return self.rows

    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """Chunks of Arrow arrays."""
        most = self.chunk_rows(names)
        rows: list[dict] = []
        numbers: list[int] = []
        size = 0
        for number, length, row in objects(self.path):
            rows.append(row)
            numbers.append(number)
            size += length
            if size >= CHUNK_BYTES or len(rows) >= most:
                yield {name: self._column(name, rows, numbers) for name in names}
                rows, numbers, size = [], [], 0
        if rows:
            yield {name: self._column(name, rows, numbers) for name in names}

    def _column(self, name: str, rows: list[dict], numbers: list[int]) -> Any:
        values, kind = [row.get(name) for row in rows], self.types.get(name)
        array = None if kind is None else _array(values, kind)
        if kind is not None and array is None:
            wrong = next(i for i, value in enumerate(values) if _array([value], kind) is None)
            raise SourceError(
                f"column {name!r} is {values[wrong]!r:.40} in line {numbers[wrong]:,} of {self.path.name}, but {kind}"
                " before",
                "correct or remove that line",
            )
        return values if array is None else array


def _array(values: list, kind: Any = None) -> Any:
    """Values as an Arrow array; None if they are of no one type."""
    import pyarrow as pa

    try:
        array = pa.array(values)  # of its own type first: asked for integers, Arrow would cut off fractions
        if kind is None or array.type == kind:
            return array
        if pa.types.is_null(array.type):
            return array.cast(kind)
        words = (pa.types.is_boolean, pa.types.is_string)
        return None if any(is_word(t) for is_word in words for t in (array.type, kind)) else array.cast(kind, safe=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return None


def objects(path: Path) -> Iterator[tuple[int, int, dict]]:
    """Number, length in bytes, and object of every line that is not blank."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.isspace():
                row = _parsed(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, path, number)
                if not isinstance(row, dict):
                    raise _no_object(f"line {number:,} of {path.name}")
                yield number, len(line), row


def _parsed(line: str | bytes, path: Path, number: int) -> Any:
    try:
        return json.loads(line)
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise SourceError(
            f"line {number:,} of {path.name} is not valid JSON: {reason}", "correct or remove it"
        ) from None


def _no_object(place: str) -> SourceError:
    return SourceError(f"{place} is not a JSON object", 'give rows as {"column": value, …}')
