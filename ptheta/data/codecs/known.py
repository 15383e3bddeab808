"""The values of a category, found in cells of any type.

A reader decides what a cell is: "1" of a Parquet file is the number 1 of a CSV file, True is "true" or 1, and a whole
number beside an empty cell is 3.0 to pandas. A category is the values that it had in the fit, and each is found again
however it comes, as long as it can be no other; a word in any spelling that looks alike (`ptheta.names.canonical`).
"""

from __future__ import annotations

import decimal
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from ptheta.names import canonical, merged
from ptheta.values import Known, resolution_of, shortest

if TYPE_CHECKING:
    import pyarrow as pa

EXACT_BELOW = 2**53
"""Below it, float64 tells whole numbers apart."""

TRUTH = {"true": True, "false": False}
"""How a truth value is spelled, whatever its case."""


class Levels:
    """Values of a category ↔ their numbers.

    Args:
        values: all str, int, bool or float; number k is the k-th.
        numbered: whether whole numbers in a column stand for the k-th value, as data sets with class labels store them;
            not where the values are numbers themselves.
        resolution: of the column, if its values are numbers, see `ptheta.values`.
        printed: whether the values are words only as they print, and so may be whole numbers or truth values.

    >>> import pyarrow as pa
    >>> Levels(["1", "2", "10"]).find(pa.array([2, 10, 7])).tolist()
    [1, 2, -1]
    >>> Levels([False, True]).find(pa.array(["true", "False", "no"])).tolist()
    [1, 0, -1]
    """

    def __init__(self, values: list[Any], *, resolution: str = "double", numbered: bool = False, printed: bool = False):
        self.values, self.resolution = values, resolution
        self.numbered, self.printed = numbered, printed

    def find(self, cells: pa.Array) -> np.ndarray:
        """The number of every cell's value [n], −1 for none; no cell may be missing."""
        import pyarrow as pa

        if pa.types.is_nested(cells.type):
            return np.full(len(cells), -1)
        if pa.types.is_floating(cells.type) and not self._are_words:
            numbers = cells.to_numpy(zero_copy_only=False)
            levels = self._level_of_number[self._known.find(shortest(numbers), resolution_of(numbers.dtype))]
            for row in np.flatnonzero(np.abs(numbers.astype(np.float64)) >= EXACT_BELOW):
                levels[row] = self._large(float(numbers[row]))
            return levels
        coded = cells if isinstance(cells, pa.DictionaryArray) else cells.dictionary_encode()
        levels = np.array([self.find_one(value) for value in _listed(coded.dictionary)], np.int64)
        return levels[coded.indices.to_numpy(zero_copy_only=False)] if len(levels) else np.empty(0, np.int64)

    def find_one(self, value: Any) -> int:
        """The number of a value, −1 for none."""
        level = self._exact.get(value, -1)
        if level >= 0 and not (self._are_words and not isinstance(value, str)):
            return level
        if self._are_words and isinstance(value, str):
            if (level := self._alike.get(canonical(value), -1)) >= 0:
                return level
            if not (self.printed and self._are_numbers):
                return self._class_of(_number(value))  # else both are as they are spelled
        truth = value if isinstance(value, bool) else TRUTH.get(value.lower()) if isinstance(value, str) else None
        if self._are_words:
            if truth is not None:
                return self._truths.get(truth, -1)
            return self._word_of_number(value)
        if truth is not None:
            return self._exact.get(truth, -1)
        number = _number(value)
        if number is None:
            return -1
        if abs(number) >= EXACT_BELOW:
            return self._large(number) if isinstance(value, float) else self._exact.get(number, -1)
        if number in self._exact:
            return self._exact[number]
        return int(self._level_of_number[self._known.find(np.array([float(number)]))][0])

    def _large(self, number: float) -> int:
        """The one value that float64 cannot tell from a number, −1 if there are none or several."""
        alike = [level for level, value in enumerate(self.values) if float(value) == number]
        return alike[0] if len(alike) == 1 else -1

    @property
    def _are_words(self) -> bool:
        return isinstance(self.values[0], str)

    @cached_property
    def _exact(self) -> dict[Any, int]:
        return {value: level for level, value in enumerate(self.values)}

    @cached_property
    def _known(self) -> Known:
        return Known(np.unique(np.array(self.values, np.float64)), self.resolution)

    @cached_property
    def _level_of_number(self) -> np.ndarray:
        """Place among the sorted numbers → level, and −1 last, for none."""
        _, first = np.unique(np.array(self.values, np.float64), return_index=True)
        return np.array([*first, -1])

    # Words

    @cached_property
    def _alike(self) -> dict[str, int]:
        """Canonical spelling → level, of words that no other one looks like."""
        return {name: self._exact[found[0]] for name, found in merged(self.values).items() if len(found) == 1}

    @cached_property
    def _are_numbers(self) -> bool:
        """Whether all words are whole numbers or truth values as Python prints them, so that others may print else."""
        whole = all(isinstance(n := _number(value), int) and str(n) == value for value in self.values)
        return whole or set(self.values) <= {"True", "False"}

    @cached_property
    def _truths(self) -> dict[bool, int]:
        """Truth value → the one word that spells it."""
        return _only([(TRUTH[word.lower()], level) for level, word in enumerate(self.values) if word.lower() in TRUTH])

    @cached_property
    def _numbers(self) -> dict[Any, int]:
        """Number → the one word that spells it."""
        return _only([(n, level) for level, word in enumerate(self.values) if (n := _number(word)) is not None])

    def _class_of(self, number: int | float | None) -> int:
        """The class of a number, −1 for none."""
        stands = self.numbered and not self._numbers and isinstance(number, int) and 0 <= number < len(self.values)
        return int(number) if stands and number is not None else -1

    def _word_of_number(self, value: Any) -> int:
        number = _number(value)
        if number is None:
            return -1
        if (level := self._exact.get(str(value), self._exact.get(str(number), -1))) >= 0:
            return level
        if (level := self._class_of(number)) >= 0:
            return level
        level = self._numbers.get(number)
        if level is None and len(self._numbers):
            numbers = sorted(self._numbers)
            at = int(Known(np.array(numbers, np.float64)).find(np.array([float(number)]))[0])
            level = self._numbers[numbers[at]] if at >= 0 else None
        return -1 if level is None else level


def _number(value: Any) -> int | float | None:
    """A value as a finite number, an int if it is whole."""
    if isinstance(value, str) and ("_" in value or not value.isascii()):  # which Python reads, and nobody means
        return None
    if isinstance(value, decimal.Decimal) and value.is_finite() and value == value.to_integral_value():
        return int(value)
    try:
        if isinstance(value, str) and value.strip().lstrip("+-").isdecimal():
            return int(value)
        number = float(shortest(np.asarray(value))) if isinstance(value, np.floating) else float(value)
    except (TypeError, ValueError, OverflowError, decimal.InvalidOperation):
        return None
    if isinstance(value, int):
        return int(value)
    return None if not np.isfinite(number) else int(number) if number.is_integer() else number


def _only(pairs: list[tuple[Any, int]]) -> dict[Any, int]:
    """Key → level, without keys of several levels."""
    found: dict[Any, int] = {}
    for key, level in pairs:
        found[key] = -1 if key in found else level
    return found


def _listed(values: pa.Array) -> list[Any]:
    """Values as Python's own, numbers of narrow types as what they stand for."""
    import pyarrow as pa

    if pa.types.is_floating(values.type):
        return shortest(values.to_numpy(zero_copy_only=False)).tolist()
    return values.to_pylist()
