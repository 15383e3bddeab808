"""Arrow files: streams, as `datasets` writes them, and files with an index, as Feather is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ptheta.data.sources.frames import declared, usable
from ptheta.data.sources.tables import Column, Table

_INDEXED = b"ARROW1"
"""What an Arrow file with an index begins with."""


def arrow_file(path: Path) -> Table:
    """The rows of an Arrow file, mapped into memory."""
    import datasets
    import pyarrow as pa

    from ptheta.data.sources.hub import tables_of

    with path.open("rb") as file:
        indexed = file.read(len(_INDEXED)) == _INDEXED
    mapped = pa.memory_map(str(path))
    table = (pa.ipc.open_file(mapped) if indexed else pa.ipc.open_stream(mapped)).read_all()
    table, whys = usable(table)
    made = tables_of({path.name: datasets.Dataset(table)})[path.name]
    dtypes = {name: dtype for name in table.column_names if (dtype := declared(table.column(name))[1]) is not None}
    made.columns |= {name: replace(made.columns[name], dtype=dtype) for name, dtype in dtypes.items()}
    made.columns |= {name: Column(name, "other", why=why) for name, why in whys.items()}
    return made
