"""Tables: a CSV file comes back with the same bytes, a Parquet file with the same cells, schema and types.

Columns that the model knows are coded; the others are kept beside them. How cells were written is inferred, not
assumed: decimals of a column, what stands for a missing cell, line ends. Where that does not give the same bytes the
file is stored.
"""

from __future__ import annotations

import csv
import hashlib
import io
import struct
from pathlib import Path
from typing import Any

import numpy as np

from ptheta.data.formats import MISSING
from ptheta.data.reading import events_of_file
from ptheta.values import NARROW, shortest

SUFFIXES = (".csv", ".tsv", ".parquet", ".pq")

_LENGTH = struct.Struct("<I")


def read(
    path: Path, content: bytes, codec: Any, context: str | None
) -> tuple[np.ndarray, bytes, dict[str, Any], list[str] | None]:
    """Rows of a table file, what is kept beside them, how they become the file again, and labels."""
    rows = on_grid(events_of_file(codec, path), codec.space)
    if path.suffix.lower() in (".csv", ".tsv"):
        side, how, labels = _csv_beside(path, content, codec, rows, context)
    else:
        side, how, labels = _parquet_beside(path, codec, rows, context)
    return rows, side, how, labels


def restore(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> tuple[bytes, str | None]:
    """The table file of rows [n, m], and a digest of its cells if its bytes may differ."""
    if "separator" in how:
        return _csv(rows, side, codec, how), None
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


# CSV


def _csv_beside(
    path: Path, content: bytes, codec: Any, rows: np.ndarray, context: str | None
) -> tuple[bytes, dict[str, Any], list[str] | None]:
    """What is kept beside the columns of the model, how cells are written, and labels."""
    import pandas as pd

    separator = "\t" if path.suffix.lower() == ".tsv" else ","
    text = content.decode()
    cells = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, index_col=False)
    header = set(codec.names) <= set(cells.columns)
    if not header:
        cells = pd.read_csv(io.StringIO(text), sep=separator, dtype=str, keep_default_na=False, header=None)
        cells.columns = cells.columns.map(str)
    others = [name for name in cells.columns if name not in codec.names]
    how: dict[str, Any] = {
        "separator": separator,
        "lines": "\r\n" if "\r\n" in text else "\n",
        "last": text.endswith("\n"),
        "header": header,
        "columns": list(cells.columns) if others or list(cells.columns) != list(codec.names) else None,
    }
    ways = {name: _way(cells[name].to_numpy(object), column) for name, column in codec.decode(rows).items()}
    how["ways"] = {name: way for name, way in ways.items() if way}
    side = cells[others].to_csv(index=False).encode() if others else b""
    return side, how, list(cells[context]) if context in others else None


def _way(written: np.ndarray, column: Any) -> dict[str, Any]:
    """How a column's cells are written: what stands for a missing one, and decimals."""
    way: dict[str, Any] = {}
    absent = column.isna().to_numpy()
    if absent.any():
        ways = sorted(set(written[absent]))
        if len(ways) > 1 or ways[0] not in MISSING:
            raise ValueError("missing cells are written in several ways")
        way["missing"] = ways[0]
    present = written[~absent]
    if column.dtype.kind in "fi" and len(present):
        decimals = {len(cell.partition(".")[2]) for cell in present}
        if len(decimals) == 1 and (column.dtype.kind == "f" or decimals != {0}):
            way["decimals"] = decimals.pop()
    return way


def _csv(rows: np.ndarray, side: bytes, codec: Any, how: dict[str, Any]) -> bytes:
    import pandas as pd

    frame = codec.decode(rows)
    written = {name: _written(frame[name], how["ways"].get(name, {})) for name in codec.names}
    if how["columns"] is not None:
        others = pd.read_csv(io.BytesIO(side), dtype=str, keep_default_na=False) if side else {}
        written = {name: written[name] if name in written else others[name] for name in how["columns"]}
    buffer = io.StringIO()
    pd.DataFrame(written).to_csv(
        buffer,
        index=False,
        sep=how["separator"],
        lineterminator=how["lines"],
        header=how["header"],
        quoting=csv.QUOTE_MINIMAL,
    )
    text = buffer.getvalue()
    return (text if how["last"] else text.removesuffix(how["lines"])).encode()


def _written(column: Any, way: dict[str, Any]) -> np.ndarray:
    """The cells of a column as they are written."""
    absent = column.isna().to_numpy()
    decimals = way.get("decimals")
    shape = str if decimals is None else lambda value: f"{value:.{decimals}f}"
    return np.array([way.get("missing", "") if no else shape(value) for value, no in zip(column, absent)], object)


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
