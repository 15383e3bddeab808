"""Finding what every column of a mixed table holds: categories, numbers on a grid, real numbers, atoms, missing cells.

Numbers that repeat are mass, not density. So whole numbers and rounded ones are put on their grid, and values that
occur again and again are given a probability of their own; only what is left has a density.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterator
from typing import Any

import numpy as np

from ptheta.data.codecs.dtypes import dtype_of
from ptheta.data.codecs.frames import as_array_of
from ptheta.data.codecs.mixed_rows import LARGEST, RowCodec, exact_numbers
from ptheta.data.codecs.plain_rows import stored_in
from ptheta.data.finding.labels import categories
from ptheta.data.sources.chunk_values import named
from ptheta.data.sources.tables import Source, Table
from ptheta.data.splits import Masks
from ptheta.errors import SourceError
from ptheta.numbers import listed, plural
from ptheta.spaces.table import ON_GRID
from ptheta.values import inferred, snapped

MAX_NAMES = 2**16
"""Most different values of a category."""

FEW = 10
"""Numbers of at most this many distinct values are categories."""

SHOWN = 8
"""Columns without any value that an error names before its remedy names all."""

REPEATED = 0.9
"""Part of a column's values that are different, below which the column repeats itself."""

BY_CHANCE = 30
"""Real numbers are not whole by chance if there are that many of them."""

ATOMS = 1_024
"""Most atoms of a column, the most frequent values."""

TOGETHER = 2**27
"""Numbers held in memory at once."""

DECIMALS = (1, 2, 4, 5, 10, 20, 25, 50, 100, 1_000, 10_000, 100_000, 1_000_000)
"""Points per unit of the grids that are tried."""


