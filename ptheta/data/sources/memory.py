"""Python objects as sources: arrays, tensors, data frames, data sets, dicts of them."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
from torch import Tensor

from ptheta.data.sources.tables import ArrayTable, Column, Source, Table
from ptheta.errors import SourceError


def open_object(value: Any, name: str = "data") -> Source:
    """Open an array or tensor [n, …], a data frame, a data set, a dict of columns, or a dict of splits of these.

    Raises:
        SourceError: anything else.
    """
    from ptheta.data.sources.splits import IGNORED, PUBLISHED, named_splits

    known = {*PUBLISHED, *IGNORED}
    if isinstance(value, dict) and value and all(str(key).lower() in known for key in value):
        tables = {str(key): table_of(part, str(key)) for key, part in value.items()}
        return Source(name, name, named_splits(tables, name))
    return Source(name, name, named_splits({"all": table_of(value, name)}, name))


def table_of(value: Any, title: str) -> Table:
    """A table over one object."""
    datasets, pandas = sys.modules.get("datasets"), sys.modules.get("pandas")
    if datasets is not None and isinstance(value, datasets.Dataset):
        from ptheta.data.sources.hub import tables_of

        return tables_of({title: value})[title]
    if pandas is not None and isinstance(value, pandas.DataFrame):
        return frame_table(value, title)
    if hasattr(value, "__arrow_c_stream__"):  # polars, Arrow and others
        return arrow_table(value, title)
    if isinstance(value, np.ndarray) and value.dtype.names:
        value = {name: value[name] for name in value.dtype.names}
    if isinstance(value, np.ndarray | Tensor):
        value = {"x": value}
    if isinstance(value, dict):
        return arrays_table({str(key): as_values(column, str(key)) for key, column in value.items()}, title)
    raise SourceError(
        f"a {type(value).__name__} is not a source",
        "give a path, an array or tensor [n, …], a data frame, a data set, or a dict of these",
    )


def as_values(value: Any, name: str) -> np.ndarray:
    """A column given as an array, tensor or list."""
    array = value.detach().cpu().numpy() if isinstance(value, Tensor) else np.asarray(value)
    if array.dtype == object and all(isinstance(v, str) for v in array.reshape(-1)):
        array = array.astype(str)
    if array.ndim == 0 or array.dtype.kind not in "fiubUS":
        raise SourceError(
            f"{name!r} is an array of {array.dtype} with {array.ndim} dimensions", "give numbers or strings with n rows"
        )
    return array


def arrays_table(arrays: dict[str, np.ndarray], title: str) -> ArrayTable:
    """A table over arrays of one length.

    Raises:
        SourceError: arrays of different lengths.
    """
    lengths = {name: len(array) for name, array in arrays.items()}
    if len(set(lengths.values())) != 1:
        listed = ", ".join(f"{name} {n:,}" for name, n in lengths.items())
        raise SourceError(f"the arrays of {title} have different numbers of rows: {listed}", "give one row an event")
    flat = {name: _flat(array) for name, array in arrays.items()}
    return ArrayTable(title, {name: _describe(name, array) for name, array in flat.items()}, flat)


def frame_table(frame: Any, title: str) -> Table:
    """A table over a data frame; its index is left out."""
    import datasets

    from ptheta.data.sources.faults import reading
    from ptheta.data.sources.hub import tables_of

    frame = frame.rename(columns=str)
    if len(set(frame.columns)) != frame.shape[1]:
        raise SourceError(f"two columns of {title} have the same name", "rename one of them")
    with reading(title):
        dataset = datasets.Dataset.from_pandas(frame, preserve_index=False)
    return tables_of({title: dataset})[title]


def arrow_table(value: Any, title: str) -> Table:
    """A table over a data frame of another library, such as polars, that gives its columns to Arrow."""
    import datasets
    import pyarrow as pa

    from ptheta.data.sources.faults import reading
    from ptheta.data.sources.hub import tables_of

    with reading(title):
        table = pa.table(value)
        views = {pa.string_view(): pa.large_string(), pa.binary_view(): pa.large_binary()}
        fields = []
        for field in table.schema:
            kind = field.type
            kind = kind.value_type if pa.types.is_dictionary(kind) else kind
            fields.append(field.with_type(views.get(kind, kind)))
        dataset = datasets.Dataset(table.cast(pa.schema(fields)))
    return tables_of({title: dataset})[title]


def _flat(array: np.ndarray) -> np.ndarray:
    """Labels [n, 1] as [n]."""
    whole = array.ndim == 2 and array.shape[1] == 1 and array.dtype.kind in "iu"
    return array[:, 0] if whole else array


def _describe(name: str, array: np.ndarray) -> Column:
    if array.ndim > 1:
        if array.dtype.kind not in "fiub":
            raise SourceError(f"{name!r} holds {array.dtype} values", "give numbers")
        return Column(name, "array")
    return Column(name, {"f": "float", "i": "int", "u": "int", "b": "bool"}.get(array.dtype.kind, "string"))
