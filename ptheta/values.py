"""Numbers as the values they stand for, whatever type they are stored in.

A float32 column that holds 0.1 stores 0.100000001490116…, a CSV file of it says 0.1, and its cast to float64 is a third
number. The value meant is the shortest decimal that gives the stored number back in its own type, which every format
writes and reads alike. So that is the number everything here is compared by, as the float64 nearest to it.

A column has a resolution: the type whose numbers its values are. Its own values may still come wide, cast from a
narrower type or printed with more digits than that has; `snapped` finds them again. What a column knows by name, atoms
and the numbers of a category, `Known` finds in numbers of any type.
"""

from __future__ import annotations

from functools import cached_property

import numpy as np

RESOLUTIONS = ("half", "single", "double")
"""What a column's values can be distinguished by, coarsest first."""

NARROW = {"half": np.dtype(np.float16), "single": np.dtype(np.float32)}
"""Resolution → its type."""

DIGITS = {"half": 5, "single": 9}
"""Digits that tell a stored number from its neighbours."""

PRINTED = {"half": 5e-5, "single": 5e-9}
"""Largest relative error of a stored number printed with the digits that tell it from its neighbours: 5, or 9."""

BINARY = 2.0**10
"""Fractions of this denominator are exact in every type: columns of nothing else say nothing about their type."""

FIRST = 4_096
"""Values that are looked at before all others are."""

PART = 2**18
"""Numbers spelled at once."""

SIX_DIGITS = 1e6
"""Decimals of at most six digits are all different in float32."""

WHOLE = 2.0**24
"""Below it, whole numbers are all different in float32, and so their own value."""


def shortest(stored: np.ndarray) -> np.ndarray:
    """The values that stored numbers stand for, float64 of the same shape.

    Of float32 and float16 it is the float64 nearest to the shortest decimal that gives the stored number back, the
    closest one if there are several; numbers of other types are their own value.

    >>> shortest(np.float32([0.1, 16777216, 1e-45])).tolist(), float(np.float32(0.1))
    ([0.1, 16777216.0, 1e-45], 0.10000000149011612)
    """
    stored = np.asarray(stored)
    if stored.dtype.kind != "f" or stored.dtype.itemsize > 4:
        return stored.astype(np.float64)
    flat = np.ascontiguousarray(stored, stored.dtype.newbyteorder("=")).reshape(-1)
    values = _halves()[flat.view(np.uint16)] if flat.dtype.itemsize == 2 else _singles(flat)
    return values.reshape(stored.shape)


def resolution_of(stored: np.dtype) -> str:
    """The resolution of numbers of a numpy type."""
    return next((name for name, kind in NARROW.items() if stored == kind), "double")


def snapped(values: np.ndarray, resolution: str) -> np.ndarray:
    """Values of a column, float64, of which those that are numbers of its resolution written wide are what they mean.

    A number is written wide if it is cast to a wider type, or printed with as many digits as tell it from its
    neighbours, or more. A value that has more digits than the column's type keeps them.

    >>> snapped(np.array([0.10000000149011612, 0.100000001, 0.1, 0.12345678901]), "single").tolist()
    [0.1, 0.1, 0.1, 0.12345678901]
    """
    if resolution == "double":
        return values.copy()
    narrow = _narrowed(values, resolution)
    wide, meant = narrow.astype(np.float64), shortest(narrow)
    with np.errstate(invalid="ignore"):
        own = (values == wide) | (values == meant)
        close = ~own & (np.abs(values - wide) <= PRINTED[resolution] * np.abs(values))
    for place in zip(*np.nonzero(close)):
        spelled = (float(f"{wide[place]:.{digits - 1}e}") for digits in range(DIGITS[resolution], 17))
        own[place] = any(number == values[place] for number in spelled)
    return np.where(own, meant, values)


def inferred(values: np.ndarray, stored: str = "double", exact: bool = False) -> str:
    """The resolution of a column.

    It is single if every value is a float32 number or the shortest decimal of one; half only of float16 columns, since
    few digits are no sign of that. Whole numbers, and binary fractions such as 0.25, are the same in every type and
    their own: nothing is inferred from those.

    Args:
        values: of all its rows [n], float64 without NaN, as `shortest` gives them.
        stored: resolution of the type in which they were stored.
        exact: whether that is a type of whole or decimal numbers.

    >>> inferred(np.array([0.1, 2.5])), inferred(np.array([0.1, 1 / 3])), inferred(np.array([1.0, 2.0]))
    ('single', 'double', 'double')
    """
    if exact:
        return "double"
    if stored == "half" and all(are_of(part, "half").all() for part in (values[:FIRST], values)):
        return "half"
    for part in (values[:FIRST], values):
        if not are_of(part, "single").all():
            return "double"
    with np.errstate(over="ignore"):
        scaled = values * BINARY
    return "single" if stored != "double" or bool((scaled != np.round(scaled)).any()) else "double"


