"""A row of units below the header of a text table."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

from ptheta.data.sources.cells import kind_of_cell

LONGEST = 16
"""Characters of a unit, at most."""

NUMBERS = 0.9
"""Part of the cells below that have to be numbers in a column that has a unit."""

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
    found: dict[str, str] = {}
    for name, cell in first.items():
        kinds = [kind for other in below[name] if (kind := kind_of_cell(other.strip()))]
        if len(kinds) < 2 or kinds.count("number") < NUMBERS * len(kinds):
            continue
        unit = cell.strip()
        if unit and (kind_of_cell(unit) not in ("word", "") or unit in below[name] or len(unit) > LONGEST):
            return None
        if kind_of_cell(unit) == "word":
            found[name] = unit
    alike = sum(any(form.fullmatch(unit) for form in (_KNOWN, _LOOKS)) for unit in found.values())
    return found if found and alike > len(found) / 2 else None
