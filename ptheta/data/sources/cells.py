"""What the cells of text tables mean: numbers however they are written, codes, dates, words, and missing cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ptheta.data.formats import MISSING, MISSING_NUMBERS
from ptheta.numbers import listed

if TYPE_CHECKING:
    import pyarrow as pa

CURRENCIES = "$€£¥₹₽₩₺₫₪฿"
"""Signs that may stand before or after an amount."""

GROUPS = (" ", "\u00a0", "\u202f", "'", "’")
"""What, besides the mark that is not the decimal one, separates thousands."""

LOOKED_AT = 64
"""Values that are tried before all others are."""

WHOLE = r"[+-]?[0-9]+"
CODE = r"0[0-9]+"
TRUTH = ("true", "false")

_DATES = (
    r"[0-9]{4}[-/.][0-9]{1,2}([-/.][0-9]{1,2})?([T ][0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?(Z|[+-][0-9:]{2,6})?)?",
    r"[0-9]{1,2}[-/.][0-9]{1,2}[-/.]([0-9]{4}|[0-9]{2})( [0-9]{1,2}:[0-9]{2}(:[0-9]{2})?( ?[AaPp][Mm])?)?",
    r"[0-9]{1,2}:[0-9]{2}(:[0-9]{2}(\.[0-9]+)?)?( ?[AaPp][Mm])?",
    r"[0-9]{1,2}[- ](?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]*[- ,]+[0-9]{2,4}",
    r"(?i:jan|feb|mar|apr|may|jun|jul|aug|sep|oct|nov|dec)[a-z]* [0-9]{1,2},? [0-9]{4}",
)
DATE = "|".join(_DATES)
"""Dates and times of day as they are commonly written."""


@dataclass(frozen=True)
class Writing:
    """How the numbers of a column are written.

    Args:
        decimal: mark before the fraction.
        thousands: mark between groups of three digits; empty: none.
        before, after: what stands around every number: a currency, %.

    >>> Writing(",", ".", after=" €").written("-1234.5")
    '-1.234,5 €'
    """

    decimal: str = "."
    thousands: str = ""
    before: str = ""
    after: str = ""

    @property
    def is_plain(self) -> bool:
        """Whether numbers are written as Python writes them."""
        return self == Writing()

    def written(self, number: str) -> str:
        """A number as Python writes it, written so."""
        if self.is_plain or not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", number):
            return number
        whole, point, fraction = number.partition(".")
        if self.thousands:
            whole = re.sub(r"(?<=[0-9])(?=([0-9]{3})+$)", self.thousands.replace("\\", ""), whole)
        body = whole + (self.decimal if point else "") + fraction
        sign = "-" if self.before and body.startswith("-") else ""
        return f"{sign}{self.before}{body.removeprefix(sign)}{self.after}"


@dataclass(frozen=True)
class Meaning:
    """What a column of a text table holds.

    Args:
        kind: whole, real, truth, code, long, date, word or empty.
        writing: of numbers.
        example: a cell that shows it.
        missing: word → how many missing cells say so; a cell that is empty is the word "".
    """

    kind: str
    writing: Writing = Writing()
    example: str = ""
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in ("whole", "real")


def _real(decimal: str) -> str:
    mark = re.escape(decimal)
    return rf"[+-]?([0-9]+{mark}?[0-9]*|{mark}[0-9]+)([eE][+-]?[0-9]+)?|[+-]?(?i:inf|infinity)"


def _grouped(mark: str, decimal: str) -> str:
    return rf"[+-]?[1-9][0-9]{{0,2}}({re.escape(mark)}[0-9]{{3}})+({re.escape(decimal)}[0-9]*)?"


_AROUND = re.compile(rf"\s*([{CURRENCIES}]|%)\s*")
_NUMBER = re.compile(
    "|".join(
        f"(?:{pattern})"
        for decimal, other in (".,", ",.")
        for pattern in (_real(decimal), *(_grouped(mark, decimal) for mark in (other, *GROUPS)))
    )
)
_DATE = re.compile(DATE)


def kind_of_cell(cell: str) -> str:
    """What a cell looks like by itself: number, date, word, or empty, if nothing is there.

    >>> [kind_of_cell(cell) for cell in ("1,5", "12%", "1 000", "2020-01-31", "red", "?")]
    ['number', 'number', 'number', 'date', 'word', '']
    """
    if cell in MISSING or cell.casefold() in MISSING_NUMBERS:
        return ""
    if _NUMBER.fullmatch(_AROUND.sub("", cell, count=1)):
        return "number"
    return "date" if _DATE.fullmatch(cell) else "word"


def missing_words(asked: Sequence[str], none: str) -> tuple[set[str], set[str]]:
    """Words that stand for a missing cell, and those that do only among numbers.

    Args:
        asked: further words; `none` among them leaves out those that are usual.
        none: that word.
    """
    own = {word.strip() for word in asked if word != none}
    return ({"", *own}, set()) if none in asked else ({*MISSING, *own}, set(MISSING_NUMBERS))


def meaning_of(values: pa.Array, decimal: str, separator_is_comma: bool) -> Meaning:
    """What the different cells of a column mean, none of them missing.

    Args:
        values: strings.
        decimal: mark before the fraction; empty: that by which they are numbers.
        separator_is_comma: whether 1,234 then is more than a thousand.
    """
    if not len(values):
        return Meaning("empty")
    example = values[0].as_py()
    if len(values) <= 4 and {value.casefold() for value in values.to_pylist()} <= set(TRUTH):
        return Meaning("truth")
    for mark in (decimal,) if decimal else _decimals(values, separator_is_comma):
        if (found := _number(values, mark)) is not None:
            return found
    return Meaning("date" if _all(values, DATE) else "word", example=example)


def decimals_of(values: pa.Array) -> set[str]:
    """The decimal marks by which cells are numbers; both if that does not matter to them, or cannot be told."""
    return {mark for mark in ".," if _number(values, mark) is not None} if len(values) else {".", ","}


def _decimals(values: pa.Array, separator_is_comma: bool) -> str:
    """The decimal marks to try, likelier first."""
    return ".," if separator_is_comma or not _any(values, ",") or _any(values, r"\.") else ",."


def _number(values: pa.Array, decimal: str) -> Meaning | None:
    """What numbers of a decimal mark mean; None if they are no numbers."""
    few = values.slice(0, LOOKED_AT)
    return _plain(values, decimal) if len(few) == len(values) or _plain(few, decimal) is not None else None


def _plain(values: pa.Array, decimal: str) -> Meaning | None:
    example = values[0].as_py()
    if _all(values, WHOLE):
        if _any(values, f"^[+-]?{CODE}$"):
            return Meaning("code", example=next(v for v in values.to_pylist() if re.fullmatch(rf"[+-]?{CODE}", v)))
        return Meaning("whole" if _fits(values) else "long", example=example)
    if _all(values, _real(decimal)):
        marked = next((v for v in values.to_pylist() if decimal in v), example) if decimal != "." else example
        return Meaning("real", Writing(decimal), marked)
    other = "." if decimal == "," else ","
    for mark in (other, *GROUPS):
        if _any(values, f"[0-9]{re.escape(mark)}[0-9]") and _all(values, f"{_grouped(mark, decimal)}|{_real(decimal)}"):
            kind = "real" if _any(values, re.escape(decimal)) else "whole"
            marked = next(v for v in values.to_pylist() if mark in v)
            return Meaning(kind, Writing(decimal, mark), marked)
    return _surrounded(values, decimal, example)


def _surrounded(values: pa.Array, decimal: str, example: str) -> Meaning | None:
    """What numbers mean around each of which the same stands: a currency, %."""
    head = re.match(rf"[+-]?([{CURRENCIES}]\s*)", example)
    tail = re.search(rf"(\s*[{CURRENCIES}%])$", example)
    before, after = head[1] if head else "", tail[1] if tail else ""
    if bool(before) == bool(after):
        return None
    held = _all(values, rf"[+-]?{re.escape(before)}[^{CURRENCIES}%]*{re.escape(after)}")
    bare = _bare(values, before, after) if held else None
    found = None if bare is None else _plain(bare, decimal)
    if found is None or found.writing.before or found.writing.after or not found.is_number:
        return None
    return replace(found, writing=replace(found.writing, before=before, after=after), example=example)


def _bare(values: pa.Array, before: str, after: str) -> Any:
    pc = compute()
    pattern = rf"^([+-]?){re.escape(before)}(.*?){re.escape(after)}$"
    return pc.replace_substring_regex(values, pattern, r"\1\2")


def numbers_of(values: pa.Array, meaning: Meaning) -> Any:
    """The numbers that cells say, int64 or float64, as an Arrow array."""
    import pyarrow as pa

    way, pc = meaning.writing, compute()
    if way.before or way.after:
        values = _bare(values, way.before, way.after)
    if way.thousands:
        values = pc.replace_substring(values, way.thousands, "")
    if way.decimal != ".":
        values = pc.replace_substring(values, way.decimal, ".")
    values = pc.replace_substring_regex(values, r"^\+", "")
    return values.cast(pa.int64() if meaning.kind == "whole" and _fits(values) else pa.float64())


def _fits(values: pa.Array) -> bool:
    """Whether whole numbers are such of 64 bits."""
    import pyarrow as pa

    pc = compute()
    if not _any(values, r"[0-9]{19}"):
        return True
    try:
        pc.replace_substring_regex(values, r"^\+", "").cast(pa.int64())
    except pa.ArrowInvalid:
        return False
    return True


def _all(values: pa.Array, pattern: str) -> bool:
    pc = compute()
    whole = f"^(?:{pattern})$"
    parts = (values.slice(0, LOOKED_AT), values) if len(values) > LOOKED_AT else (values,)
    return all(pc.all(pc.match_substring_regex(part, whole)).as_py() for part in parts)


def _any(values: pa.Array, pattern: str) -> bool:
    pc = compute()
    return bool(pc.any(pc.match_substring_regex(values, pattern)).as_py())


REPORTS: dict[str, Callable[[Meaning], str]] = {
    "code": lambda found: f"leading zeros, such as those of {found.example!r}, are kept, and these taken as text",
    "long": lambda found: f"whole numbers such as {found.example} are too long for numbers, and taken as text",
    "date": lambda found: f"dates and times such as {found.example!r} are taken as unordered categories",
}
"""Kind of column → what is reported of it."""


def reports(meanings: Mapping[str, Meaning]) -> list[str]:
    """What is to be reported of columns, in sentences that each name the columns that they are about."""
    alike: dict[tuple[str, Writing], list[str]] = {}
    for name, found in meanings.items():
        if found.kind in REPORTS or (found.is_number and not found.writing.is_plain):
            alike.setdefault((found.kind, found.writing), []).append(name)
    sentences = []
    for names in alike.values():
        found = meanings[names[0]]
        said = REPORTS[found.kind](found) if found.kind in REPORTS else _read_as(found)
        sentences.append(f"{listed(names)}: {said}")
    absent = {name: found.missing for name, found in meanings.items() if any(found.missing)}
    if absent:
        words = {name: ", ".join(map(_called, sorted(counts))) for name, counts in absent.items()}
        counts = [f"{name} {sum(absent[name].values()):,} ({said})" for name, said in words.items()]
        sentences.append(f"missing cells: {listed(counts)}")
    return sentences


def _called(word: str) -> str:
    """A word for a missing cell, in print."""
    return repr(word) if word.strip() else "blank" if word else "empty"


def _read_as(found: Meaning) -> str:
    import pyarrow as pa

    way = found.writing
    number = numbers_of(pa.array([found.example]), found)[0].as_py()
    what = "percents" if way.after.endswith("%") else "amounts" if way.before or way.after else "numbers"
    return f"{what} such as {found.example!r} are read as {number}"


def dates_among(columns: Mapping[str, Any]) -> dict[str, str]:
    """Columns of strings, as Arrow arrays, that all are dates or times → one of them."""
    import pyarrow as pa

    found = {}
    for name, values in columns.items():
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            known = values.drop_null()
            if len(known) and _all(known.slice(0, LOOKED_AT), DATE) and _all(known, DATE):
                found[name] = known[0].as_py()
    return found


def compute() -> Any:
    """`pyarrow.compute`, the functions of which no type checker sees."""
    import pyarrow.compute

    return pyarrow.compute