class Known:
    """Numbers that a column knows by name, found again in whatever type they come.

    A value is one of them if it is that number; or, of numbers with a fraction, if it is the number in float32 or
    float16 cast to a wider type or spelled; or if it is stored in such a type, and the number is the same in that type.

    Args:
        numbers: [k] float64, ascending and distinct.
        resolution: of their column, at which values that come wide are compared.

    >>> known = Known(np.array([0.1, 0.2, 1 / 3]))
    >>> known.find(np.array([0.2, 0.10000000149011612, 0.33333334, 0.3])).tolist()
    [1, 0, 2, -1]
    """

    def __init__(self, numbers: np.ndarray, resolution: str = "double"):
        self.numbers, self.resolution = np.asarray(numbers, np.float64), resolution

    def find(self, values: np.ndarray, stored: str = "double") -> np.ndarray:
        """Which number each value [n] is, −1 for none.

        Args:
            values: float64, as `shortest` gives them.
            stored: resolution of the type in which they were stored.
        """
        found = _place(self.numbers, np.arange(len(self.numbers)), values)
        if (rest := np.flatnonzero(found < 0)).size:
            found[rest] = _place(*self._wide, values[rest])
        if self.resolution != "double" and (rest := np.flatnonzero(found < 0)).size:
            found[rest] = _place(self.numbers, np.arange(len(self.numbers)), snapped(values[rest], self.resolution))
        if stored != "double" and (rest := np.flatnonzero(found < 0)).size:
            found[rest] = self._in_type(values[rest], stored)
        return found

    @cached_property
    def _wide(self) -> tuple[np.ndarray, np.ndarray]:
        """Other spellings of the numbers, ascending, and of which number each is."""
        spelled: list[np.ndarray] = []
        numbers: list[np.ndarray] = []
        fraction = self.numbers != np.round(self.numbers)
        for resolution in NARROW:
            narrow = _narrowed(self.numbers, resolution)
            wide, value = narrow.astype(np.float64), shortest(narrow)
            narrow = fraction & np.isfinite(wide) & (wide != value)  # else it is a number that others write too
            if resolution == "half":
                narrow &= (value == self.numbers) | (wide == self.numbers)
            spelled += [wide[narrow], value[narrow]]
            numbers += [np.flatnonzero(narrow)] * 2
        every, which = np.concatenate(spelled), np.concatenate(numbers)
        order = np.lexsort([np.abs(every - self.numbers[which]), every])  # of several numbers, the nearest
        every, which = every[order], which[order]
        first = np.concatenate([[True], every[1:] != every[:-1]]) if len(every) else np.zeros(0, bool)
        return every[first], which[first]

    def _in_type(self, values: np.ndarray, stored: str) -> np.ndarray:
        """Which number each value [n] is in a narrow type, the nearest of several, −1 for none."""
        if not len(self.numbers):
            return np.full(len(values), -1)
        right = np.searchsorted(self.numbers, values).clip(max=len(self.numbers) - 1)
        left = (right - 1).clip(min=0)
        nearer = np.abs(self.numbers[left] - values) <= np.abs(self.numbers[right] - values)
        nearest = np.where(nearer, left, right)
        return np.where(same(values, self.numbers[nearest], stored), nearest, -1)


def same(values: np.ndarray, others: np.ndarray, resolution: str) -> np.ndarray:
    """Whether values and others, float64, are one number in the type of a resolution."""
    if resolution == "double":
        return values == others
    narrow = _narrowed(values, resolution)
    return (narrow == _narrowed(others, resolution)) & np.isfinite(narrow)


def are_of(values: np.ndarray, resolution: str) -> np.ndarray:
    """Which values, float64, are numbers of a narrow type, or shortest decimals of such."""
    narrow = _narrowed(values, resolution)
    own = narrow.astype(np.float64) == values
    rest = np.flatnonzero(~own)
    own[rest] = shortest(narrow[rest]) == values[rest]
    return own


def _narrowed(values: np.ndarray, resolution: str) -> np.ndarray:
    with np.errstate(over="ignore", under="ignore"):
        return values.astype(NARROW[resolution])


def _place(known: np.ndarray, numbers: np.ndarray, values: np.ndarray) -> np.ndarray:
    """numbers[i] where a value is known[i], ascending; −1 elsewhere."""
    if not len(known):
        return np.full(len(values), -1)
    at = np.searchsorted(known, values).clip(max=len(known) - 1)
    return np.where(known[at] == values, numbers[at], -1)


_HALVES: list[np.ndarray] = []


def _halves() -> np.ndarray:
    """The values of all float16 numbers by their bits."""
    if not _HALVES:
        every = np.arange(2**16, dtype=np.uint16).view(np.float16)
        _HALVES.append(np.array([float(str(number)) for number in every]))
    return _HALVES[0]


def _singles(flat: np.ndarray) -> np.ndarray:
    """The values of float32 numbers [n]: those of few digits by arithmetic, the others by spelling them."""
    values = flat.astype(np.float64)
    spell = np.flatnonzero(np.isfinite(values) & ((values != np.round(values)) | (np.abs(values) >= WHOLE)))
    for unit in (1e3, 1e6):
        wide = values[spell]
        points = np.round(wide * unit)
        decimal = points / unit  # of at most six digits there is but one that gives the number back
        few = (np.abs(points) < SIX_DIGITS) & (_narrowed(decimal, "single") == flat[spell])
        values[spell[few]] = decimal[few]
        spell = spell[~few]
    for start in range(0, len(spell), PART):
        part = spell[start : start + PART]
        values[part] = _spelled(flat[part])
    return values


def _spelled(flat: np.ndarray) -> np.ndarray:
    import pyarrow as pa

    return pa.array(flat).cast(pa.string()).cast(pa.float64()).to_numpy()
