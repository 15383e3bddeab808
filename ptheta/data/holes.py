"""Tables in memory of which cells are missing: read as a run reads them, and given back filled, in their own type."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal, get_args

import numpy as np
import torch

from ptheta.data.codecs import FrameCodec, RowCodec
from ptheta.data.sources.memory import table_of
from ptheta.data.sources.tables import SHOWN, Table
from ptheta.errors import SourceError, UsageError, closest, nearest
from ptheta.numbers import listed, plural
from ptheta.remarks import remark

Unknown = Literal["error", "missing"]
"""What becomes of a category that no row of the fit had."""

DRAWS = 32
"""Draws of a missing cell from which its best guess is made, unless asked otherwise."""


class Holed:
    """A table whose missing cells are to be filled.

    Args:
        values: a data frame of pandas, polars or Arrow, a dict of columns, or a list of dicts, one a row.
        codec: of the run that knows its columns.
        unknown: what becomes of a category that no row of the fit had: `error`, or `missing`: nothing is conditioned on
            that cell, and it stays as it is.

    Attributes:
        rows: cells [n, m] float64 in the order of the codec's columns, NaN where one is missing; of a column that the
            table lacks, all are.
        missing: which of them are to be filled, bool [n, m]: the missing ones that are not unknown.

    Raises:
        SourceError: it is no table, has none of the columns, or a cell that is none of its column's; row and column are
            named.
    """

    def __init__(self, values: Any, codec: RowCodec, unknown: Unknown = "error"):
        self.values, self.codec = values, codec
        table = opened(values, codec)
        names = [name for name in codec.names if name in table.columns]
        if lacking := [name for name in codec.names if name not in names]:
            if not names:
                raise SourceError("the table has none of the run's columns", f"they are {listed(codec.names, SHOWN)}")
            for name in table.columns:
                if name not in names and (meant := closest(name, lacking)) is not None:
                    raise SourceError(f"the table has a column {name!r} and none called {meant!r}", "rename it")
            remark(f"columns that the table lacks are drawn: {listed(lacking, SHOWN)}")
        self.rows, strange = rows_of(table, codec, names, unknown)
        self.missing = np.isnan(self.rows) & ~strange

    def filled(self, cells: np.ndarray) -> Any:
        """The table with its missing cells taken from `cells` [n, m]; all else stays, types and order included."""
        drawn = self.codec.decode(cells)
        holes = {name: self.missing[:, j] for j, name in enumerate(self.codec.names) if self.missing[:, j].any()}
        pandas = sys.modules.get("pandas")
        if pandas is not None and isinstance(self.values, pandas.DataFrame):
            return _filled_frame(self.values, holes, drawn)
        if isinstance(self.values, Mapping):
            return _filled_columns(self.values, holes, drawn)
        if isinstance(self.values, list | tuple):
            return _filled_records(self.values, holes, drawn)
        return _filled_arrow(self.values, holes, self.codec.arrow(drawn))


def opened(values: Any, codec: FrameCodec) -> Table:
    """A table in memory, with columns of words as they are spelled.

    Raises:
        SourceError: it is no table.
    """
    if isinstance(values, list | tuple) and values and all(isinstance(row, Mapping) for row in values):
        import pandas as pd

        values = pd.DataFrame.from_records([{str(name): row[name] for name in row} for row in values])
    if isinstance(values, Mapping):
        import pandas as pd

        values = {str(name): column for name, column in values.items()}
        if any(isinstance(column, list | tuple) for column in values.values()):  # whose None is a missing cell
            values = pd.DataFrame({name: pd.Series(column) for name, column in values.items()})
    return table_of(values, "the table")


def rows_of(
    table: Table,
    codec: RowCodec,
    names: list[str],
    unknown: Unknown = "error",
    *,
    whole: bool = False,
    place_of: Callable[[int], str] | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Rows [n, m] of a table, NaN where a cell is missing or its column is, and which of them are unknown categories.

    Args:
        table: to read.
        codec: of the run.
        names: columns of the codec that the table has.
        unknown: see `Holed`; how many cells of which column count as missing is remarked.
        whole: whether no other cell may be missing that was not in the fit.
        place_of: names a row in an error; None: by its number.

    Raises:
        SourceError: a cell that is none of its column's; row and column are named.
    """
    if unknown not in get_args(Unknown):
        raise UsageError(
            f"no treatment of unknown categories is called {unknown!r}", nearest(str(unknown), ["error", "missing"])
        )
    parts, masks, start = [np.empty((0, len(codec.names)))], [np.zeros((0, len(codec.names)), bool)], 0
    strange: dict[str, list[Any]] = {}
    for chunk in table.chunks(names):
        length = len(chunk[names[0]])
        absent = {name: np.full(length, np.nan) for name in codec.names if name not in names}

        def place(row: int, start: int = start) -> str:
            return f"row {start + row + 1:,}" if place_of is None else place_of(start + row)

        present = {name: codec.named(chunk[name], table.columns[name], place, missing=True) for name in names}
        if unknown == "error":
            rows = codec.encode(present, place) if whole else codec.partial(present | absent, place)
            mask = np.zeros((length, len(codec.names)), bool)
        else:
            rows, mask, found = codec.without_unknown(present | absent, place, partial=not whole)
            for name, values in found.items():
                strange.setdefault(name, []).extend(values)
        parts.append(rows)
        masks.append(mask)
        start += length
    for name, values in strange.items():
        most, times = Counter(values).most_common(1)[0]
        remark(
            f"column {name}: taken as missing, since the fit had no such value: {plural(len(values), 'cell')}, such as "
            f"{most!r} ({times:,})"
        )
    return np.concatenate(parts), np.concatenate(masks)


