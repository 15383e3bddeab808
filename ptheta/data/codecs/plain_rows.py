"""Rows of a table ↔ events: categories to a `Discrete` space, numbers to a `Real` one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Place, as_array, compact, nowhere
from ptheta.data.codecs.dtypes import in_arrow, in_frame
from ptheta.data.codecs.frames import FrameCodec, as_arrow, as_number, column_of
from ptheta.data.codecs.known import Levels
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.numerals import is_number
from ptheta.spaces import Discrete, Real
from ptheta.values import NARROW, RESOLUTIONS, shortest, snapped

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa

DENSE = 2**20
"""Widest range of whole-number categories that is looked up by position."""


@dataclass(frozen=True)
class TableCodec(FrameCodec):
    """Columns of a table ↔ numbers: level k of a column is its k-th value in sorted order; real numbers stay.

    Args:
        columns: names, in the order of the dimensions.
        values: sorted values of every column (all str, int, bool or float), or None for columns of real numbers.
        real: "float32" or "float64" for real numbers, None for categories.
        resolutions: of columns of numbers, see `ptheta.values`; none: double.
        numbered: columns of classes, whose numbers in a column of whole numbers stand for them.
        types: Arrow types of the columns; none: not known.
        dtypes: column → its type in a data frame, where its Arrow type does not say it, see `codecs.dtypes`.
        writing: how the source was written, if it is a text table of an unusual kind, see `FrameCodec`.
    """

    columns: list[str]
    values: list[list[Any]] | None = None
    real: str | None = None
    resolutions: list[str] = field(default_factory=list, compare=False)
    numbered: list[str] = field(default_factory=list, compare=False)
    types: list[str] = field(default_factory=list, compare=False)
    dtypes: dict[str, Any] = field(default_factory=dict, compare=False)
    writing: dict[str, Any] = field(default_factory=dict, compare=False)

    kind = "table"

    def __post_init__(self):
        if (self.values is None) == (self.real is None) or self.real not in (None, "float32", "float64"):
            raise ValueError("a table has either values or a real type")
        if self.values is not None and len(self.values) != len(self.columns):
            raise ValueError(f"{len(self.values)} lists of values for {len(self.columns)} columns")
        check_resolutions(self.resolutions, self.columns)

    @property
    def names(self) -> list[str]:
        """Columns, in the order of the dimensions."""
        return self.columns

    @property
    def space(self) -> Discrete | Real:
        """Discrete((m,), sizes of the columns) or Real((m,))."""
        shape = (len(self.columns),)
        if self.values is None:
            return Real(shape)
        sizes = tuple(len(v) for v in self.values)
        return Discrete(shape, max(sizes), None if len(set(sizes)) == 1 else sizes)

    @property
    def dtype(self) -> np.dtype:
        """Compact integers, or the real type."""
        return np.dtype(self.real) if self.values is None else compact(max(len(v) for v in self.values))

    @property
    def taken_as(self) -> str:
        """Real numbers or categories; fractions are categories only if nothing else is asked for."""
        if self.values is None:
            return "real"
        return "auto" if any(isinstance(values[0], float) for values in self.values) else "categories"

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, m] of a data frame, or of a dict from column name to array."""
        x = np.empty((len(raw[self.columns[0]]) if self.columns[0] in raw else 0, len(self.columns)), self.dtype)
        for j, name in enumerate(self.columns):
            values = as_arrow(column_of(raw, name), name, place)
            x[:, j] = self._numbers(j, values, place) if self.values is None else self._codes(j, values, place)
        return x

    def _numbers(self, j: int, values: pa.Array, place: Place) -> np.ndarray:
        found = numbers(values, self.columns[j], place)
        return snapped(found, self.resolutions[j]) if self.resolutions else found

    def _codes(self, j: int, values: pa.Array, place: Place) -> np.ndarray:
        import pyarrow as pa

        table, low = self._lookups[j]
        if table is None or not (pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
            codes = self._levels[j].find(values)
        else:
            whole = values.to_numpy(zero_copy_only=False)
            if len(whole) and not (low <= int(whole.min()) and int(whole.max()) < low + len(table)):
                whole = whole.astype(np.int64)
                inside = (whole >= low) & (whole < low + len(table))
                codes = np.where(inside, table[np.where(inside, whole - low, 0)], -1)
            else:
                codes = table[whole.astype(np.int64) - low]
        if len(codes) and int(codes.min()) < 0:
            row = int(np.argmin(codes))
            raise SourceError(
                f"column {self.columns[j]!r} is {values[row].as_py()!r} at {place(row)}, a value unknown to the run",
                "recode or remove that row",
            )
        return codes

    @cached_property
    def _lookups(self) -> list[tuple[np.ndarray | None, int]]:
        """For each column, whole number → level: an array from the lowest value on; None if that would be long."""
        return [_lookup(values) for values in self.values or []]

    @cached_property
    def _levels(self) -> list[Levels]:
        """For each column, its values."""
        resolutions = self.resolutions or ["double"] * len(self.columns)
        return [
            Levels(values, resolution=resolution, numbered=name in self.numbered)
            for name, values, resolution in zip(self.columns, self.values or (), resolutions)
        ]

    def levels_of(self, name: str) -> Levels | None:
        """The values of a category; None for numbers."""
        return self._levels[self.columns.index(name)] if self.values is not None else None

    def decode(self, x: Tensor | np.ndarray) -> pd.DataFrame:
        """A data frame with the columns' own values."""
        import pandas as pd

        x = as_array(x)
        found = {}
        for j, name in enumerate(self.columns):
            values = x[:, j].astype(self.dtype) if self.values is None else np.array(self.values[j])[x[:, j]]
            found[name] = in_frame(self._narrow(j, values), self.dtypes.get(name), False)
        return pd.DataFrame(found)

    def _narrow(self, j: int, values: np.ndarray) -> np.ndarray:
        """Real numbers [n] of column j in its own type, if it is narrower than that of the events."""
        narrow = NARROW.get(stored_in(self.types[j])) if self.types and self.values is None else None
        return values if narrow is None else values.astype(narrow)

    def arrow(self, frame: pd.DataFrame) -> pa.Table:
        """A decoded frame as an Arrow table of the source's types."""
        import pyarrow as pa

        if not self.types:
            return pa.Table.from_pandas(frame, preserve_index=False)
        types = zip(self.columns, self.types)
        return pa.table({name: in_arrow(frame[name], kind, self.dtypes.get(name)) for name, kind in types})

    def cell(self, j: int, text: str) -> float:
        """The level of a value, or the number itself."""
        name = self.columns[j]
        if self.values is None:
            return as_number(text, name, self.writings.get(name))
        spelled = [str(value) for value in self.values[j]]
        level = spelled.index(text) if text in spelled else self._levels[j].find_one(text)
        if level < 0:
            raise UsageError(f"{name} has no value {text!r}", nearest(text, spelled))
        return level


def beyond(x: np.ndarray, seen: Sequence[float] | None, name: str) -> str | None:
    """That numbers lie outside the range that was seen in training, in a sentence; None if none does.

    Args:
        x: numbers [n]; NaN is none.
        seen: the least and the greatest of training; None: unknown.
        name: of the column.

    >>> beyond(np.array([20.0, 200.0, np.nan]), [17.0, 90.0], "age")
    'age is 200, and in training it was 17 to 90'
    """
    if seen is None:
        return None
    outside = x[(x < seen[0]) | (x > seen[1])]
    if not len(outside):
        return None
    many = "" if len(outside) == 1 else f" ({len(outside):,} values are outside)"
    return f"{name} is {outside[0]:g}, and in training it was {seen[0]:g} to {seen[1]:g}{many}"


def check_resolutions(resolutions: list[str], columns: list[Any]) -> None:
    """Check that resolutions are those of the columns, or none.

    Raises:
        ValueError: they are not.
    """
    if resolutions and (len(resolutions) != len(columns) or not set(resolutions) <= set(RESOLUTIONS)):
        raise ValueError(f"the resolutions {resolutions} are not those of {len(columns)} columns")


def stored_in(kind: pa.DataType | str) -> str:
    """The resolution of an Arrow type, or of the one that prints so."""
    return {"halffloat": "half", "float": "single"}.get(str(kind), "double")


def numbers(values: pa.Array, name: str, place: Place = nowhere) -> np.ndarray:
    """A column as finite float64 numbers [n], those that its cells stand for (see `ptheta.values`).

    Raises:
        SourceError: text that is not a number, or a number that is not finite.
    """
    import pyarrow as pa

    values = values.dictionary_decode() if isinstance(values, pa.DictionaryArray) else values
    kind = values.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        written = values.to_pylist()
        if (wrong := next((row for row, text in enumerate(written) if not is_number(text)), None)) is not None:
            raise SourceError(
                f"column {name!r} holds text, not numbers, such as {written[wrong]!r} at {place(wrong)}",
                "choose other columns with --event",
            )
        return np.array(written, np.float64) if written else np.empty(0)
    if pa.types.is_decimal(kind):
        values = values.cast(pa.string()).cast(pa.float64())  # of itself Arrow does not round to the nearest
    elif not (pa.types.is_floating(kind) or pa.types.is_integer(kind) or pa.types.is_boolean(kind)):
        raise SourceError(f"column {name!r} holds {kind}, not numbers", "choose other columns with --event")
    column = shortest(values.to_numpy(zero_copy_only=False))
    finite = np.isfinite(column)
    if not finite.all():
        row = int(np.argmin(finite))
        raise SourceError(f"column {name!r} is {column[row]} at {place(row)}", "fill it in or remove that row")
    return column


def _lookup(values: list[Any]) -> tuple[np.ndarray | None, int]:
    if isinstance(values[0], str | float) or values[-1] - values[0] >= DENSE:
        return None, 0
    low = int(values[0])
    table = np.full(int(values[-1]) - low + 1, -1, np.int32)
    table[np.array(values, np.int64) - low] = np.arange(len(values))
    return table, low
