"""The resolution of a column of numbers, from its values in all rows."""

from __future__ import annotations

import numpy as np

from ptheta.data.codecs.frames import as_array_of
from ptheta.data.codecs.plain_rows import stored_in
from ptheta.data.sources.tables import Source
from ptheta.values import inferred, shortest


def column_resolution(source: Source, name: str) -> str:
    """The resolution of a column, see `ptheta.values`; cells that are missing or not finite say nothing of it."""
    import pyarrow as pa

    parts, stored = [], None
    for table in source.tables.values():
        for chunk in table.chunks([name]):
            array = as_array_of(chunk[name])
            if not pa.types.is_floating(array.type):
                return "double"
            stored = stored or stored_in(array.type)
            values = shortest(array.drop_null().to_numpy(zero_copy_only=False))
            parts.append(values[np.isfinite(values)])
    return inferred(np.concatenate(parts), stored or "double") if parts else "double"
