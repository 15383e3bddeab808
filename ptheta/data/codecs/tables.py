"""Rows of a table ↔ events: categories to a `Discrete` space, numbers to a `Real` one."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import Place, as_array, compact, nowhere
from ptheta.data.codecs.frames import FrameCodec, as_arrow, as_number, column_of
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.spaces import Discrete, Real

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
        values: sorted values of every column (all str, int or bool), or None for columns of real numbers.
        real: "float32" or "float64" for real numbers, None for categories.
    """

    columns: list[str]
    values: list[list[Any]] | None = None
    real: str | None = None

    kind = "table"

    def __post_init__(self):
        if (self.values is None) == (self.real is None) or self.real not in (None, "float32", "float64"):
            raise ValueError("a table has either values or a real type")
        if self.values is not None and len(self.values) != len(self.columns):
            raise ValueError(f"{len(self.values)} lists of values for {len(self.columns)} columns")

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

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Events [n, m] of a data frame, or of a dict from column name to array."""
        x = np.empty((len(raw[self.columns[0]]) if self.columns[0] in raw else 0, len(self.columns)), self.dtype)
        for j, name in enumerate(self.columns):
            values = as_arrow(column_of(raw, name), name, place)
            x[:, j] = numbers(values, name, place) if self.values is None else self._codes(j, values, place)
        return x

    def _codes(self, j: int, values: pa.Array, place: Place) -> np.ndarray:
        import pyarrow as pa

        table, low = self._lookups[j]
        if isinstance(table, dict):
            coded = values if isinstance(values, pa.DictionaryArray) else values.dictionary_encode()
            levels = np.array([table.get(value, -1) for value in coded.dictionary.to_pylist()], np.int32)
            codes = levels[coded.indices.to_numpy(zero_copy_only=False)] if len(levels) else np.empty(0, np.int32)
        else:
            if not (pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
                raise SourceError(
                    f"column {self.columns[j]!r} holds {values.type}, not whole numbers", "give the same columns"
                )
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
                f"column {self.columns[j]!r} is {values[row].as_py()!r} at {place(row)}, a value it has not had before",
                "recode or remove that row",
            )
        return codes

    @cached_property
    def _lookups(self) -> list[tuple[Any, int]]:
        """For each column, value → level: an array from the lowest value on, or a dict."""
        return [_lookup(values) for values in self.values or []]

    def decode(self, x: Tensor | np.ndarray) -> pd.DataFrame:
        """A data frame with the columns' own values."""
        import pandas as pd

        x = as_array(x)
        if self.values is None:
            return pd.DataFrame(x.astype(self.dtype), columns=pd.Index(self.columns))
        return pd.DataFrame({n: np.array(v)[x[:, j]] for j, (n, v) in enumerate(zip(self.columns, self.values))})

    def arrow(self, frame: pd.DataFrame) -> pa.Table:
        """A decoded frame as an Arrow table."""
        import pyarrow as pa

        return pa.Table.from_pandas(frame, preserve_index=False)

    def cell(self, j: int, text: str) -> float:
        """The level of a value, or the number itself."""
        name = self.columns[j]
        if self.values is None:
            return as_number(text, name)
        spelled = [str(value) for value in self.values[j]]
        if text not in spelled:
            raise UsageError(f"{name} is never {text!r}", nearest(text, spelled))
        return spelled.index(text)


def numbers(values: pa.Array, name: str, place: Place = nowhere) -> np.ndarray:
    """A column as finite real numbers [n].

    Raises:
        SourceError: text, or a number that is not finite.
    """
    import pyarrow as pa

    if not (pa.types.is_floating(values.type) or pa.types.is_integer(values.type) or pa.types.is_boolean(values.type)):
        if not pa.types.is_decimal(values.type):
            raise SourceError(f"column {name!r} holds {values.type}, not numbers", "choose other columns with --event")
        values = values.cast(pa.float64())
    column = values.to_numpy(zero_copy_only=False)
    finite = np.isfinite(column)
    if not finite.all():
        row = int(np.argmin(finite))
        raise SourceError(f"column {name!r} is {column[row]} at {place(row)}", "fill it in or remove that row")
    return column


def _lookup(values: list[Any]) -> tuple[Any, int]:
    if isinstance(values[0], str) or values[-1] - values[0] >= DENSE:
        return {value: level for level, value in enumerate(values)}, 0
    low = int(values[0])
    table = np.full(int(values[-1]) - low + 1, -1, np.int32)
    table[np.array(values, np.int64) - low] = np.arange(len(values))
    return table, low
