"""Rows of a text table that are no events: units or names below the header, sums and notes at the end."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence

from ptheta.data.sources.cells import kind_of_cell
from ptheta.numbers import listed
from ptheta.numerals import readings

LONGEST = 16
"""Characters of a unit, at most."""

NUMBERS = 0.9
"""Part of the cells below that have to be numbers in a column that has a unit."""

TOTALS = {
    *("total", "totals", "grand total", "sum", "average", "mean", "summe", "gesamt", "gesamtsumme", "insgesamt"),
    *(
        "mittelwert",
        "durchschnitt",
        "total général",
        "somme",
        "moyenne",
        "suma",
        "promedio",
        "totale",
        "somma",
        "media",
    ),
    *("итого", "всего", "сумма", "среднее", "合計", "总计", "合计", "합계", "toplam", "razem", "totaal", "summa"),
}
"""Words of rows that sum up those above."""

STATISTICS = {"mean", "avg", "std", "var", "min", "max", "median", "sum", "count", "first", "last", "value"}
"""Words below names of columns that say what was made of them."""

_KNOWN = re.compile(
    r"(da|[yzafpnuµmcdhkMGTP])?(m[23]?|g|s|[lL]|Hz|Pa|bar|Wh?|V|Ah?|J|N|mol|cal|K|lx|lm|cd|B|px)"
    r"|t|ha|in|ft|mi|gal|lb|oz|sec|min|hr?|d|days?|yr|years?|rpm|deg[CF]?|C|F|psi|atm|mmHg|dBm?|ppm|ppb|pH|mph|kn|pct"
    r"|EUR|USD|GBP|CHF|JPY|CNY|RUB|INR|SEK|NOK|DKK|PLN|CZK|BRL|CAD|AUD"
)
_LOOKS = re.compile(r"\[.*\]|\(.*\)|<.*>|\{.*\}|[^\W\d_]{0,6}[°%‰²³µμΩΩ€$£¥/^·*].{0,10}")


def units_row(first: Mapping[str, str], below: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    """The units that the row below the header gives; None if it is not evidently one of units.

    It is if in every column of numbers it has no number, but a word that does not occur again, or nothing; and if most
    of these words look like units, or are well-known ones where only one column has one.

    Args:
        first: column → its first cell.
        below: column → the cells below that, the first ones.

    >>> units_row({"t": "°C", "p": "", "w": "text"}, {"t": ["1.5", "2"], "p": ["3", ""], "w": ["a", "b"]})
    {'t': '°C'}
    >>> units_row({"t": "7"}, {"t": ["1.5", "2"]}) is None, units_row({"t": "oops"}, {"t": ["1.5", "2"]}) is None
    (True, True)
    """
    found = _above_numbers(first, below)
    if found is None or any(len(unit) > LONGEST for unit in found.values()):
        return None
    alike = sum(any(form.fullmatch(unit) for form in (_KNOWN, _LOOKS)) for unit in found.values())
    return found if found and alike > len(found) / 2 else None


def second_header(first: Mapping[str, str], below: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """The words of the row below the header if it is evidently one of names; else none.

    It is if two columns of numbers or more have a different word there each, or one for a statistic, and none a number.

    Args:
        first: column → its first cell.
        below: column → the cells below that, the first ones.

    >>> second_header({"t": "mean", "t.1": "max"}, {"t": ["1.5", "2"], "t.1": ["3", "4"]})
    {'t': 'mean', 't.1': 'max'}
    >>> second_header({"t": "?", "t.1": "max"}, {"t": ["1.5", "2"], "t.1": ["3", "4"]})
    {}
    """
    found = _above_numbers(first, below) or {}
    words = {word.casefold() for word in found.values()}
    return found if len(found) > 1 and (len(words) == len(found) or words & STATISTICS) else {}


def _above_numbers(first: Mapping[str, str], below: Mapping[str, Sequence[str]]) -> dict[str, str] | None:
    """Column of numbers → the word above them; None if one has anything else there that is no missing cell."""
    found: dict[str, str] = {}
    for name, cell in first.items():
        kinds = [kind for other in below[name] if (kind := kind_of_cell(other.strip()))]
        if len(kinds) < 2 or kinds.count("number") < NUMBERS * len(kinds):
            continue
        word = cell.strip()
        if word and (kind_of_cell(word) not in ("word", "") or word in below[name]):
            return None
        if kind_of_cell(word) == "word":
            found[name] = word
    return found


def last_row(last: Mapping[str, str], above: Mapping[str, Sequence[str]]) -> str:
    """What the last row is, if it evidently is no event, as a noun phrase; else empty.

    Args:
        last: column → its last cell.
        above: column → the cells above that; of a long table some, so that sums are not recognised.

    >>> last_row({"a": "Total:", "n": "7"}, {"a": ["x", "y"], "n": ["3", "4"]})
    "totals ('Total:')"
    >>> last_row({"a": "", "n": "7"}, {"a": ["x", "y"], "n": ["3", "4"]})
    'totals (the sum of n)'
    >>> last_row({"a": "Source: WHO", "n": "", "m": ""}, {"a": ["x", "y"], "n": ["3", "4"], "m": ["5", "6"]})
    "a note ('Source: WHO')"
    """
    filled = {name: cell.strip() for name, cell in last.items() if cell.strip()}
    for name, cell in filled.items():
        if cell.rstrip(":").casefold() in TOTALS and cell not in map(str.strip, above[name]):
            return f"totals ({cell!r})"
    if len(filled) < len(last) and (summed := _summed(filled, above)):
        return f"totals (the sum of {listed(summed)})"
    first = next(iter(last))
    full = all(cell.strip() for cells in above.values() for cell in cells)
    return f"a note ({filled[first]!r:.60})" if len(last) > 2 and [*filled] == [first] and full else ""


def _summed(last: Mapping[str, str], above: Mapping[str, Sequence[str]]) -> list[str]:
    """Columns whose last cell is the sum of those above; none unless it is in all columns of numbers."""
    found = []
    for name, cell in last.items():
        numbers = [_number(one) for one in (cell, *above[name]) if one.strip()]
        if None in numbers or len(numbers) < 3:
            continue
        total, *rest = [number for number in numbers if number is not None]
        if not total or not math.isclose(total, math.fsum(rest), rel_tol=1e-9):
            return []
        found.append(name)
    return found


def _number(cell: str) -> float | None:
    """The number that a cell says, if it is one by any decimal mark."""
    found = {*readings(cell).values()}
    return found.pop() if len(found) == 1 else None
