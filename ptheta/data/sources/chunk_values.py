"""Values of a chunk of a table's column, whatever they are held in: a pyarrow array, a numpy array or a list."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.sources.tables import Column
from ptheta.errors import SourceError


def as_numpy(values: Any, name: str) -> np.ndarray:
    """A chunk of a column of arrays as a numpy array [rows, …].

    Raises:
        SourceError: rows differ in length, or lack values.
    """
    if isinstance(values, np.ndarray):
        return values
    import pyarrow as pa

    if isinstance(values, pa.ExtensionArray):
        values = values.storage
    sides = [len(values)]
    while pa.types.is_nested(values.type):
        lengths = values.value_lengths().unique() if hasattr(values, "value_lengths") else None
        side = values.type.list_size if lengths is None else (lengths[0].as_py() if len(lengths) == 1 else None)
        if side is None or values.null_count:
            raise _ragged(name, "differ in length or are missing")
        sides.append(side)
        values = values.flatten()
    if values.null_count:
        raise _ragged(name, "lack values")
    return values.to_numpy(zero_copy_only=False).reshape(sides)


def _ragged(name: str, what: str) -> SourceError:
    return SourceError(f"the rows of column {name!r} {what}", "choose other columns with --event")


def take(values: Any, rows: np.ndarray) -> Any:
    """Some rows of a chunk's column."""
    if isinstance(values, np.ndarray):
        return values[rows]
    if isinstance(values, list):
        return [values[row] for row in rows]
    import pyarrow as pa

    return values.take(pa.array(rows))


def missing(values: Any) -> np.ndarray:
    """Which rows of a chunk's column have no value, bool [rows]; NaN counts as none."""
    if isinstance(values, list):
        return np.array([value is None for value in values], bool)
    if isinstance(values, np.ndarray):
        return np.isnan(values) if values.ndim == 1 and values.dtype.kind == "f" else np.zeros(len(values), bool)
    return values.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)


def named(values: Any, column: Column, place: Any, *, missing: bool = False) -> Any:
    """A chunk of class numbers as an Arrow dictionary of class names; other kinds as they are.

    Args:
        values: of the column.
        column: with its names.
        place: names a row in an error.
        missing: whether a number may be missing.

    Raises:
        SourceError: a missing number, or one without a name.
    """
    if column.names is None:
        return values
    import pyarrow as pa

    array = values if isinstance(values, pa.Array) else pa.array(values)
    absent = array.is_null().to_numpy(zero_copy_only=False)
    codes = np.nan_to_num(array.to_numpy(zero_copy_only=False), nan=-1).astype(np.int64)
    wrong = ((codes < 0) | (codes >= len(column.names))) & ~(absent & missing)
    if wrong.any():
        row = int(np.argmax(wrong))
        if absent[row]:
            raise SourceError(f"column {column.name!r} is missing at {place(row)}", "fill it in or remove that row")
        raise SourceError(
            f"column {column.name!r} is {array[row].as_py()} at {place(row)}",
            f"its {len(column.names)} labels are 0 to {len(column.names) - 1}",
        )
    return pa.DictionaryArray.from_arrays(pa.array(codes.astype(np.int32), mask=absent), pa.array(column.names))
