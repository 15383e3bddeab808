"""Columns of bytes, each value of which is a whole file: pictures and sounds, as the libraries that read them know."""

from __future__ import annotations

from dataclasses import replace

from ptheta.data.formats import BEGINNINGS
from ptheta.data.sources.tables import Source, Table


def recognised(source: Source) -> Source:
    """A source whose columns of encoded pictures and sounds are such, and not bytes of values."""
    names = [name for name, column in source.columns.items() if column.kind == "bytes"]
    kinds = {name: kind for name in names if (kind := _kind(next(iter(source.tables.values())), name)) is not None}
    if not kinds:
        return source
    for table in source.tables.values():
        for name, kind in kinds.items():
            if name in table.columns:
                table.columns[name] = replace(table.columns[name], kind=kind)
    return source


def _kind(table: Table, name: str) -> str | None:
    """What the first value of a column of bytes begins as."""
    for chunk in table.chunks([name]):
        values = chunk[name]
        first = next((value for value in values if getattr(value, "is_valid", value is not None)), None)
        if first is not None:
            content = first if isinstance(first, bytes) else first.as_py()
            return next((kind for kind, beginning in BEGINNINGS.items() if beginning.match(content)), None)
    return None
