"""Rows of mixed columns ↔ events of a `Table` space."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Place, as_array, nowhere
from ptheta.data.codecs.dtypes import arrow_type, in_arrow, in_frame
from ptheta.data.codecs.frames import FrameCodec, as_array_of, as_number, column_of
from ptheta.data.codecs.known import Levels
from ptheta.data.codecs.plain_rows import beyond, check_resolutions, numbers, stored_in
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.remarks import remark
from ptheta.spaces import Column, Table
from ptheta.spaces.table import MOST_POINTS
from ptheta.values import NARROW, Known, are_of, same, shortest, snapped

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

LARGEST = MOST_POINTS - 1
"""Largest whole number that is a point of a grid."""

ROUNDING = 1e-15
"""Relative error of a point of a grid in float64."""

SOME = 3
"""Values that stand for a column in an example."""

SHOWN = 12
"""Values of a category that an error lists."""


@dataclass(frozen=True)
class RowCodec(FrameCodec):
    """Columns of a table ↔ cells: level k of a category is its k-th value in sorted order; numbers stay.

    Args:
        columns: what each column holds: `name`; `type`, the Arrow type of the source; `values` of a category, sorted,
            or None for numbers; and, as in `ptheta.spaces.Column`, `per`, `offset`, `low`, `atoms` and `missing`.
            Of numbers `seen` may be the least and the greatest one of train.
        resolutions: of the columns, see `ptheta.values`; none: double.
        numbered: columns of classes, whose numbers in a column of whole numbers stand for them.
        dtypes: column → its type in a data frame, where its Arrow type does not say it, see `codecs.dtypes`.
        writing: how the source was written, if it is a text table of an unusual kind, see `FrameCodec`.
    """

    columns: list[dict[str, Any]]
    resolutions: list[str] = field(default_factory=list, compare=False)
    numbered: list[str] = field(default_factory=list, compare=False)
    dtypes: dict[str, Any] = field(default_factory=dict, compare=False)
    writing: dict[str, Any] = field(default_factory=dict, compare=False)

    kind = "rows"
    named_unit = "column"

    def __post_init__(self):
        check_resolutions(self.resolutions, self.columns)

    def __eq__(self, other: object) -> bool:
        """Whether the columns hold the same values, whatever Arrow types of them a reader chooses."""
        return isinstance(other, RowCodec) and [*map(_meaning, self.columns)] == [*map(_meaning, other.columns)]

    @property
    def names(self) -> list[str]:
        """Columns, in the order of the dimensions."""
        return [column["name"] for column in self.columns]

    @cached_property
    def _space(self) -> Table:
        return Table(tuple(_cell_of(column) for column in self.columns))

    @property
    def space(self) -> Table:
        """What a row can be."""
        return self._space

    @property
    def dtype(self) -> np.dtype:
        """float64: whole numbers to 2^52, and NaN for what is missing."""
        return np.dtype(np.float64)

    @property
    def bits_key(self) -> str:
        """bits_per_dim, a dimension being a column."""
        return "bits_per_dim"

    @property
    def filler(self) -> np.ndarray:
        """Any row of the space [m]: first levels, points of grids, least values."""
        return np.array([c.filler for c in self.space.columns])

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, m] of a data frame, or of a dict from column name to array."""
        return self._encoded(raw, place, partial=False)

    def without_unknown(
        self, raw: Any, place: Place = nowhere, *, partial: bool = False
    ) -> tuple[np.ndarray, np.ndarray, dict[str, list[Any]]]:
        """Rows [n, m] of which categories that no row of the fit had count as missing.

        Args:
            raw: as of `encode`.
            place: names a row in an error.
            partial: whether any other cell may be missing, too.

        Returns:
            The rows; which of their cells were unknown, bool [n, m]; and column → the values of those.
        """
        found: dict[int, tuple[np.ndarray, list[Any]]] = {}
        rows = self._encoded(raw, place, partial, found)
        unknown = np.zeros(rows.shape, bool)
        for j, (cells, _) in found.items():
            unknown[cells, j] = True
        return rows, unknown, {self.names[j]: values for j, (_, values) in found.items()}

    def partial(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Rows [n, m] of which any cell may be missing (NaN)."""
        return self._encoded(raw, place, partial=True)

    def _encoded(
        self, raw: Any, place: Place, partial: bool, unknown: dict[int, tuple[np.ndarray, list[Any]]] | None = None
    ) -> np.ndarray:
        """Rows; `unknown`, if it is given, takes the rows of each column with unknown categories, and their values."""
        parts = []
        for j, column in enumerate(self.columns):
            name = column["name"]
            values = as_array_of(column_of(raw, name))
            absent = values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
            if absent.any() and not (column["missing"] or partial):
                row = int(np.argmax(absent))
                raise SourceError(
                    f"column {name!r} is missing at {place(row)}, and no row of the fit lacked it",
                    "fill it in, remove that row, or have it drawn: run.impute(table), or ptheta complete",
                )
            cells = np.full(len(values), np.nan)
            found = np.flatnonzero(~absent)
            if len(found):
                present = values.take(_indices(found))
                where = _moved(place, found)
                if unknown is not None and column["values"]:
                    codes = self._known[j].find(present)
                    if len(lost := np.flatnonzero(codes < 0)):
                        unknown[j] = found[lost], [present[int(row)].as_py() for row in lost]
                    cells[found] = np.where(codes < 0, np.nan, codes)
                    parts.append(cells)
                    continue
                cells[found] = self._levels(j, present, where) if column["values"] else self._numbers(j, present, where)
            parts.append(cells)
        return np.stack(parts, 1) if parts else np.empty((0, 0))

    def _levels(self, j: int, values: pa.Array, place: Place) -> np.ndarray:
        codes = self._known[j].find(values)
        if codes.min(initial=0) < 0:
            row = int(np.argmin(codes))
            raise SourceError(
                f"column {self.names[j]!r} is {values[row].as_py()!r} at {place(row)}, a value unknown to the run",
                'recode or remove that row, or take it as missing: unknown="missing", for ptheta complete --unknown '
                "missing",
            )
        return codes

    def _numbers(self, j: int, values: pa.Array, place: Place) -> np.ndarray:
        cells = self._settled(j, exact_numbers(values, self.names[j], place), stored_in(values.type))
        column = self.space.columns[j]
        wrong = _wrong(column, cells)
        if wrong.any():
            row = int(np.argmax(wrong))
            raise SourceError(
                f"column {self.names[j]!r} is {cells[row]:g} at {place(row)}, but it is {column.description}",
                "correct or remove that row",
            )
        return cells

    def _settled(self, j: int, cells: np.ndarray, stored: str = "double") -> np.ndarray:
        """Numbers [n] of column j as its values that they stand for: its own, its atoms, points of its grid.

        Args:
            j: number of the column.
            cells: float64, as `numbers` gives them.
            stored: resolution of the type in which they were stored.
        """
        column = self.space.columns[j]
        found = snapped(cells, self._resolution(j))
        if column.per:
            if stored_in(self.columns[j]["type"]) == "double":  # a point beyond what a narrow type tells apart is one
                points = _points(column, cells)
                rounding = ROUNDING * np.maximum(np.abs(cells), abs(column.offset))
                found = np.where(np.abs(cells - points) <= rounding, cells, found)
            off = np.flatnonzero(_wrong(column, found))
            points = _points(column, found[off])
            for resolution in NARROW:
                theirs = same(cells[off], points, resolution)
                theirs &= (stored == resolution) | ((stored == "double") & are_of(cells[off], resolution))
                found[off] = np.where(theirs, points, found[off])
        elif column.atoms:
            atom = self._known[j].find(cells, stored)
            found = np.where(atom >= 0, self._known[j].numbers[atom], found)
        return found

    def _resolution(self, j: int) -> str:
        return self.resolutions[j] if self.resolutions else "double"

    @cached_property
    def _known(self) -> list[Any]:
        """For each column, what it knows by name: the values of a category, the atoms of a number."""
        return [
            Levels(column["values"], resolution=self._resolution(j), numbered=column["name"] in self.numbered)
            if column["values"]
            else Known(np.array(column["atoms"], np.float64), self._resolution(j))
            for j, column in enumerate(self.columns)
        ]

    def levels_of(self, name: str) -> Levels | None:
        """The values of a category; None for numbers."""
        j = self.names.index(name)
        return self._known[j] if self.columns[j]["values"] else None

    def decode(self, x: Tensor | np.ndarray) -> pd.DataFrame:
        """A data frame with the columns' own values and types; a missing cell is NA, NaN or None."""
        import pandas as pd

        x = as_array(x)
        found = {}
        for j, column in enumerate(self.columns):
            values = _column(column, x[:, j], self._resolution(j))
            found[column["name"]] = in_frame(values, self.dtypes.get(column["name"]), column["missing"])
        return pd.DataFrame(found)

    def some_values(self, name: str) -> list[str]:
        """Some values of a column, as a person writes them."""
        column = self.columns[self.names.index(name)]
        values = column["values"] or column.get("seen") or []
        return [f"{value:g}" if isinstance(value, float) else str(value) for value in values[:SOME]]

    def arrow(self, frame: pd.DataFrame) -> pa.Table:
        """A decoded frame as an Arrow table of the source's types."""
        import pyarrow as pa

        types = {column["name"]: column["type"] for column in self.columns}
        return pa.table({name: in_arrow(frame[name], kind, self.dtypes.get(name)) for name, kind in types.items()})

    def cell(self, j: int, text: str) -> float:
        """The level of a value, or the number itself; an empty text is missing."""
        column, name = self.columns[j], self.names[j]
        if text == "" and column["missing"]:
            return np.nan
        if column["values"]:
            spelled = [str(value) for value in column["values"]]
            level = spelled.index(text) if text in spelled else self._known[j].find_one(text)
            if level < 0:
                some = spelled if len(spelled) <= SHOWN else [*spelled[:SHOWN], "…"]
                close = nearest(text, spelled)
                raise UsageError(
                    f"{name} has no value {text!r}", close if "mean" in close else f"choose one of {', '.join(some)}"
                )
            return level
        value = self._settled(j, np.array([as_number(text, name, self.writings.get(name))]))
        if _wrong(self.space.columns[j], value)[0]:
            raise UsageError(f"{name} is {text}, but it is {self.space.columns[j].description}", "give such a value")
        if doubt := beyond(value, column.get("seen"), name):
            remark(doubt)
        return float(value[0])


def exact_numbers(values: pa.Array, name: str, place: Place = nowhere) -> np.ndarray:
    """A column as finite float64 numbers [n] that are the source's own, none rounded to a neighbour.

    Raises:
        SourceError: text, a number that is not finite, or one of more digits than a grid has.
    """
    import pyarrow as pa

    values = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
    found = numbers(values, name, place)
    if pa.types.is_integer(values.type):
        rounded = np.abs(found) > LARGEST
    elif pa.types.is_decimal(values.type):
        rounded = np.abs(found) * 10.0**values.type.scale > LARGEST
    else:
        return found
    if rounded.any():
        row = int(np.argmax(rounded))
        raise SourceError(
            f"column {name!r} is {values[row].as_py()} at {place(row)}, more digits than float64 keeps",
            "choose other columns with --event, or save that column as text",
        )
    return found


def _meaning(column: dict[str, Any]) -> dict[str, Any]:
    """What of a column matters to events: not the range of train, and of its Arrow type only the resolution."""
    kind = None if column["values"] else stored_in(column["type"])
    return {name: value for name, value in column.items() if name != "seen"} | {"type": kind}


def _cell_of(column: dict[str, Any]) -> Column:
    """What the space says of a column."""
    levels, atoms = len(column["values"] or ()), tuple(column["atoms"])
    return Column(
        column["name"], levels, column["per"], column["offset"], column["low"], atoms, missing=column["missing"]
    )


def _points(column: Column, cells: np.ndarray) -> np.ndarray:
    """The values of the points of a column's grid nearest to cells [n]."""
    import torch

    return column.values(column.points(torch.from_numpy(cells))).numpy()


def _wrong(column: Column, cells: np.ndarray) -> np.ndarray:
    """Which cells [n] are not values of the column."""
    import torch

    return column.wrong(torch.from_numpy(cells)).numpy()


def _column(column: dict[str, Any], cells: np.ndarray, resolution: str) -> Any:
    """A column's own values from its cells [n], as its type and its resolution tell them apart."""
    import pandas as pd

    missing = np.isnan(cells)
    if column["values"]:
        values = np.array([*column["values"], None], object)
        found = values[np.where(missing, len(values) - 1, np.nan_to_num(cells)).astype(np.int64)]
        kind = type(column["values"][0])
        return pd.array(found, dtype={bool: "boolean", int: "Int64"}[kind]) if kind in (bool, int) else found
    cells = cells.clip(*_bounds(arrow_type(column["type"])))  # tails of a mixture continue where a type ends
    if column["per"] == 1 and float(column["offset"]).is_integer():
        numbers = pd.array(np.where(missing, 0, cells).clip(-LARGEST, LARGEST).astype(np.int64), dtype="Int64")
        numbers[missing] = pd.NA
        return numbers
    narrow = stored_in(column["type"])
    stored = narrow if narrow != "double" else resolution
    if stored == "double" or (narrow == "double" and column["per"]):
        return cells
    numbers = cells.astype(NARROW[stored])
    return numbers if column["type"] == "float" else shortest(numbers)


def _bounds(kind: pa.DataType) -> tuple[float, float]:
    """Least and largest number of an Arrow type, as far as float64 tells whole numbers apart."""
    import pyarrow as pa

    if pa.types.is_integer(kind):
        held = np.iinfo(kind.to_pandas_dtype())
        return max(held.min, -LARGEST), min(held.max, LARGEST)
    if pa.types.is_decimal(kind):
        most = min(10**kind.precision - 1, LARGEST) / 10**kind.scale
    else:
        most = float(np.finfo(kind.to_pandas_dtype()).max)
    return -most, most


def _indices(rows: np.ndarray) -> Any:
    import pyarrow as pa

    return pa.array(rows)


def _moved(place: Place, rows: np.ndarray) -> Place:
    return lambda row: place(int(rows[row]))
