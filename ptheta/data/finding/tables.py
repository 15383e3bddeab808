"""Finding the codec of table columns: categories, real numbers, or each as what it is."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ptheta.data.codecs.frames import as_array_of, as_arrow
from ptheta.data.codecs.mixed_rows import RowCodec
from ptheta.data.codecs.plain_rows import TableCodec
from ptheta.data.finding.labels import categories
from ptheta.data.finding.mixed_columns import dtypes_of, is_plain, rows_codec
from ptheta.data.resolutions import column_resolution
from ptheta.data.sources.cells import kind_of_cell
from ptheta.data.sources.tables import Source
from ptheta.data.splits import Masks
from ptheta.errors import SourceError
from ptheta.numbers import joined, listed
from ptheta.numerals import is_number
from ptheta.remarks import remark

MANY = 32
"""This many distinct whole numbers among strings are figures rather than names."""

WORDS = 4
"""Words among numbers that are named."""

MAX_CATEGORIES = 4_096
"""Most different values of a column, where all columns are categories."""


def table_codec(source: Source, names: list[str], columns: str, masks: Masks) -> TableCodec | RowCodec:
    """Codec for columns.

    Args:
        source: with its tables.
        names: of the columns.
        columns: `categories`: unordered values; `real`: one vector of real numbers; `mixed`: each column as what it is;
            `auto`: the same, and if all columns turn out alike, the space of that: levels if all are categories without
            missing cells, a vector if all are real numbers that do not repeat. What a column is depends on it alone.
        masks: splits, as `rows_codec` takes them.

    Raises:
        SourceError: columns that cannot be taken so.
    """
    kinds = {name: source.columns[name].kind for name in names}
    text = [name for name in names if kinds[name] in ("string", "class")]
    if columns == "real":
        if text:
            raise _no_numbers(source, text[0], names)
        resolutions = [column_resolution(source, name) for name in names]
        return TableCodec(names, None, _precision(source, names), resolutions, types=_float_types(source, names))
    if columns == "categories":
        return _category_codec(source, names)
    found = rows_codec(source, names, masks)
    words = {c["name"]: c["values"] for c in found.columns if c["name"] in text}
    if columns == "mixed":
        for name, _, shown in _mistyped(source, words):
            remark(f"column {name!r} holds numbers, but {shown}, and is taken as unordered categories")
        return found
    _refuse_words(source, words)
    if all(map(is_plain, found.columns)):
        precision, types = _precision(source, names), [c["type"] for c in found.columns]
        return TableCodec(names, None, precision, found.resolutions, types=types, dtypes=found.dtypes)
    if all(c["values"] and not c["missing"] and len(c["values"]) <= MAX_CATEGORIES for c in found.columns):
        return TableCodec(
            names,
            [c["values"] for c in found.columns],
            resolutions=found.resolutions,
            numbered=found.numbered,
            types=[c["type"] for c in found.columns],
            dtypes=found.dtypes,
        )
    return found


def _category_codec(source: Source, names: list[str]) -> TableCodec:
    """Every column as unordered values.

    Raises:
        SourceError: real numbers, missing cells, or very many values.
    """
    reals = [name for name in names if source.columns[name].kind == "float"]
    if reals:
        raise SourceError(f"column {reals[0]!r} holds real numbers", "choose other columns, or --columns mixed")
    values, types = _categories(source, names)
    many = [name for name in names if len(values[name]) > MAX_CATEGORIES]
    if many:
        rest = [name for name in names if name not in many]
        remedy = f"choose columns with fewer, such as --event {','.join(rest)}" if rest else "choose --columns mixed"
        raise SourceError(
            f"column {many[0]!r} has more than {MAX_CATEGORIES:,} different values, too many for categories", remedy
        )
    numbered = [name for name in names if source.columns[name].names]
    dtypes = dtypes_of(source, {name: {"type": types[name]} for name in names})
    listed = [values[name] for name in names]
    return TableCodec(names, listed, numbered=numbered, types=[types[name] for name in names], dtypes=dtypes)


def _categories(source: Source, names: list[str]) -> tuple[dict[str, list[Any]], dict[str, str]]:
    """Column → its sorted values over all splits, and its Arrow type; a column of too many is not read to its end."""
    import pyarrow as pa

    found: dict[str, set[Any]] = {name: set(source.columns[name].names or ()) for name in names}
    types = {name: "string" for name in names if source.columns[name].names}
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
                types.setdefault(name, str(array.type))
                found[name].update(array.unique().to_pylist())
            start += len(chunk[names[0]])
    names_of = {name: list(source.columns[name].names or ()) for name in names}
    return {name: names_of[name] or categories(name, values) for name, values in found.items()}, types


def _precision(source: Source, names: list[str]) -> str:
    """float32 if every column fits it, else float64."""
    chunk = next(next(iter(source.tables.values())).chunks(names))
    kinds = [chunk[name].dtype if isinstance(chunk[name], np.ndarray) else chunk[name].type for name in names]
    exact = ("float", "halffloat", "float32", "float16", "bool", "int8", "uint8", "int16", "uint16")
    return "float32" if all(str(kind) in exact for kind in kinds) else "float64"


def _float_types(source: Source, names: list[str]) -> list[str]:
    """Arrow types of columns taken as real numbers: their own, if it is one of these."""
    chunk = next(next(iter(source.tables.values())).chunks(names))
    kinds = [str(as_array_of(chunk[name]).type) for name in names]
    return [kind if kind in ("float", "halffloat") else "double" for kind in kinds]


def _no_numbers(source: Source, name: str, names: list[str]) -> SourceError:
    table = next(iter(source.tables.values()))
    value = next((v for v in as_array_of(next(table.chunks([name]))[name]).to_pylist() if v is not None), None)
    others = ",".join(n for n in names if source.columns[n].kind not in ("string", "class"))
    return SourceError(
        f"column {name!r} holds text such as {value!r}, not real numbers",
        f"choose columns of numbers, such as --event {others}" if others else "leave out --columns",
    )


def _mistyped(source: Source, values: dict[str, list[str]]) -> Iterator[tuple[str, list[str], str]]:
    """Columns of strings that are numbers but for some words, which a slip of the hand leaves behind: at least half of
    the different values are numbers, some with a fraction, a unit or thousands, or very many.

    Yields:
        The column, the words, and these with where they are first, in print.
    """
    is_text = any(table.is_text for table in source.tables.values())
    for name, known in values.items():
        if source.columns[name].names:
            continue
        numbers = {value for value in known if (kind_of_cell(value) == "number" if is_text else is_number(value))}
        figures = len(numbers) > MANY or any(not _is_whole(value) for value in numbers)
        if len(known) / 2 <= len(numbers) < len(known) and figures:
            table = next(iter(source.tables.values()))
            words = [value for value in known if value not in numbers]
            words = [value for value in words if kind_of_cell(value)] or words
            places = {word: row for word in words[:WORDS] if (row := _row_of(table, name, word)) is not None}
            shown = [repr(word) + (f" at {table.place(places[word])}" if word in places else "") for word in words]
            yield name, words, listed(shown, WORDS)


def _refuse_words(source: Source, values: dict[str, list[str]]) -> None:
    """Refuse columns of numbers and words.

    Raises:
        SourceError: there is one.
    """
    for name, words, shown in _mistyped(source, values):
        them = "such cells" if len(words) > 1 else "that cell"
        remedies = [f"correct or empty {them}", "take such columns as categories with --columns mixed"]
        if any(table.is_text for table in source.tables.values()):
            remedies.insert(1, f"take {them} as missing by naming the word{'s' * (len(words) > 1)} with --missing")
        raise SourceError(f"column {name!r} holds numbers, but {shown}", joined(remedies, "or"))


def _is_whole(text: str) -> bool:
    """Whether a number is a whole one and written like one."""
    return is_number(text) and float(text).is_integer()


def _row_of(table: Any, name: str, value: str) -> int | None:
    """First row of a column with that value."""
    start = 0
    for chunk in table.chunks([name]):
        column = as_array_of(chunk[name]).to_pylist()
        if value in column:
            return start + column.index(value)
        start += len(column)
    return None
