"""Python objects as sources: arrays, tensors, data frames, data sets, dicts of them."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data.sources.frames import declared, frame_table, table_of_columns, taken
from ptheta.data.sources.tables import ArrayTable, Column, Source, Table, describe
from ptheta.errors import SourceError
from ptheta.numbers import with_article
from ptheta.remarks import remark

MOST_DENSE = 2**32
"""Bytes of a sparse matrix that is filled in, at most."""


def open_object(value: Any, name: str = "data") -> Source:
    """Open an array or tensor [n, …], a data frame, a data set, a list of texts, pictures, arrays or dicts, a dict of
    columns, or a dict of splits of these.

    Raises:
        SourceError: anything else.
    """
    from ptheta.data.sources.splits import named_splits

    if isinstance(value, dict) and _is_divided(value):
        tables = {str(key): table_of(part, str(key)) for key, part in value.items()}
        return Source(name, name, named_splits(tables, name))
    return Source(name, name, named_splits({"all": table_of(value, name)}, name))


def _is_divided(values: dict[Any, Any]) -> bool:
    """Whether a dict has splits, not columns: by their names, or since each is a table of its own."""
    from ptheta.data.sources.splits import IGNORED, PUBLISHED

    names = [str(key).lower() for key in values]
    published = {PUBLISHED[name] for name in names if name in PUBLISHED}
    tables = [
        isinstance(one, dict) or hasattr(one, "column_names") or hasattr(one, "columns") for one in values.values()
    ]
    return bool(values) and (len(published) > 1 or all(tables) or all(name in {*PUBLISHED, *IGNORED} for name in names))


def table_of(value: Any, title: str) -> Table:
    """A table over one object."""
    datasets, pandas = sys.modules.get("datasets"), sys.modules.get("pandas")
    if datasets is not None and isinstance(value, datasets.Dataset):
        from ptheta.data.sources.hub import tables_of

        return tables_of({title: value})[title]
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return frame_table(value, title)
    if pandas is not None and isinstance(value, pandas.Series):
        return frame_table(value.to_frame("x" if value.name is None else str(value.name)), title)
    if hasattr(value, "__arrow_c_stream__"):  # polars, Arrow and others
        return arrow_table(value, title)
    if isinstance(value, np.ndarray) and value.dtype.names:
        value = {name: value[name] for name in value.dtype.names}
    if isinstance(value, list | tuple):
        return _listed(list(value), title)
    if isinstance(value, np.ndarray | Tensor) or _is_sparse(value):
        value = {"x": value}
    if isinstance(value, dict):
        return arrays_table({str(key): as_values(column, str(key)) for key, column in value.items()}, title)
    raise SourceError(
        f"{with_article(type(value).__name__)} is not a source",
        "give a path, an array or tensor [n, …], a data frame, a data set, a list of texts, pictures or rows, or a "
        "dict of these",
    )


def _listed(values: list[Any], title: str) -> Table:
    """A table over a list: of texts, of pictures of PIL, of arrays of one shape, or of dicts, one a row.

    Raises:
        SourceError: anything else, or several of them; the first that differs is named.
    """
    if not values:
        raise SourceError(f"{title} is an empty list", "give texts, pictures or rows")
    kinds: list[tuple[str, Callable[[Any], bool]]] = [
        ("a text", lambda value: isinstance(value, str)),
        ("a row", lambda value: isinstance(value, Mapping)),
        ("a picture", lambda value: hasattr(value, "getexif")),
        ("an array", lambda value: isinstance(value, np.ndarray | Tensor | np.generic | list | tuple | int | float)),
    ]
    kind = next((what for what, fits in kinds if fits(values[0])), None)
    if kind is None:
        raise SourceError(
            f"{with_article(type(values[0]).__name__)} in a list is not a source",
            "give texts, pictures, arrays or dicts",
        )
    fits = dict(kinds)[kind]
    if other := next((row for row, value in enumerate(values) if not fits(value)), None):
        raise SourceError(
            f"value 1 of the list is {kind}, and value {other + 1:,} {with_article(type(values[other]).__name__)}",
            "give a list of one kind",
        )
    if kind == "a text":
        return arrays_table({"text": as_values(values, "text")}, title)
    if kind == "a row":
        import pandas as pd

        return frame_table(pd.DataFrame.from_records([{str(name): row[name] for name in row} for row in values]), title)
    if kind == "a picture":
        import datasets

        from ptheta.data.sources.hub import tables_of

        features = datasets.Features({"image": datasets.Image()})
        return tables_of({title: datasets.Dataset.from_dict({"image": values}, features)})[title]
    rows = [value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value) for value in values]
    if other := next((row for row, value in enumerate(rows) if value.shape != rows[0].shape), None):
        shapes = f"{list(rows[0].shape)}, and value {other + 1:,} {list(rows[other].shape)}"
        raise SourceError(f"value 1 of the list has shape {shapes}", "give arrays of one shape, or pictures of PIL")
    return arrays_table({"x": as_values(np.stack(rows), "x")}, title)


def as_values(value: Any, name: str) -> Any:
    """A column given as an array, tensor, list or series: an array of numbers or strings, or an Arrow array.

    Raises:
        SourceError: it holds anything else, or masked entries where none can be missing.
    """
    array = _dense(value, name)
    if isinstance(array, np.ma.MaskedArray):
        array = _unmasked(array, name)
    if not isinstance(array, np.ndarray):
        return array
    if array.dtype.kind == "S":
        with _plain(value, name):
            array = np.char.decode(array, "utf-8")
    if array.dtype.kind in "fiubU" and array.ndim:
        return array
    if array.ndim == 1:
        import pandas as pd

        values, _ = taken(pd.Series(value if isinstance(value, pd.Series) else array), name)
        if not isinstance(values, str):
            return values
        raise SourceError(f"{name!r} holds {values}", "give numbers or strings, one a row")
    raise SourceError(
        f"{name!r} is an array of {array.dtype} with {array.ndim} dimensions", "give numbers or strings with n rows"
    )


def _is_sparse(value: Any) -> bool:
    scipy = sys.modules.get("scipy.sparse")
    return scipy is not None and scipy.issparse(value)


def _dense(value: Any, name: str) -> Any:
    """An array, of a tensor or a sparse matrix, too; the values of other objects as numpy takes them."""
    if isinstance(value, Tensor):
        with _plain(value, name):
            value = value.detach().to_dense() if value.layout != torch.strided else value.detach()
            if value.dtype.is_floating_point and value.dtype not in (torch.float16, torch.float32, torch.float64):
                remark(f"{name} holds {str(value.dtype).removeprefix('torch.')}, which is read as float32")
                value = value.float()
            return value.cpu().resolve_conj().resolve_neg().numpy()
    if _is_sparse(value):
        size = math.prod(value.shape) * value.dtype.itemsize
        if size > MOST_DENSE:
            raise SourceError(
                f"{name!r} is a sparse matrix of {size / 2**30:,.1f} GiB if it is filled in",
                "give fewer rows or columns",
            )
        return value.toarray()
    if isinstance(value, np.ndarray):
        return value
    pandas = sys.modules.get("pandas")
    if pandas is not None and isinstance(value, pandas.Series):
        return value.to_numpy() if isinstance(value.dtype, np.dtype) else np.asarray(value, object)
    with _plain(value, name):
        array = np.asarray(value)
        mixed = (
            array.dtype.kind in "US" and isinstance(value, list) and not all(isinstance(v, str | bytes) for v in value)
        )
        return np.array(value, object) if mixed else array


@contextmanager
def _plain(value: Any, name: str) -> Iterator[None]:
    """Whatever numpy or torch says of values that are no array becomes one line."""
    try:
        yield
    except (TypeError, ValueError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise SourceError(f"{name!r} is not an array: {reason}", "give numbers or strings with n rows") from None


def _unmasked(array: np.ma.MaskedArray, name: str) -> Any:
    """What is not masked of one value a row; masked ones are missing."""
    hidden = np.ma.getmaskarray(array)
    if not hidden.any():
        return array.data
    if array.ndim == 1:
        import pyarrow as pa

        return pa.array(array.data, mask=hidden)
    at = ", ".join(str(i) for i in np.argwhere(hidden)[0])
    raise SourceError(
        f"{name!r} has {int(hidden.sum()):,} masked entries, the first at [{at}], and in an array none can be missing",
        "fill them in with .filled(value), or give columns, of which a cell may be missing",
    )


def arrays_table(arrays: dict[str, Any], title: str) -> ArrayTable:
    """A table over arrays of one length, of numpy or Arrow.

    Raises:
        SourceError: arrays of different lengths.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {n:,}" for name, n in lengths.items())
        raise SourceError(f"the arrays of {title} have different numbers of rows: {listed}", "give one row an event")
    flat = {name: _flat(array) for name, array in arrays.items()}
    return ArrayTable(title, {name: _describe(name, array) for name, array in flat.items()}, flat)


