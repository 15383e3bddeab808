"""Finding the codec of table columns: categories or real numbers."""

from __future__ import annotations

from typing import Any

import numpy as np

from ptheta.data.codecs.base import Place
from ptheta.data.codecs.tables import TableCodec, as_arrow
from ptheta.data.splits import Split
from ptheta.data.tables import Source
from ptheta.errors import SourceError
from ptheta.spaces import Real

MAX_CATEGORIES = 4_096
"""Most different values of a column of categories; whole numbers of more are real numbers."""


def table_codec(source: Source, names: list[str]) -> TableCodec:
    """Codec for columns: real numbers if any is real or a whole number of very many values, categories otherwise.

    Raises:
        SourceError: columns of both kinds, or too many categories.
    """
    kinds = {name: source.columns[name].kind for name in names}
    text = [name for name in names if kinds[name] in ("string", "class")]
    reals = [name for name in names if kinds[name] == "float"]
    if text and reals:
        raise _mixed(source, text, reals, names)
    if not reals:
        values = _categories(source, names, stop=not text)
        many = [name for name, found in values.items() if len(found) > MAX_CATEGORIES]
        if not many:
            return TableCodec(names, [values[name] for name in names])
        if text:
            rest = [name for name in names if name not in many]
            remedy = f"choose columns of fewer, such as --event {','.join(rest)}" if rest else "choose other columns"
            raise SourceError(
                f"column {many[0]!r} has more than {MAX_CATEGORIES:,} different values, too many for categories", remedy
            )
    return TableCodec(names, None, _precision(source, names))


def _categories(source: Source, names: list[str], stop: bool) -> dict[str, list[Any]]:
    """Column → its sorted values over all splits; collecting ends early once a column has too many.

    Args:
        stop: whether one such column ends the search for all.
    """
    import pyarrow as pa

    found: dict[str, set[Any]] = {name: set(source.columns[name].names or ()) for name in names}
    for table in source.tables.values():
        start = 0
        for chunk in table.chunks(names):
            for name in names:
                if len(found[name]) > MAX_CATEGORIES or source.columns[name].names:
                    continue

                def place(row: int, start: int = start, table: Any = table) -> str:
                    return table.place(start + row)

                array = as_arrow(chunk[name], name, place)
                if isinstance(array, pa.DictionaryArray):
                    used = np.unique(array.indices.to_numpy(zero_copy_only=False))
                    array = array.dictionary.take(pa.array(used))
                found[name].update(array.unique().to_pylist())
                if stop and len(found[name]) > MAX_CATEGORIES:
                    return {other: sorted(values) for other, values in found.items()}
            start += len(chunk[names[0]])
    return {name: list(source.columns[name].names or ()) or sorted(values) for name, values in found.items()}


def _precision(source: Source, names: list[str]) -> str:
    """float32 if every column fits it, else float64."""
    chunk = next(next(iter(source.tables.values())).chunks(names))
    kinds = [chunk[name].dtype if isinstance(chunk[name], np.ndarray) else chunk[name].type for name in names]
    exact = ("float", "halffloat", "float32", "float16", "bool", "int8", "uint8", "int16", "uint16")
    return "float32" if all(str(kind) in exact for kind in kinds) else "float64"


def _mixed(source: Source, text: list[str], reals: list[str], names: list[str]) -> SourceError:
    name = text[0]
    table = next(iter(source.tables.values()))
    value, row = _first_word(table, name)
    others = ",".join(n for n in names if n not in text)
    return SourceError(
        f"column {name!r} holds text ({value!r} at {table.place(row)}) beside the real numbers of {reals[0]!r}",
        f"choose columns of one kind, such as --event {others}, or condition on it with --context {name}",
    )


def _first_word(table: Any, name: str) -> tuple[Any, int]:
    """First value of a column that is no number, and its row."""
    start = 0
    for chunk in table.chunks([name]):
        for row, value in enumerate(as_arrow(chunk[name], name, _from(table, start)).to_pylist()):
            try:
                float(value)
            except ValueError:
                return value, start + row
        start += len(chunk[name])
    return "numbers in quotes", 0


def _from(table: Any, start: int) -> Place:
    return lambda row: table.place(start + row)


def repeats(codec: TableCodec, train: Split) -> list[str]:
    """A sentence on real columns whose values repeat: the density of such a column means little."""
    if not isinstance(codec.space, Real):
        return []
    x = train.x[:10_000]
    some = [name for j, name in enumerate(codec.columns) if len(np.unique(x[:, j])) < max(2, len(x) / 10)]
    if not some or len(x) < 2:
        return []
    listed = ", ".join(some[:5]) + (f" and {len(some) - 5} more" if len(some) > 5 else "")
    return [
        f"{'column' if len(some) == 1 else 'columns'} {listed}: most values repeat, so they carry probability mass, and"
        " a density there means little"
    ]
