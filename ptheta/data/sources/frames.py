"""Columns of data frames as Arrow arrays, one at a time: each is taken as it is, or left out with a reason."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from ptheta.data.sources.tables import ArrowTable, Column, Dtype
from ptheta.errors import SourceError
from ptheta.remarks import remark

if TYPE_CHECKING:
    import pandas as pd
    import pyarrow as pa


def frame_table(frame: pd.DataFrame, title: str) -> ArrowTable:
    """A table over a data frame of pandas; its index is left out, which is reported if it has a name.

    Raises:
        SourceError: columns of one name, or of names of several levels.
    """
    import pandas as pd

    if frame.columns.nlevels > 1:
        raise SourceError(
            f"the columns of {title} have names of {frame.columns.nlevels} levels",
            "join them, such as frame.columns = frame.columns.map('_'.join)",
        )
    if (names := [str(name) for name in frame.index.names if name is not None]) and not frame.empty:
        remark(f"index {', '.join(names)} was left out; frame.reset_index() makes it a column")
    columns = {}
    for place, name in enumerate(map(str, frame.columns)):
        if name in columns:
            raise SourceError(f"two columns of {title} are called {name!r}", "rename one of them")
        series = frame.iloc[:, place]
        columns[name] = series if isinstance(series, pd.Series) else pd.Series(series)
    return table_of_columns({name: taken(series, name) for name, series in columns.items()}, title, len(frame))


def table_of_columns(columns: dict[str, tuple[pa.Array | str, Dtype]], title: str, rows: int) -> ArrowTable:
    """A table over columns.

    Args:
        columns: name → its values, or why it has none; and the type of its values in a frame.
        title: of the table.
        rows: of each.
    """
    import datasets
    import pyarrow as pa

    arrays = {name: values for name, (values, _) in columns.items() if not isinstance(values, str)}
    table, whys = usable(pa.table(arrays or {"": pa.nulls(rows)}))
    made = ArrowTable.of(datasets.Dataset(table), title)
    whys |= {name: values for name, (values, _) in columns.items() if isinstance(values, str)}
    found = {
        name: Column(name, "other", why=whys[name]) if name in whys else replace(made.columns[name], dtype=dtype)
        for name, (_, dtype) in columns.items()
    }
    return replace(made, columns=found)


def declared(column: pa.ChunkedArray) -> tuple[pa.ChunkedArray | pa.Array, Dtype]:
    """A column of Arrow, and what it declares of its categories if it is a dictionary."""
    import pyarrow as pa

    kind = column.type
    if not pa.types.is_dictionary(kind):
        return column, None
    values = column.unify_dictionaries().combine_chunks()
    values = values.chunk(0) if isinstance(values, pa.ChunkedArray) else values
    known = values.dictionary
    known = known.cast(pa.large_string()) if known.type == pa.string_view() else known
    dtype = {"categories": known.to_pylist(), "ordered": kind.ordered, "index": str(kind.index_type)}
    return pa.DictionaryArray.from_arrays(values.indices, known, ordered=kind.ordered), dtype


def usable(table: pa.Table) -> tuple[pa.Table, dict[str, str]]:
    """The columns of a table of Arrow that `datasets` can hold, views as strings; and the types of the others."""
    import datasets
    import pyarrow as pa

    views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
    whys = {}
    for place, field in enumerate(table.schema):
        if (kind := views.get(field.type)) is not None:
            table = table.set_column(place, field.with_type(kind), table.column(place).cast(kind))
        else:
            try:
                datasets.features.features.generate_from_arrow_type(field.type)
            except (ValueError, TypeError):
                whys[field.name] = str(field.type)
    kept = table.drop_columns(list(whys)) if whys else table
    return kept if kept.num_columns else kept.append_column("", pa.nulls(table.num_rows)), whys


def taken(series: pd.Series, name: str) -> tuple[pa.Array | str, Dtype]:
    """A column's values, or why it has none that can be learned; and its type, where Arrow's does not say it."""
    import pandas as pd
    import pyarrow as pa

    kind = series.dtype
    if isinstance(kind, pd.SparseDtype):
        series = series.sparse.to_dense()
        kind = series.dtype
    if isinstance(kind, pd.CategoricalDtype):
        return _category(series, name)
    if isinstance(kind, pd.IntervalDtype | pd.PeriodDtype | pd.DatetimeTZDtype) or kind.kind in "mMc":
        return str(kind), None
    if isinstance(kind, np.dtype) and kind.kind == "f" and kind.itemsize > 8:
        series = series.astype(np.float64)
    elif isinstance(kind, np.dtype) and not kind.isnative:
        series = series.astype(kind.newbyteorder("="))
    try:
        array = pa.array(series, from_pandas=True)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        return _of_objects(series, name), None
    array = array.combine_chunks() if isinstance(array, pa.ChunkedArray) else array
    if isinstance(array, pa.ListArray | pa.LargeListArray) and len(array.value_lengths().unique()) > 1:
        return "lists of different lengths", None
    nullable = isinstance(kind, pd.api.extensions.ExtensionDtype) and str(kind) in NULLABLE
    return array, str(kind) if nullable else None


NULLABLE = (
    *(f"{sign}{bits}" for sign in ("Int", "UInt") for bits in (8, 16, 32, 64)),
    "Float32",
    "Float64",
    "boolean",
    "string",
)
"""Types of pandas that have a value for missing."""


def _category(series: pd.Series, name: str) -> tuple[pa.Array | str, Dtype]:
    """A column of pandas' categories as a dictionary; intervals and dates are called as they print."""
    import pandas as pd
    import pyarrow as pa

    categories, ordered = series.cat.categories, bool(series.cat.ordered)
    if not pd.api.types.is_bool_dtype(categories.dtype) and categories.dtype.kind not in "iuf":
        known = [value if isinstance(value, str) else str(value) for value in categories]
        if len(set(known)) < len(known):
            return "categories that print alike", None
    else:
        known = categories.tolist()
    codes = series.cat.codes.to_numpy()
    array = pa.DictionaryArray.from_arrays(pa.array(codes, mask=codes < 0), pa.array(known), ordered=ordered)
    return array, {"categories": known, "ordered": ordered, "index": str(array.type.index_type)}


def _of_objects(series: pd.Series, name: str) -> pa.Array | str:
    """Objects that Arrow has no one type for: whole numbers beyond 64 bits as texts; else what they are."""
    import pyarrow as pa

    absent = series.isna().to_numpy()
    values = [None if missing else value for value, missing in zip(series.tolist(), absent)]
    kinds = {type(value) for value in values if value is not None}
    if kinds <= {int}:
        remark(f"column {name} has whole numbers beyond 64 bits, which are read as text")
        return pa.array([None if value is None else str(value) for value in values])
    names = sorted(kind.__name__ for kind in kinds)
    return f"values of several types: {', '.join(names)}" if len(names) > 1 else f"objects of type {names[0]}"
