"""The context: one column of classes → a `Label` space and class numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.codecs.base import Place
from ptheta.data.codecs.frames import as_arrow
from ptheta.data.columns import MAX_NAMES
from ptheta.data.tables import Column, Source, named
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
            f"column {name!r} ({column.kind}) is no set of classes",
            "a context is a column of labels, strings or whole numbers",
        )
    values: set[Any] = set()
    for table in source.tables.values():
        start = 0
        for chunk in table.chunks([name]):
            found, _ = distinct(chunk[name], name, lambda row, start=start, table=table: table.place(start + row))
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
    found, inverse = distinct(named(values, column, place), column.name, place)
    index = {name: i for i, name in enumerate(labels.names)}
    for i, value in enumerate(found):
        if str(value) not in index:
            raise SourceError(
                f"column {column.name!r} is {str(value)!r} at {place(int(np.argmax(inverse == i)))}, not a known label",
                nearest(str(value), list(labels.names)),
            )
    return np.array([index[str(value)] for value in found], np.int64)[inverse]


def distinct(values: Any, name: str, place: Place) -> tuple[list[Any], np.ndarray]:
    """Distinct values of a column [k] and, for every row, which of them it is [n]."""
    import pyarrow as pa

    array = as_arrow(values, name, place)
    coded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
    inverse = coded.indices.to_numpy(zero_copy_only=False)
    used = np.unique(inverse)  # a dictionary can hold values that no row of the chunk has
    rank = np.zeros(len(coded.dictionary), np.int64)
    rank[used] = np.arange(len(used))
    return coded.dictionary.take(pa.array(used)).to_pylist(), rank[inverse]
