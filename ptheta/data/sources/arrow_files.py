"""Arrow files: streams, as `datasets` writes them, and files with an index, as Feather is."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from ptheta.data.sources.arrow_ipc import validated
from ptheta.data.sources.frames import declared, usable
from ptheta.data.sources.tables import Column, Table


def arrow_file(path: Path) -> Table:
    """The rows of an Arrow file, mapped into memory."""
    import datasets

    from ptheta.data.sources.hub import tables_of

    table, whys = usable(validated(path))
    made = tables_of({path.name: datasets.Dataset(table)})[path.name]
    dtypes = {name: dtype for name in table.column_names if (dtype := declared(table.column(name))[1]) is not None}
    made.columns |= {name: replace(made.columns[name], dtype=dtype) for name, dtype in dtypes.items()}
    made.columns |= {name: Column(name, "other", why=why) for name, why in whys.items()}
    return made
