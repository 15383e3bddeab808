"""What codecs of tables share: reading rows of files, writing CSV and Parquet, cells as people write them."""

from __future__ import annotations

import io
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Codec, Place, nowhere
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.files import replacing, write_bytes
from ptheta.numbers import joined
from ptheta.numerals import is_number, readings
from ptheta.remarks import remark

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

    from ptheta.data.codecs.known import Levels
    from ptheta.data.sources.cells import Writing
    from ptheta.data.sources.tables import Column

FORMATS = (".csv", ".parquet")
"""Suffixes of tables that are written."""


class FrameCodec(Codec):
    """Rows of named columns ↔ events [n, m].

    Attributes:
        writing: how CSV files are written, where not as usual: `separator`, `encoding`, `mark` (of the byte order,
            hexadecimal) and `columns`, name → the fields of a `ptheta.data.sources.cells.Writing`.
    """

    writing: dict[str, Any]

    @property
    @abstractmethod
    def names(self) -> list[str]:
        """Columns, in the order of the dimensions."""

    @abstractmethod
    def decode(self, x: Tensor | np.ndarray) -> pd.DataFrame:
        """A data frame with the columns' own values and types."""

    @abstractmethod
    def arrow(self, frame: pd.DataFrame) -> pa.Table:
        """A decoded frame as an Arrow table of the source's types."""

    @abstractmethod
    def cell(self, j: int, text: str) -> float:
        """The number by which an event says a cell of column j, as a person writes it.

        Raises:
            UsageError: no such value; the nearest are named.
        """

    @abstractmethod
    def levels_of(self, name: str) -> Levels | None:
        """The values of a category; None for a column of numbers."""

    @property
    def taken_as(self) -> str:
        """The value of the option `columns` that gives this codec again."""
        return "mixed"

    @property
    def words(self) -> dict[str, list[str]]:
        """Columns whose values are texts, whatever they look like → those values."""
        known = {name: self.levels_of(name) for name in self.names}
        return {name: found.values for name, found in known.items() if found is not None and _are_texts(found.values)}

    @property
    def writings(self) -> dict[str, dict[str, str]]:
        """Of the text table that the columns come from."""
        return self.writing.get("columns", {})

    def named(self, values: Any, column: Column, place: Place, *, missing: bool = False) -> Any:
        """A chunk's column as `encode` takes it: class numbers as names, unless this codec knows the numbers.

        Args:
            values: of the column.
            column: with the names of its classes, if it has any.
            place: names a row in an error.
            missing: whether a class number may be missing.
        """
        from ptheta.data.sources.chunk_values import named

        known = None if column.names is None else self.levels_of(column.name)
        if known is not None and all(known.find_one(name) < 0 for name in column.names or ()):
            return values
        return named(values, column, place, missing=missing)

    @property
    def filler(self) -> np.ndarray:
        """Any row of the space [m]."""
        return np.zeros(len(self.names))

    def some_values(self, name: str) -> list[str]:
        """Some values of a column, as a person writes them; none if none are known."""
        return []

    def cells(self, given: Mapping[str, str]) -> tuple[np.ndarray, np.ndarray]:
        """Some cells of a row by their columns' names.

        Returns:
            The row [m], any allowed value where nothing is given, and where something is, bool [m].

        Raises:
            UsageError: no such column or value.
        """
        row, known = self.filler.astype(self.dtype), np.zeros(len(self.names), bool)
        for name, text in given.items():
            if name not in self.names:
                raise UsageError(f"the run has no column {name!r}", nearest(name, self.names))
            j = self.names.index(name)
            row[j], known[j] = self.cell(j, text), True
        return row, known

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One CSV file of all events, with a column `context` if there is one."""
        more = None if context_names is None else {"context": context_names}
        return [self.write_frame(x, Path(directory) / f"{stem}.csv", more)]

    def write_frame(
        self,
        x: Tensor | np.ndarray,
        path: Path,
        context: Mapping[str, Sequence[Any]] | None = None,
        writings: Mapping[str, dict[str, str]] | None = None,
    ) -> Path:
        """All events as one CSV or Parquet file, by the path's suffix.

        Args:
            x: events [n, m].
            path: of the file.
            context: name → values of further columns, which come first.
            writings: how those of them that are numbers are written in a CSV file, as the property of that name.

        Raises:
            UsageError: another suffix.
        """
        if path.suffix.lower() not in FORMATS:
            raise UsageError(
                f"these samples cannot be written as a {path.suffix} file",
                f"name a folder or a {joined(FORMATS, 'or')} file",
            )
        frame = self.decode(x)
        table = None if path.suffix.lower() == ".csv" else self.arrow(frame)
        ways = dict(self.writings)
        for place, (name, values) in enumerate((context or {}).items()):
            way = (writings or {}).get(name)
            while name in frame:
                name += "_"
            ways |= {} if way is None else {name: way}
            frame.insert(place, name, list(values))
            table = None if table is None else table.add_column(place, name, [list(values)])
        if table is None:
            return write_bytes(path, self._text(frame, ways), flush=False)
        import pyarrow as pa
        import pyarrow.parquet as pq

        types = pa.Schema.from_pandas(frame, preserve_index=False).metadata  # of pandas, which Arrow's do not tell
        with replacing(path, flush=False) as temporary:
            pq.write_table(table.replace_schema_metadata(types), temporary)
        return path

    def _text(self, frame: pd.DataFrame, writings: Mapping[str, dict[str, str]]) -> bytes:
        """A frame as the bytes of a CSV file, written as the source was, and columns of numbers as they were."""
        from ptheta.data.sources.cells import Writing

        own, encoding = self.writing, self.writing.get("encoding", "utf-8")
        for name, way in writings.items():
            frame[name] = _spelled(frame[name], Writing(**way))
        buffer = io.StringIO()
        frame.to_csv(buffer, index=False, sep=own.get("separator", ","))
        text = buffer.getvalue()
        try:
            return bytes.fromhex(own.get("mark", "")) + text.encode(encoding)
        except UnicodeEncodeError as error:  # captions of contexts may be in any script
            missing = text[error.start : error.end][:1]
            remark(f"{encoding}, the encoding of the source, lacks {missing!r}, so the table is written in UTF-8")
            return text.encode()


def _spelled(column: Any, way: Writing) -> list[str]:
    """Numbers as they are written; an empty cell where one is missing."""
    return ["" if absent else way.written(str(value)) for value, absent in zip(column.array, column.isna())]


def _are_texts(values: list[Any]) -> bool:
    return isinstance(values[0], str)


def column_of(raw: Any, name: str) -> Any:
    """A column of a chunk.

    Raises:
        SourceError: it is not there.
    """
    if name not in raw:
        raise SourceError(f"the table has no column {name!r}", nearest(name, [str(key) for key in raw]))
    return raw[name]


def as_array_of(values: Any) -> pa.Array:
    """A column as an Arrow array; NaN of data frames is missing."""
    import pyarrow as pa

    array = values if isinstance(values, pa.Array | pa.ChunkedArray) else pa.array(values, from_pandas=True)
    return array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array  # type: ignore[return-value]


def as_arrow(values: Any, name: str, place: Place = nowhere) -> pa.Array:
    """A column as an Arrow array without missing values.

    Raises:
        SourceError: a missing value; the column and the first such row are named.
    """
    array = as_array_of(values)
    if array.null_count:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        raise SourceError(f"column {name!r} is missing at {place(row)}", "fill it in or remove that row")
    return array


def as_number(text: str, name: str, way: Mapping[str, str] | None = None) -> float:
    """A number as a person writes it.

    Args:
        text: as Python writes numbers, or as the column does.
        name: of the column.
        way: how it does, see `Codec.writings`; None: as Python.

    Raises:
        UsageError: it is not a number, or not finite.

    >>> as_number("1.5", "x"), as_number("1,5", "x", {"decimal": ","}), as_number("1.234,5", "x", {"decimal": ","})
    (1.5, 1.5, 1234.5)
    """
    found = {} if way is None else readings(text)
    number = found.get((way or {}).get("decimal", "."), next(iter(found.values()), None))
    if number is None and is_number(text):
        number = float(text)
    if number is None or not np.isfinite(number):
        raise UsageError(f"{name} is {text!r}, not a number", f"give one, such as {name}=0")
    return number