def _filled_frame(frame: Any, holes: dict[str, np.ndarray], drawn: Any) -> Any:
    """A data frame of pandas; its index stays, and a column is made wider only where its type cannot hold a value."""
    import pandas as pd

    result = frame.copy()
    for name, where in holes.items():
        own = next((column for column in frame.columns if str(column) == name), None)
        if own is None:
            result[name] = drawn[name].to_numpy() if isinstance(drawn[name].dtype, np.dtype) else drawn[name].array
            continue
        values = drawn[name].to_numpy(object)[where]
        column = frame[own].copy()
        if isinstance(column.dtype, pd.CategoricalDtype):
            new = [value for value in dict.fromkeys(values) if value not in column.cat.categories]
            column = column.cat.add_categories(new) if new else column
        elif column.dtype != object and column.isna().all():  # its type says nothing of what it lacks
            column = column.astype(object)
        try:
            column.iloc[where] = values if column.dtype == object else pd.array(values, dtype=column.dtype)
        except (TypeError, ValueError):
            column = column.astype(object)
            column.iloc[where] = values
        result[own] = column.infer_objects() if frame[own].isna().all() else column
    return result


def _filled_columns(columns: Mapping[Any, Any], holes: dict[str, np.ndarray], drawn: Any) -> dict[Any, Any]:
    """A dict of columns: lists stay lists, arrays arrays of their type."""
    result = dict(columns)
    by_name = {str(name): name for name in columns}
    for name, where in holes.items():
        new = drawn[name].tolist()
        if name not in by_name:
            result[name] = new
            continue
        column = columns[by_name[name]]
        if isinstance(column, np.ndarray):
            filled = np.ma.getdata(column).copy()
            filled[where] = drawn[name].to_numpy(object)[where]
            result[by_name[name]] = filled
        else:
            filled = [value if hole else own for own, value, hole in zip(column, new, where)]
            result[by_name[name]] = filled if isinstance(column, list) else type(column)(filled)
    return result


def _filled_records(records: Any, holes: dict[str, np.ndarray], drawn: Any) -> list[dict[Any, Any]]:
    """A list of dicts, one a row."""
    result = [dict(record) for record in records]
    for name, where in holes.items():
        new = drawn[name].tolist()
        for row in np.flatnonzero(where):
            key = next((key for key in result[row] if str(key) == name), name)
            result[row][key] = new[row]
    return result


def _filled_arrow(values: Any, holes: dict[str, np.ndarray], drawn: Any) -> Any:
    """An Arrow table, or a data frame of a library that is made of one, such as polars."""
    import pyarrow as pa

    table = pa.table(values)
    for name, where in holes.items():
        if name not in table.column_names:
            table = table.append_column(name, drawn.column(name))
            continue
        at = table.column_names.index(name)
        column = merged(table.column(at), drawn.column(name).combine_chunks(), pa.array(where))
        table = table.set_column(at, table.schema.field(at), column)
    if isinstance(values, pa.Table):
        return table
    polars = sys.modules.get("polars")
    if polars is not None and isinstance(values, polars.DataFrame):
        return polars.from_arrow(table).cast(dict(values.schema))
    return type(values)(table)


def merged(kept: Any, drawn: Any, where: Any) -> Any:
    """A column of Arrow, of the type of `kept`: `drawn` where asked, else `kept`."""
    import pyarrow as pa
    import pyarrow.compute as pc

    kind = kept.type
    values = kind.value_type if pa.types.is_dictionary(kind) else kind
    plain = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}.get(values, values)
    drawn = drawn.dictionary_decode() if isinstance(drawn, pa.DictionaryArray) else drawn
    both = pc.if_else(where, drawn.cast(plain), kept.cast(plain))  # type: ignore[attr-defined]
    if values is kind:
        return both.cast(kind)
    named = kept.unify_dictionaries().chunk(0).dictionary.cast(plain)  # the order of its values says something too
    new = [value for value in both.unique().drop_null().to_pylist() if value not in set(named.to_pylist())]
    named = pa.concat_arrays([named, pa.array(new, plain)])
    places = pc.index_in(both, named).combine_chunks()  # type: ignore[attr-defined]
    return pa.chunked_array([pa.DictionaryArray.from_arrays(places.cast(kind.index_type), named, ordered=kind.ordered)])


def best_guess(codec: RowCodec, drawn: np.ndarray) -> np.ndarray:
    """The most frequent level of a category, the (lower) median of a number, over draws [b, n, m]; [b, m]."""
    guess = np.empty((len(drawn), drawn.shape[2]))
    for j, column in enumerate(codec.space.columns):
        cells = drawn[:, :, j]
        if column.is_category:
            guess[:, j] = torch.from_numpy(cells.copy()).mode(1).values
        else:
            guess[:, j] = np.sort(cells, 1)[:, (cells.shape[1] - 1) // 2]
    return guess
