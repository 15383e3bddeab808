"""Files of one JSON object a line, read a part at a time."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ptheta.data.sources.tables import CHUNK as CHUNK_ROWS
from ptheta.data.sources.tables import Column, Table, describe
from ptheta.errors import SourceError

if TYPE_CHECKING:
    import pyarrow as pa

IN_PARTS = 2**26
"""Bytes from which a file of lines is not read as a whole."""

CHUNK_BYTES = 2**23
"""About how many bytes of lines make a chunk."""

MOST_COLUMNS = 2**14
"""Most columns of a table."""

LONGEST_LINE = 2**26
"""Most bytes of a line: what has no ends of lines is not read into memory as one."""


@dataclass
class LinesTable(Table):
    """Files of one JSON object a line, read anew and in parts for every pass.

    The columns and their types are those of all lines.
    """

    files: list[Path]
    rows: int
    types: dict[str, pa.DataType]

    @classmethod
    def of(cls, files: list[Path], title: str) -> LinesTable:
        """A table over files, which are passed once to find their columns."""
        import pyarrow as pa

        types: dict[str, pa.DataType | None] = {}
        count = 0
        for rows, _ in _parts(files, CHUNK_ROWS):
            count += len(rows)
            for name in dict.fromkeys(name for row in rows for name in row):
                kind = _kind_of([row.get(name) for row in rows])
                types[name] = _wider(types[name], kind) if name in types else kind
            if len(types) > MOST_COLUMNS:
                raise SourceError(f"{title} has {len(types):,} columns or more", f"at most {MOST_COLUMNS:,} are read")
        known = {name: kind for name, kind in types.items() if kind is not None}
        columns = describe(pa.schema(known))
        return cls(title, {name: columns.get(name, Column(name, "other")) for name in types}, files, count, known)

    @property
    def is_text(self) -> bool:
        """It is JSON."""
        return True

    def __len__(self) -> int:
        return self.rows

    def _chunks(self, names: list[str]) -> Iterator[dict[str, Any]]:
        """Chunks of Arrow arrays."""
        for rows, places in _parts(self.files, self.chunk_rows(names)):
            yield {name: self._column(name, rows, places) for name in names}

    def place(self, row: int) -> str:
        """Row and file."""
        return f"row {row + 1:,} of {self.title}"

    def _column(self, name: str, rows: list[dict], places: list[str]) -> Any:
        values, kind = [row.get(name) for row in rows], self.types.get(name)
        array = None if kind is None else _array(values, kind)
        if kind is not None and array is None:
            wrong = next(i for i, value in enumerate(values) if _array([value], kind) is None)
            raise SourceError(
                f"column {name!r} is {values[wrong]!r:.40} in {places[wrong]}, but {kind} before",
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


def _kind_of(values: list) -> pa.DataType | None:
    """The type of values; of several the first, so that reading names the line that is of another.

    Whole numbers, some of which are written with a point, are whole numbers.
    """
    import pyarrow as pa

    array = _array(values)
    if array is None:
        first = next(value for value in values if value is not None)
        one = None if isinstance(first, list | dict) else _array([first])
        return None if one is None else one.type
    kinds = set(map(type, values))
    if kinds >= {int, float} and all(value is None or float(value).is_integer() for value in values):
        return pa.int64()
    return array.type


def _wider(one: pa.DataType | None, other: pa.DataType | None) -> pa.DataType | None:
    """The type that holds values of both, or else the first."""
    import pyarrow as pa

    if one is None or other is None or pa.types.is_null(other):
        return one
    if pa.types.is_null(one) or {one, other} == {pa.int64(), pa.float64()}:
        return other if pa.types.is_null(one) else pa.float64()
    return one


def _parts(files: list[Path], most: int) -> Iterator[tuple[list[dict], list[str]]]:
    """Rows of files, at most so many or about `CHUNK_BYTES` at a time, and where each is."""
    rows: list[dict] = []
    places: list[str] = []
    size = 0
    for path in files:
        for number, length, row in objects(path):
            rows.append(row)
            places.append(f"line {number:,} of {path.name}")
            size += length
            if size >= CHUNK_BYTES or len(rows) >= most:
                yield rows, places
                rows, places, size = [], [], 0
    if rows:
        yield rows, places


def objects(path: Path) -> Iterator[tuple[int, int, dict]]:
    """Number, length in bytes, and object of every line that is not blank."""
    with path.open("rb") as file:
        for number, line in enumerate(iter(lambda: file.readline(LONGEST_LINE + 1), b""), 1):
            if len(line) > LONGEST_LINE:
                problem = f"line {number:,} of {path.name} is longer than {LONGEST_LINE:,} bytes"
                raise SourceError(problem, "give rows as lines, one JSON object each")
            if not line.isspace():
                row = parsed(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line, path, number)
                if not isinstance(row, dict):
                    raise not_an_object(f"line {number:,} of {path.name}")
                yield number, len(line), row


def parsed(line: str | bytes, path: Path, number: int) -> Any:
    """The value of a line.

    Raises:
        SourceError: it is not JSON, see `value_of`; its number is named.
    """
    try:
        return value_of(line)
    except RecursionError:
        raise SourceError(f"line {number:,} of {path.name} is nested too deeply", "correct or remove it") from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else str(error)
        raise SourceError(
            f"line {number:,} of {path.name} is not valid JSON: {reason}", "correct or remove it"
        ) from None


def value_of(text: str | bytes) -> Any:
    """The value of a text in JSON.

    Raises:
        ValueError: it is not JSON, or an object in it has a key twice, of which readers keep one or the other.
    """
    return json.loads(text, object_pairs_hook=_object)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of its keys and values."""
    found = dict(pairs)
    if len(found) < len(pairs):
        name = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"an object has the key {name!r:.60} twice")
    return found


def not_an_object(place: str) -> SourceError:
    """The error that something is not a row."""
    return SourceError(f"{place} is not a JSON object", 'give rows as {"column": value, …}')