def arrow_table(value: Any, title: str) -> Table:
    """A table over a data frame of another library, such as polars, that gives its columns to Arrow."""
    import pyarrow as pa

    from ptheta.data.sources.faults import reading

    with reading(title):
        table = pa.table(value)
        columns = {name: declared(table.column(place)) for place, name in enumerate(table.column_names)}
    if len(columns) < table.num_columns:
        names = table.column_names
        twice = next(name for name in names if names.count(name) > 1)
        raise SourceError(f"two columns of {title} are called {twice!r}", "rename one of them")
    return table_of_columns(columns, title, table.num_rows)


def _flat(array: Any) -> Any:
    """Labels [n, 1] as [n]."""
    if not isinstance(array, np.ndarray):
        return array
    whole = array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu"
    return array[:, 0] if whole else array


def _describe(name: str, array: Any) -> Column:
    if not isinstance(array, np.ndarray):
        import pyarrow as pa

        return describe(pa.schema([(name, array.type)]))[name]
    if array.ndim > 1:
        if array.dtype.kind not in "fiub":
            raise SourceError(f"{name!r} holds {array.dtype} values", "give numbers")
        return Column(name, "array")
    return Column(name, {"f": "float", "i": "int", "u": "int", "b": "bool"}.get(array.dtype.kind, "string"))
