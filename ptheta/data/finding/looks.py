"""What columns look like: texts, and arrays that are pictures."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.sources.tables import Column, Source, as_numpy

TEXT_LENGTH = 24
"""Mean number of characters from which a string column is text rather than a name."""


def texts_among(source: Source, columns: dict[str, Column], *, as_text: bool = False) -> set[str]:
    """The columns that hold texts: documents; strings that are long on average, or in a column called `text`."""
    strings = [name for name, c in columns.items() if c.kind == "string"]
    first = next(next(iter(source.tables.values())).chunks(strings), {}) if strings else {}
    return {
        name
        for name, c in columns.items()
        if c.kind == "document" or (c.kind == "string" and (as_text or name == "text" or _long(first[name])))
    }


def is_picture_array(source: Source, name: str) -> bool:
    """Whether arrays are uint8 or bool [n, H, W], or with 3 (or 1) channels first or last."""
    try:
        values = as_numpy(next(next(iter(source.tables.values())).chunks([name]))[name])
    except ValueError:  # rows differ in length
        return False
    colour = values.ndim == 4 and (values.shape[1] in (1, 3) or values.shape[3] in (1, 3))
    return values.dtype in (np.uint8, np.bool_) and (values.ndim == 3 or colour)


def _long(values: Any) -> bool:
    """Whether strings are texts rather than names: long on average."""
    import pyarrow as pa
    import pyarrow.compute as pc

    strings = values.dictionary if isinstance(values, pa.DictionaryArray) else as_arrow(values)
    return (pc.mean(pc.utf8_length(strings)).as_py() or 0) >= TEXT_LENGTH  # type: ignore[attr-defined]


def as_arrow(values: Any) -> Any:
    """A chunk's column as an Arrow array."""
    import pyarrow as pa

    return values if isinstance(values, pa.Array) else pa.array(values)
