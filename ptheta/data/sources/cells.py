"""What the cells of text tables mean: numbers however they are written, codes, dates, words, and missing cells."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from ptheta.data.formats import MISSING, MISSING_NUMBERS
from ptheta.numbers import listed
from ptheta.numerals import CURRENCIES, GROUPS, grouped, readings, real, unit_of

if TYPE_CHECKING:
    import pyarrow as pa

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
        kind: whole, real, truth, code, long, date, word, varied or empty. Varied are numbers written in several ways
            that leave open which numbers they are.
        writing: of numbers.
        example: a cell that shows it.
        other: a cell that shows another way of writing, if there are several.
        why: what varied numbers leave open.
        missing: word → how many missing cells say so; a cell that is empty is the word "".
    """

    kind: str
    writing: Writing = Writing()
    example: str = ""
    other: str = ""
    why: str = ""
    missing: Mapping[str, int] = field(default_factory=dict)

    @property
    def is_number(self) -> bool:
        """Whether it holds numbers."""
        return self.kind in ("whole", "real")

    @property
    def is_plain(self) -> bool:
        """Whether all cells are written as Python writes them."""
        return self.writing.is_plain and not self.other


_DATE = re.compile(DATE)


def kind_of_cell(cell: str) -> str:
    """What a cell looks like by itself: number, date, word, or empty, if nothing is there.

    >>> [kind_of_cell(cell) for cell in ("1,5", "12%", "1 000", "2020-01-31", "red", "?")]
    ['number', 'number', 'number', 'date', 'word', '']
    """
    if cell in MISSING or cell.casefold() in MISSING_NUMBERS:
        return ""
    if readings(cell):
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
    if _all(values, DATE):
        return Meaning("date", example=example)
    return _varied(values, decimal) or Meaning("word", example=example)


def _varied(values: pa.Array, decimal: str) -> Meaning | None:
    """What numbers mean that are written in several ways; None if some are no numbers."""
    few = values.slice(0, LOOKED_AT).to_pylist()
    if not all(map(readings, few)):
        return None
    cells = values.to_pylist()
    found = [readings(cell) for cell in cells]
    if not all(decimal in own if decimal else own for own in found):
        return None
    if all(cell.startswith("(") for cell in cells):
        return None
    units: dict[str, str] = {}
    for cell in cells:
        units.setdefault(unit_of(cell), cell)
    if len(units) > 1 and (len(units) > 2 or "" not in units or "%" in units):
        one, two = list(units.values())[:2]
        why = "those without a percent sign may be percents" if set(units) == {"", "%"} else "their units differ"
        return Meaning("varied", example=one, other=two, why=why)
    marked = {mark: cell for cell, own in zip(cells, found) if len(own) == 1 for mark in own}
    odd = next((cell for cell in cells if not re.fullmatch(real("."), cell)), cells[0])
    plain = [cell for cell in cells if cell != odd and re.fullmatch(real("."), cell)]
    second = next(iter(plain), next((cell for cell in cells if cell != odd), odd))
    one, two = (marked[","], marked["."]) if len(marked) > 1 else (odd, second)
    open_ones = [cell for cell, own in zip(cells, found) if len(set(own.values())) > 1]
    if open_ones and not decimal and len(marked) != 1:
        low, high = sorted(readings(open_ones[0]).values())
        why = f"{open_ones[0]!r} may be {low:g} or {high:.16g}"
        return Meaning("varied", example=one, other=two, why=why)
    mark = decimal or next(iter(marked), ".")
    numbers = [_settled(own, mark) for own in found]
    kind = "whole" if all(n.is_integer() and abs(n) < 2**53 for n in numbers) else "real"
    return Meaning(kind, Writing(mark), one, other=two)


def _settled(found: Mapping[str, float], mark: str) -> float:
    """Of the numbers that a cell may say that of a decimal mark, if it is one of it."""
    return found.get(mark, next(iter(found.values())))


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
    if _all(values, real(decimal)):
        marked = next((v for v in values.to_pylist() if decimal in v), example) if decimal != "." else example
        return Meaning("real", Writing(decimal), marked)
    other = "." if decimal == "," else ","
    for mark in (other, *GROUPS):
        if _any(values, f"[0-9]{re.escape(mark)}[0-9]") and _all(values, f"{grouped(mark, decimal)}|{real(decimal)}"):
            kind = "real" if _any(values, re.escape(decimal)) else "whole"
            marked = next(v for v in values.to_pylist() if mark in v)
            return Meaning(kind, Writing(decimal, mark), marked)
    return _surrounded(values, decimal, example)


def _surrounded(values: pa.Array, decimal: str, example: str) -> Meaning | None:
    """What numbers mean around each of which the same stands: a currency, %."""
    head = re.match(rf"[+-]?([{CURRENCIES}]\s*)", example)
    tail = re.search(rf"(\s*[{CURRENCIES}%]|\s?°[CF]?|\s[^\W\d_]{{1,3}}[²³]?)$", example)  # such as kg
    before, after = head[1] if head else "", tail[1] if tail else ""
    if bool(before) == bool(after):
        return None
    if after and after[-1] not in f"{CURRENCIES}%" and len(values) == 1:
        return None  # one of several words that begin with a number
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
    if meaning.other:
        numbers = [_settled(readings(cell), way.decimal) for cell in values.to_pylist()]
        return pa.array(numbers, pa.float64()).cast(pa.int64() if meaning.kind == "whole" else pa.float64())
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
    "varied": lambda found: (
        f"numbers written in several ways, such as {found.example!r} and {found.other!r}, are taken as unordered"
        f" categories, since {found.why}"
    ),
    "date": lambda found: f"dates and times such as {found.example!r} are taken as unordered categories",
}
"""Kind of column → what is reported of it."""


def reports(meanings: Mapping[str, Meaning]) -> list[str]:
    """What is to be reported of columns, in sentences that each name the columns that they are about."""
    alike: dict[tuple[str, Writing, str], list[str]] = {}
    for name, found in meanings.items():
        if found.kind in REPORTS or (found.is_number and not found.is_plain):
            own = found.example if found.other else ""
            alike.setdefault((found.kind, found.writing, own), []).append(name)
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
    if found.other:
        other = numbers_of(pa.array([found.other]), found)[0].as_py()
        cells = f"{found.example!r} and {found.other!r}"
        return f"numbers written in several ways, such as {cells}, are read as {number} and {other}"
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
