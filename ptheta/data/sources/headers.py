"""Whether the first row of a text table holds the names of its columns."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from functools import cached_property

from ptheta.data.sources.cells import kind_of_cell

FEW = 10
"""This many different values of a column are few, and so is half as many as it has rows."""

YEARS = range(1900, 2101)
"""Whole numbers that may be years."""


def header_of(rows: Sequence[list[str]], names: Sequence[str]) -> tuple[bool, str]:
    """Whether the first row holds names, and what suggests so where that is not plain.

    Args:
        rows: the first ones of a table, their cells without outer spaces.
        names: columns that are wanted, if they are known.

    >>> header_of([["x", "y"], ["1", "2"]], ())
    (True, '')
    >>> header_of([["0", "1", "2"], ["4", "4", "0"]], ())
    (True, 'counts the columns')
    """
    table = _Rows(rows, names)
    header, why = next((header, why) for rule, header, why in RULES if rule(table))
    return header, why.format(table=table)


class _Rows:
    """The first row of a table, and those below it.

    Args:
        rows: all of them.
        names: columns that are wanted, if they are known.
    """

    def __init__(self, rows: Sequence[list[str]], names: Sequence[str]):
        self.first, self.rest = (rows[0], rows[1:]) if rows else ([], [])
        self.names = names
        self.kinds = [kind_of_cell(cell) for cell in self.first]
        self.below = [[row[j] for row in self.rest if j < len(row)] for j in range(len(self.first))]
        self.kinds_below = [{kind_of_cell(cell) for cell in column} - {""} for column in self.below]

    @property
    def is_known(self) -> bool:
        """Whether the columns that are wanted have numbers for names."""
        return bool(self.names) and all(map(str.isdigit, self.names))

    @property
    def counts(self) -> bool:
        """Whether the first row is 0, 1, 2, …"""
        return list(self.first) == [str(j) for j in range(len(self.first))]

    def _columns(self, suits: Callable[[str, set[str]], bool]) -> list[int]:
        """Columns without words below, of which the kind of the first cell and those below suit."""
        pairs = enumerate(zip(self.kinds, self.kinds_below))
        return [j for j, (kind, below) in pairs if kind and below and "word" not in below and suits(kind, below)]

    @cached_property
    def named(self) -> list[int]:
        """Columns whose first cell is of a kind that does not occur below: a word, or a date above numbers."""
        return self._columns(lambda kind, below: kind == "word" or (kind == "date" and "date" not in below))

    @cached_property
    def alike(self) -> list[int]:
        """Columns whose first cell is a number or date as those below are."""
        return [j for j in self._columns(lambda kind, below: kind != "word") if j not in self.named]

    @cached_property
    def again(self) -> list[str]:
        """First cells of columns of words that occur again below, in a column of few values or in several columns."""
        where = [j for j, below in enumerate(self.kinds_below) if below == {"word"} and self.first[j] in self.below[j]]
        few = [j for j in where if len(set(self.below[j])) <= max(FEW, len(self.below[j]) / 2)]
        return [self.first[j] for j in (where if len(where) > 1 else few) if self.kinds[j]]

    @cached_property
    def numbers(self) -> list[int]:
        """The whole numbers above numbers; none if others are there, too."""
        cells = [self.first[j] for j in self.alike]
        return [int(cell) for cell in cells] if all(re.fullmatch(r"[0-9]+", cell) for cell in cells) else []

    @property
    def steps(self) -> set[int]:
        """Differences of those that follow one another."""
        return {after - before for before, after in itertools.pairwise(self.numbers)}

    @property
    def recurring(self) -> list[bool]:
        """Whether each of them occurs again in its column."""
        return [self.first[j] in self.below[j] for j in self.alike]

    @property
    def numbers_columns(self) -> bool:
        """Whether the numbers are 0, 1, 2, …, or those of two tables side by side: 0, 1, 2, 2."""
        if not self.numbers or self.numbers[0] != 0:
            return False
        if self.steps <= {1}:
            return len(self.numbers) > 2 or not all(self.recurring)
        fractions = any(all(not re.fullmatch(r"-?\d*", cell) for cell in self.below[j]) for j in self.alike)
        return self.steps == {0, 1} and fractions

    @property
    def follow(self) -> bool:
        """Whether the numbers are consecutive, and none occurs again."""
        return len(self.numbers) > 2 and self.steps == {1} and not any(self.recurring)

    @property
    def are_years(self) -> bool:
        """Whether the numbers are years, none of which occurs again."""
        return bool(self.numbers) and all(number in YEARS for number in self.numbers) and not any(self.recurring)

    @property
    def years_below(self) -> bool:
        """Whether the cells below numbers are years, all of them."""
        cells = {cell for j in self.alike for cell in self.below[j] if cell}
        return all(re.fullmatch(r"[0-9]{4}", cell) and int(cell) in YEARS for cell in cells)


RULES: tuple[tuple[Callable[[_Rows], object], bool, str], ...] = (
    (lambda table: not table.first, True, ""),
    (lambda table: table.is_known and table.counts, True, ""),
    (lambda table: table.is_known, False, "is not that of a table whose columns have numbers"),
    (lambda table: set(table.first) & set(table.names), True, ""),
    (lambda table: table.named, True, ""),
    (lambda table: not table.rest and set(table.kinds) <= {"number", "date"}, False, "holds numbers"),
    (lambda table: table.again, False, "looks like data: {table.again[0]!r} occurs again below it"),
    (lambda table: not table.alike, True, ""),
    (lambda table: table.numbers_columns, True, "counts the columns"),
    (lambda table: table.are_years and not table.years_below, True, "holds years"),
    (lambda table: table.follow and not table.years_below, True, "holds consecutive numbers"),
    (lambda table: True, False, "looks like data"),
)
"""Rule, whether the first row is a header by it, and why; the first one that applies decides."""
