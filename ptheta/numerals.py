"""Texts that are numbers: as Python writes them, as programs print them, and however people do."""

from __future__ import annotations

import math
import re

CURRENCIES = "$€£¥₹₽₩₺₫₪฿"
"""Signs that may stand before or after an amount."""

GROUPS = (" ", "\u00a0", "\u202f", "'", "’")
"""What, besides the mark that is not the decimal one, separates thousands."""

MINUS = "−–"
"""Signs that stand for a minus before a digit."""


def real(decimal: str) -> str:
    """Pattern of a number without thousands."""
    mark = re.escape(decimal)
    return rf"[+-]?([0-9]+{mark}?[0-9]*|{mark}[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity)"


def grouped(mark: str, decimal: str) -> str:
    """Pattern of a number whose thousands a mark separates."""
    return rf"[+-]?[1-9][0-9]{{0,2}}({re.escape(mark)}[0-9]{{3}})+({re.escape(decimal)}[0-9]*)?"


_AROUND = re.compile(rf"\s*([{CURRENCIES}]|%)\s*")
_FORMS = {
    decimal: (
        re.compile(real(decimal)),
        [(mark, re.compile(grouped(mark, decimal))) for mark in (other, *GROUPS)],
    )
    for decimal, other in (".,", ",.")
}


def is_number(text: str) -> bool:
    """Whether a text is a finite number as Python writes it.

    >>> is_number("1e3"), is_number("nan"), is_number("one"), is_number("1_000")
    (True, False, False, False)
    """
    return is_float(text) and math.isfinite(float(text))


def is_float(text: str) -> bool:
    """Whether a text is a number as Python writes it, or infinite, or not a number."""
    try:
        float(text)
    except ValueError:
        return False
    return text.isascii() and "_" not in text


def is_figure(text: str) -> bool:
    """Whether a text is a number as a table shows it: with commas between thousands.

    >>> is_figure("1,235"), is_figure("-2.5e+10"), is_figure("e-e"), is_figure("2020-01-31")
    (True, True, False, False)
    """
    return is_number(text) or bool(re.fullmatch(grouped(",", "."), text))


def is_amount(text: str) -> bool:
    """Whether a text is a number with thousands, a short unit or a sign around it, or nothing of these, or a fraction.

    >>> is_amount("1'200"), is_amount("5 kg"), is_amount("$7"), is_amount("1 1/2"), is_amount("seven")
    (True, True, True, True, False)
    """
    number = r"[^\w\s]{0,2}(\d{1,3}([., '’]\d{3})+|\d+)([.,]\d+)?\s?\D{0,3}"
    return bool(re.fullmatch(rf"{number}|-?(\d+[ -])?\d+ ?[/⁄] ?\d+", text))


def unit_of(cell: str) -> str:
    """The currency or percent sign around a number; empty if there is none.

    >>> unit_of("€ 5"), unit_of("12%"), unit_of("3")
    ('€', '%', '')
    """
    found = _AROUND.search(cell)
    return found[1] if found else ""


def readings(cell: str) -> dict[str, float]:
    """The numbers that a cell by itself may say: decimal mark → number.

    It is empty for what is not a number, and has one number for both marks where they make no difference.

    >>> readings("1,5"), readings("1 234.5"), readings("(7 €)"), readings("x")
    ({',': 1.5}, {'.': 1234.5}, {'.': -7.0, ',': -7.0}, {})
    >>> readings("1,234"), readings("−12%")
    ({'.': 1234.0, ',': 1.234}, {'.': -12.0, ',': -12.0})
    """
    bare = _AROUND.sub("", cell.strip(), count=1)
    if bare[:1] == "(" and bare[-1:] == ")" and bare[1:2] not in tuple("+-("):
        bare = "-" + _AROUND.sub("", bare[1:-1], count=1)  # as accountants write what is owed
    if bare[:1] and bare[0] in MINUS:
        bare = "-" + bare[1:]
    found = {}
    for decimal, (plain, groups) in _FORMS.items():
        if plain.fullmatch(bare):
            found[decimal] = float(bare.replace(decimal, "."))
        else:
            mark = next((mark for mark, form in groups if form.fullmatch(bare)), None)
            if mark is not None:
                found[decimal] = float(bare.replace(mark, "").replace(decimal, "."))
    return found
