"""Tables: a CSV file comes back with the same bytes, a Parquet file with the same cells, schema and types.

Columns that the model knows are coded; the others are kept beside them.
"""

from __future__ import annotations

import hashlib
import io
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.coding import csv_tables
from ptheta.coding.csv_tables import Found
from ptheta.data.readers import open_rows, rows_of
from ptheta.data.sources.delimited import TextTable
from ptheta.values import NARROW, shortest

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")

_LENGTH = struct.Struct("<I")


def read(path: Path, content: bytes, codec: Any, context: str | None) -> Iterator[Found]:
    """Rows of a table file, what is kept beside them, how they become the file again, and labels; of a CSV file in
    several ways, of which the first that gives its bytes is taken."""
    table = open_rows(codec, path)
    rows = on_grid(rows_of(codec, table, path), codec.space)
    if isinstance(table, TextTable):
        yield from csv_tables.read(path, content, codec, rows, table, context)
    else:
        yield rows, *_parquet_beside(path, codec, rows, context)


def restore(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> tuple[bytes, str | None]:
    """The table file of rows [n, m], and a digest of its cells if its bytes may differ."""
    if csv_tables.is_csv(how):
        return csv_tables.restore(rows, side, codec, how), None
    import pyarrow.parquet as pq

    table = _arrow(rows, side, codec, how.get("wide"))
    buffer = io.BytesIO()
    pq.write_table(table, buffer, compression="zstd")
    return buffer.getvalue(), digest(table)


def on_grid(x: np.ndarray, space: Any) -> np.ndarray:
    """Rows whose numbers on a grid are exactly its points."""
    import torch

    from ptheta.spaces import Table

    if isinstance(space, Table):
        x = x.copy()
        for j, column in enumerate(space.columns):
            if column.per:
                x[:, j] = column.values(column.points(torch.from_numpy(x[:, j])))
    return x


# Parquet


def _parquet_beside(
    path: Path, codec: Any, rows: np.ndarray, context: str | None
) -> tuple[bytes, dict[str, Any], list[str] | None]:
    """The schema and the other columns, the digest of all cells, columns cast from a narrow type, and labels."""
    import pyarrow.parquet as pq

    table = pq.ParquetFile(path).read()
    rest = table.drop_columns([name for name in codec.names if name in table.column_names])
    schema = table.schema.serialize().to_pybytes()
    labels = [str(value) for value in rest[context].to_pylist()] if context in rest.column_names else None
    how = {"digest": digest(table), "wide": _wide(table, rows, codec)}
    return _LENGTH.pack(len(schema)) + schema + _stream(rest), how, labels


def _wide(table: Any, rows: np.ndarray, codec: Any) -> dict[str, str]:
    """Column → resolution of the type that its numbers had before they were cast to float64."""
    import pyarrow as pa

    coded = codec.arrow(codec.decode(rows))
    found = {}
    for name in codec.names:
        if pa.types.is_float64(table.schema.field(name).type) and pa.types.is_floating(coded[name].type):
            stored, meant = table[name].to_numpy(), shortest(coded[name].to_numpy())
            for resolution, narrow in NARROW.items() if not np.array_equal(stored, meant, equal_nan=True) else ():
                if np.array_equal(stored, meant.astype(narrow).astype(np.float64), equal_nan=True):
                    found[name] = resolution
    return found


def _arrow(rows: np.ndarray, side: bytes, codec: Any, wide: dict[str, str] | None) -> Any:
    """The Arrow table of rows and what was kept beside them."""
    import pyarrow as pa

    (size,) = _LENGTH.unpack_from(side)
    schema = pa.ipc.read_schema(pa.py_buffer(side[_LENGTH.size : _LENGTH.size + size]))
    rest = pa.ipc.open_stream(side[_LENGTH.size + size :]).read_all()
    coded = codec.arrow(codec.decode(rows))
    columns = []
    for field in schema:
        column = coded[field.name] if field.name in codec.names else rest[field.name]
        if wide is not None and pa.types.is_floating(column.type) and pa.types.is_float64(field.type):
            values = shortest(column.to_numpy())
            narrow = NARROW.get(wide.get(field.name, ""), np.dtype(np.float64))
            column = pa.array(values.astype(narrow).astype(np.float64), from_pandas=True)
        columns.append(column if column.type == field.type else column.cast(field.type))
    return pa.table(columns, schema=schema)


def digest(table: Any) -> str:
    """SHA-256 of the schema and of all cells, however they are cut, and whatever lies under missing ones."""
    import pyarrow as pa

    rows = pa.array(np.arange(len(table)))
    return hashlib.sha256(_stream(table.combine_chunks().take(rows).combine_chunks())).hexdigest()


def _stream(table: Any) -> bytes:
    import pyarrow as pa

    buffer = pa.BufferOutputStream()
    with pa.ipc.new_stream(buffer, table.schema) as writer:
        writer.write_table(table)
    return buffer.getvalue().to_pybytes()