def rows_codec(source: Source, names: list[str], masks: Masks) -> RowCodec:
    """Codec of mixed columns.

    Args:
        source: with its tables. What a cell can be, its levels, grid and least value, is what occurs anywhere.
        names: of the columns.
        masks: splits; which values carry mass is not learned from test.

    Raises:
        SourceError: a column without any value, or a category of very many values.
    """
    found: dict[str, dict[str, Any]] = {}
    kinds = {name: source.columns[name].kind for name in names}
    declared = [name for name in names if isinstance(source.columns[name].dtype, dict)]
    words = [name for name in names if kinds[name] in ("string", "class", "bool") or name in declared]
    if words:
        found |= _categories(source, words)
    figures = [name for name in names if name not in found]
    rows = sum(len(table) for table in source.tables.values())
    step = max(1, TOGETHER // max(rows, 1))
    for start in range(0, len(figures), step):
        found |= _figures(source, figures[start : start + step], masks)
    resolutions = [found[name].pop("resolution", "double") for name in names]
    numbered = [name for name in names if source.columns[name].names]
    return RowCodec([found[name] for name in names], resolutions, numbered, dtypes_of(source, found))


def dtypes_of(source: Source, found: dict[str, dict[str, Any]]) -> dict[str, Any]:
    """Column → its type in a data frame, where it is known.

    Args:
        source: with its tables.
        found: column → what it holds, its `type` among it.
    """
    text = next(iter(source.tables.values())).is_text
    own = {name: source.columns[name].dtype or dtype_of(column["type"], text=text) for name, column in found.items()}
    return {name: own[name] for name in found if own[name] is not None}


def is_plain(column: dict[str, Any]) -> bool:
    """Whether a column is real numbers and nothing else."""
    return not (column["values"] or column["per"] or column["atoms"] or column["missing"])


def described(codec: RowCodec) -> list[str]:
    """Sentences on what was inferred."""
    space = codec.space
    atoms = [f"{plural(len(c.atoms), 'value')} of {c.name}" for c in space.columns if c.atoms]
    notes = []
    grids = [c.name for c in space.columns if c.per]
    if grids:
        notes.append(f"on a grid, each point with a probability: {listed(grids)}")
    if atoms:
        notes.append(f"frequent values have a probability of their own: {listed(atoms)}")
    if missing := [c.name for c in space.columns if c.missing]:
        notes.append(f"missing is an outcome of {listed(missing)}")
    if real := [c.name for c in space.columns if not c.is_category and not c.per]:
        notes.append(f"a density, in nats per unit of {listed(real)}, beside probabilities of the other cells")
    return notes


def _chunks(source: Source, names: list[str]) -> Iterator[tuple[dict[str, Any], Table, int]]:
    """Chunks of all tables, with the number of their first row."""
    for table in source.tables.values():
        start = 0
        for chunk in table.chunks(names):
            yield chunk, table, start
            start += len(chunk[names[0]])


def _categories(source: Source, names: list[str]) -> dict[str, dict[str, Any]]:
    import pyarrow as pa

    values: dict[str, set[Any]] = {name: set(source.columns[name].names or ()) for name in names}
    missing, types = dict.fromkeys(names, False), {}
    for chunk, table, start in _chunks(source, names):
        for name in names:

            def place(row: int, table: Table = table, start: int = start) -> str:
                return table.place(start + row)

            array = as_array_of(named(chunk[name], source.columns[name], place, missing=True))
            missing[name] |= bool(array.null_count)
            if isinstance(array, pa.DictionaryArray):
                used = np.unique(array.indices.drop_null().to_numpy(zero_copy_only=False))
                array = array.dictionary.take(pa.array(used))
            types.setdefault(name, str(array.type))
            values[name].update(array.drop_null().unique().to_pylist())
            if len(values[name]) > MAX_NAMES:
                raise SourceError(
                    f"column {name!r} has more than {MAX_NAMES:,} different values, too many for a category",
                    "choose other columns with --event",
                )
    if empty := [name for name in names if not values[name]]:
        raise _without_values(empty)
    names_of = {name: list(source.columns[name].names or ()) for name in names}
    return {
        name: _described(name, types[name], missing[name], names_of[name] or categories(name, values[name]))
        for name in names
    }


def _figures(source: Source, names: list[str], masks: Masks) -> dict[str, dict[str, Any]]:
    import pyarrow as pa

    parts: dict[str, list[np.ndarray]] = {name: [] for name in names}
    types: dict[str, str] = {}
    for chunk, table, start in _chunks(source, names):
        for name in names:
            array = as_array_of(chunk[name])
            if pa.types.is_dictionary(array.type):
                array = array.dictionary_decode()
            types.setdefault(name, str(array.type))
            absent = array.is_null(nan_is_null=True).to_numpy(zero_copy_only=False)
            rows = np.flatnonzero(~absent)
            column = np.full(len(array), np.nan)

            def place(row: int, rows: np.ndarray = rows, table: Table = table, start: int = start) -> str:
                return table.place(start + int(rows[row]))

            column[rows] = exact_numbers(array.take(pa.array(rows)), name, place)
            parts[name].append(column)
    if empty := [name for name in names if all(np.isnan(part).all() for part in parts[name])]:
        raise _without_values(empty)
    known = [masks[name].get("test", np.zeros(len(table), bool)) for name, table in source.tables.items()]
    learned = ~np.concatenate(known)
    return {name: figure(name, types[name], np.concatenate(parts[name]), learned) for name in names}


def figure(name: str, kind: str, values: np.ndarray, learned: np.ndarray | None = None) -> dict[str, Any]:
    """What a column of numbers [n], NaN where missing, holds.

    Args:
        name: of the column.
        kind: its Arrow type.
        values: of all splits, as `ptheta.values.shortest` gives them.
        learned: rows [n] that tell which values repeat; None: all.

    Returns:
        What `RowCodec` keeps of a column, and its `resolution`.

    Raises:
        SourceError: all are missing.
    """
    missing = np.isnan(values)
    present = values[~missing]
    if not len(present):
        raise _without_values([name])
    exact = kind.startswith(("int", "uint", "bool", "decimal", "dictionary"))
    resolution = inferred(present, stored_in(kind), exact)
    values = snapped(values, resolution)
    present = values[~missing]
    distinct, counts = np.unique(present + 0.0, return_counts=True)  # −0 is 0
    any_missing, n = bool(missing.any()), len(present)
    whole = bool((distinct == np.round(distinct)).all()) and abs(distinct).max() <= LARGEST
    if len(distinct) <= FEW and len(distinct) <= n / 2:
        levels = [int(v) if whole else float(v) for v in distinct]
        return _described(name, kind, any_missing, levels) | {"resolution": resolution}
    repeats = len(distinct) < REPEATED * n
    per, offset = 0, 0.0
    if whole and ("int" in kind or repeats or n >= BY_CHANCE):
        per = 1
    elif repeats:
        per, offset = _grid(distinct, counts)
    if learned is not None:
        distinct, counts = np.unique(values[~missing & learned] + 0.0, return_counts=True)
    seen = {"seen": [float(distinct[0]), float(distinct[-1])]} if len(distinct) else {}
    return (
        _described(name, kind, any_missing, None)
        | seen
        | {
            "per": per,
            "offset": offset,
            "low": 0.0 if present.min() >= 0 else None,
            "atoms": [float(v) for v in _atoms(distinct, counts, repeats)],
            "resolution": resolution,
        }
    )


def _without_values(names: list[str]) -> SourceError:
    """The error for columns without any value; not empty."""
    what = f"column {names[0]!r} has" if len(names) == 1 else f"columns {listed(names, SHOWN)} have"
    them = "them" if len(names) > 1 else "it"
    return SourceError(f"{what} no value in any row", f"leave {them} out with --except {shlex.quote(','.join(names))}")


def _described(name: str, kind: str, missing: bool, values: list[Any] | None) -> dict[str, Any]:
    numeric = {"per": 0, "offset": 0.0, "low": None, "atoms": []}
    return {"name": name, "type": kind, "values": values, "missing": missing} | numeric


def _grid(distinct: np.ndarray, counts: np.ndarray) -> tuple[int, float]:
    """Points per unit and an offset of the coarsest grid that holds all values; (0, 0) if there is none."""
    largest = float(np.abs(distinct).max())
    for offset in (0.0, float(distinct[counts.argmax()])):
        for per in DECIMALS:
            at = (distinct - offset) * per
            points = np.round(at)
            off = float(np.abs(at - points).max())
            double, single = 2e-15 * largest * per, 1.2e-7 * largest * per  # what rounding leaves of either type
            if off <= double < ON_GRID:
                return per, offset
            if (
                off <= min(2 * single, ON_GRID) and single < ON_GRID and len(np.unique(points)) >= 0.9 * len(points)
            ):  # and not small beside large
                return per, offset
    return 0, 0.0


def _atoms(distinct: np.ndarray, counts: np.ndarray, repeats: bool) -> np.ndarray:
    """Values that occur again and again, ascending: of a column of few values all that occur twice, else the frequent
    ones; of a column that does not repeat itself only those that stand out."""
    n = int(counts.sum())
    if repeats and len(distinct) <= min(ATOMS, n / 20):
        least = 2.0
    else:
        least = max(10.0, n / 2_000) if repeats else max(20.0, n / 200)
    frequent = np.flatnonzero(counts >= least)
    frequent = frequent[np.argsort(-counts[frequent], kind="stable")[:ATOMS]]
    return distinct[np.sort(frequent)]
