"""Finding the codec of a column of plain arrays."""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs.arrays import ArrayCodec
from ptheta.data.sources.chunk_values import as_numpy
from ptheta.data.sources.tables import Source
from ptheta.errors import SourceError
from ptheta.spaces.discrete import MAX_LEVELS
from ptheta.values import inferred, resolution_of, shortest


def array_codec(source: Source, name: str) -> ArrayCodec:
    """Codec for a column of arrays: whole numbers from 0 to the largest found, or real numbers.

    Raises:
        SourceError: negative whole numbers.
    """
    first = as_numpy(next(next(iter(source.tables.values())).chunks([name]))[name], name)
    shape = list(first.shape[1:])
    if first.dtype.kind == "f":
        return ArrayCodec(shape, None, first.dtype.name, _resolution(source, name, first.dtype))
    largest = 0
    for table in source.tables.values():
        start = 0
        for chunk in table.chunks([name]):
            values = as_numpy(chunk[name], name)
            if values.size and values.min() < 0:
                row = int(np.argwhere(values < 0)[0][0])
                least = int(values.min())
                frame = ", or pandas.DataFrame(x), whose whole numbers lie on a grid" if len(shape) == 1 else ""
                raise SourceError(
                    f"{table.place(start + row)} holds {least}, and levels of arrays begin at 0",
                    f"add {-least:,} to all values, or give floats{frame}",
                )
            largest = max(largest, int(values.max(initial=0)))
            if largest >= MAX_LEVELS:
                row = int(np.argwhere(values == values.max())[0][0])
                raise SourceError(
                    f"{table.place(start + row)} holds {largest}, beyond {MAX_LEVELS:,} levels",
                    "give floats, or the columns of a data frame, whose whole numbers lie on a grid",
                )
            start += len(values)
    return ArrayCodec(shape, max(largest + 1, 2), first.dtype.name)


def _resolution(source: Source, name: str, kind: np.dtype) -> str:
    """The resolution of arrays of real numbers: of wide types that which all chunks have."""
    stored = resolution_of(kind)
    if stored != "double":
        return stored
    parts = (as_numpy(chunk[name], name) for table in source.tables.values() for chunk in table.chunks([name]))
    found = {inferred(values[np.isfinite(values)]) if (values := shortest(part)).size else "double" for part in parts}
    return found.pop() if len(found) == 1 else "double"
