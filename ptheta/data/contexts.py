"""The context: one column of classes → a `Label` space and class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.codecs.base import Place
from ptheta.data.columns import MAX_NAMES
from ptheta.data.tables import Column, Source
from ptheta.errors import SourceError, nearest
from ptheta.spaces import Label


def find_labels(source: Source, name: str) -> Label:
    """Label space of a column: its published class names, or its sorted distinct values over all splits.

    Raises:
        SourceError: a column that is no set of classes.
    """
    column = source.columns[name]
    if column.names:
        return Label(column.names)
    if column.kind not in ("string", "int", "bool"):
        raise SourceError(
            f"column {name!r} ({column.kind}) is no set of classes", "a context is a column of labels, strings or whole"
            " numbers"
        )  # fmt: skip
    values: set[Any] = set()
    for table in source.tables.values():
        start = 0
        for chunk in table.chunks([name]):
            found, _ = _distinct(chunk[name], lambda row, start=start, table=table: table.place(start + row), name)
            values.update(found)
            start += len(chunk[name])
            if len(values) > MAX_NAMES:
                raise SourceError(
                    f"column {name!r} has more than {MAX_NAMES:,} different values", "condition on a column of fewer"
                )
    return Label([str(value) for value in sorted(values)])


def encode_labels(values: Any, column: Column, labels: Label, place: Place) -> np.ndarray:
    """Class numbers [n] of a chunk of a context column.

    Raises:
        SourceError: a missing value, a number without a name, or a name that the labels lack.
    """
    found, inverse = _distinct(values, place, column.name)
    names, index = column.names, {name: i for i, name in enumerate(labels.names)}
    table = np.empty(len(found), np.int64)
    for i, value in enumerate(found):
        where = int(np.argmax(inverse == i))
        if names is not None:
            if not 0 <= value < len(names):
                raise SourceError(
                    f"column {column.name!r} is {value} at {place(where)}", f"its {len(names)} labels are 0 to"
                    f" {len(names) - 1}"
                )  # fmt: skip
            value = names[value]
        if str(value) not in index:
            raise SourceError(
                f"column {column.name!r} is {str(value)!r} at {place(where)}, which is not a known label",
                nearest(str(value), list(labels.names)),
            )
        table[i] = index[str(value)]
    return table[inverse]


def _distinct(values: Any, place: Place, name: str) -> tuple[list[Any], np.ndarray]:
    """Distinct values and, for every row, which of them it is."""
    import pyarrow as pa

    array = values if isinstance(values, pa.Array) else pa.array(values)
    if array.null_count:
        row = int(np.argmax(array.is_null().to_numpy(zero_copy_only=False)))
        raise SourceError(f"column {name!r} is missing at {place(row)}", "fill it in or remove that row")
    coded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
    inverse = coded.indices.to_numpy(zero_copy_only=False)
    used = np.unique(inverse)  # a Parquet dictionary can hold values that no row of the chunk has
    place_of = np.zeros(max(len(coded.dictionary), 1), np.int64)
    place_of[used] = np.arange(len(used))
    return coded.dictionary.take(pa.array(used)).to_pylist(), place_of[inverse]
