"""Columns of words in tables: names and notes of which nearly every row has its own, dates and times."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from itertools import islice

import numpy as np

from ptheta.data.codecs.frames import as_array_of
from ptheta.data.codecs.mixed_rows import LARGEST
from ptheta.data.finding.mixed_columns import FEW
from ptheta.data.sources.cells import DATE
from ptheta.data.sources.tables import Source
from ptheta.numerals import is_amount

FEWEST = 50
"""Rows of a table below which nothing is said of its words."""

OWN = 0.5
"""Part of the rows that have a value of their own, beyond which a column tells rows apart and not kinds of them."""

UNDATED = 0.1
"""Part of the different values of a column of dates and times that may be none; one always may."""

_DATE = re.compile(DATE)


def unusual_words(source: Source, names: list[str]) -> tuple[list[str], list[str], list[str]]:
    """Columns of words that are identifiers or free text, since more than half of the rows have a value of their own;
    those that are dates or times, unless all are such in a text table, the reader of which reports that; and those of
    more than a few figures that are spelled, such as 24.9 kg, each with one of them.

    Args:
        source: with its tables, of each of which a chunk is looked at.
        names: of columns.
    """
    declared = [name for name in names if isinstance(source.columns[name].dtype, dict)]
    is_text = any(table.is_text for table in source.tables.values())
    names = [name for name in names if source.columns[name].kind == "string" and name not in declared]
    own, dates, figures = [], [], []
    for name, counts in _counts(source, names):
        others = [value for value in counts if not _DATE.fullmatch(value)]
        is_date = len(others) <= max(1, UNDATED * len(counts)) and 2 * len(others) < len(counts)
        if is_date and (others or not is_text):
            dates.append(f"{name} (but for {others[0]!r})" if others else name)
        rows, single = sum(counts.values()), sum(count == 1 for count in counts.values())
        spelled = [value for value in counts if is_amount(value) and not value.isdigit()]
        if is_date:
            continue
        if 2 * len(spelled) > len(counts):
            if len(counts) > FEW:
                figures.append(f"{name} (such as {spelled[0]!r})")
        elif rows >= FEWEST and single > OWN * rows:
            own.append(name)
    return own, dates, figures


def too_long(source: Source, names: list[str]) -> list[str]:
    """Columns of whole numbers of which some, in the first chunk of a table, have more digits than float64 keeps."""
    import pyarrow.compute as pc

    names = [name for name in names if source.columns[name].kind == "int" and source.columns[name].dtype is None]
    found = set()
    for table in source.tables.values() if names else ():
        for chunk in islice(table.chunks(names), 1):
            for name in names:
                ends = pc.min_max(as_array_of(chunk[name])).as_py().values()  # type: ignore[attr-defined]
                if any(end is not None and abs(end) > LARGEST for end in ends):
                    found.add(name)
    return [name for name in names if name in found]


def _counts(source: Source, names: list[str]) -> Iterator[tuple[str, Counter[str]]]:
    """Column → how often each of its values occurs in the first chunk of every table."""
    found = {name: Counter[str]() for name in names}
    for table in source.tables.values():
        chunk = next(table.chunks(names), None) if names else None
        if chunk is None:
            continue
        for name in names:
            values = as_array_of(chunk[name]).drop_null().value_counts()
            words, counts = values.field("values").to_pylist(), np.asarray(values.field("counts"))
            found[name].update(dict(zip(words, counts.tolist())))
    yield from found.items()
