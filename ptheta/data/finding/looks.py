"""What columns look like: texts, and arrays that are pictures."""

from __future__ import annotations

from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np

from ptheta.data.codecs.picture_arrays import is_of_8_bits
from ptheta.data.sources.chunk_values import as_numpy
from ptheta.data.sources.tables import Column, Source
from ptheta.errors import SourceError

TEXT_LENGTH = 24
"""Mean number of characters from which a string column is text rather than a name."""


IDENTIFIER = r"^[A-Za-z0-9_:./+-]*[0-9][A-Za-z0-9_:./+-]*={0,2}$"
"""UUIDs, hashes, long numbers and the like, none of which is a text however long it is: one word, with digits."""


def texts_among(source: Source, columns: dict[str, Column], *, as_text: bool = False) -> set[str]:
    """The columns that hold texts: documents; strings that are long on average, or in a column called `text`."""
    strings = [name for name, c in columns.items() if c.kind == "string"]
    first = next(next(iter(source.tables.values())).chunks(strings), {}) if strings else {}
    return {
        name
        for name, c in columns.items()
        if c.kind == "document" or (c.kind == "string" and (as_text or name == "text" or _long(first[name])))
    }


def regular(source: Source, column: Column) -> Column:
    """The column; of arrays whose rows differ in length or lack values, one that holds nothing of use."""
    if column.kind != "array" or column.name not in next(iter(source.tables.values())).columns:
        return column
    try:
        for chunk in islice(next(iter(source.tables.values())).chunks([column.name]), 1):
            as_numpy(chunk[column.name], column.name)
    except SourceError:
        return replace(column, kind="other", why="lists of different lengths, or with gaps")
    return column


def is_picture_array(source: Source, name: str) -> bool:
    """Whether arrays are pictures: [n, H, W], or with 1, 3 or 4 channels first or last.

    They are of type uint8 or bool, or of other whole numbers where these lie in 0 … 255 and do not end before 128, or
    of real numbers that are all whole multiples of 1 / 255 from 0 to 1.
    """
    try:
        values = as_numpy(next(next(iter(source.tables.values())).chunks([name]))[name], name)
    except SourceError:  # rows differ in length
        return False
    colour = values.ndim == 4 and bool({values.shape[1], values.shape[3]} & {1, 3, 4})
    if values.ndim != 3 and not colour:
        return False
    if values.dtype.kind == "f":
        return is_of_8_bits(values) and _are_of_8_bits(source, name)
    return values.dtype in (np.uint8, np.bool_) or (values.dtype.kind in "iu" and _fills_a_byte(source, name))


def _are_of_8_bits(source: Source, name: str) -> bool:
    """Whether all real numbers of a column are those of pictures of 8 bits."""
    key = f"{name}: of 8 bits"
    if key not in source.seen:
        source.seen[key] = all(
            is_of_8_bits(as_numpy(chunk[name], name))
            for table in source.tables.values()
            for chunk in table.chunks([name])
        )
    return source.seen[key]


def _fills_a_byte(source: Source, name: str) -> bool:
    """Whether the whole numbers of a column lie in 0 … 255, with some in the upper half."""
    key = f"{name}: range"
    if key not in source.seen:
        least = most = 0
        for table in source.tables.values():
            for chunk in table.chunks([name]):
                values = as_numpy(chunk[name], name)
                least, most = min(least, int(values.min(initial=0))), max(most, int(values.max(initial=0)))
        source.seen[key] = least == 0 and 128 <= most <= 255
    return source.seen[key]


def _long(values: Any) -> bool:
    """Whether strings are texts rather than names: long on average, and most of them no identifiers."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = values.dictionary if isinstance(values, pa.DictionaryArray) else as_arrow(values)
    if (pc.mean(pc.utf8_length(strings)).as_py() or 0) < TEXT_LENGTH:  # type: ignore[attr-defined]
        return False
    return (pc.mean(pc.match_substring_regex(strings, IDENTIFIER)).as_py() or 0) <= 0.5  # type: ignore[attr-defined]


def as_arrow(values: Any) -> Any:
    """A chunk's column as an Arrow array."""
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values)
