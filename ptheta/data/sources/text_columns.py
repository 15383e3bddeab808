"""Columns of text tables: the values of all rows, by what their cells mean together."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from ptheta.data.options import AS_THEY_STAND
from ptheta.data.sources.asked import Asked
from ptheta.data.sources.cells import Meaning, compute, decimals_of, meaning_of, missing_words, numbers_of
from ptheta.data.sources.text_files import TextFile
from ptheta.numbers import listed
from ptheta.remarks import remark

if TYPE_CHECKING:
    import pyarrow as pa


def typed(
    files: Sequence[TextFile], options: Asked, words: Mapping[str, Sequence[str]]
) -> tuple[dict[str, pa.Array], dict[str, Meaning]]:
    """Column → its values in all files, one after the other, and what they mean."""
    found = {
        name: _Column.of([file.cells[name] for file in files], options, words.get(name)) for name in files[0].names
    }
    commas = files[0].layout.dialect.separator == ","
    asked_for = options.options.decimal or ""
    votes = Counter(mark for column in found.values() if len(only := column.decimals) == 1 for mark in only)
    usual = votes.most_common(1)[0][0] if len(votes) == 1 else ""
    columns, meanings = {}, {}
    unlike: list[str] = []
    for name, column in found.items():
        before = options.decimals.get(name, "")
        mark = asked_for or next((mark for mark in (usual, before) if mark in column.decimals), "")
        columns[name], meanings[name] = column.typed(mark, commas)
        if options.names and name not in options.names:
            continue
        if not (mark or commas) and column.is_open:
            mark = column.likelier(meanings[name])
            columns[name], meanings[name] = column.typed(mark, commas)
            remark(f"{name}: {column.both_readings(mark)}")
        if before and column.marked and meanings[name].is_number and meanings[name].writing.decimal != before:
            unlike.append(name)
    if unlike and not asked_for:
        mark = meanings[unlike[0]].writing.decimal
        cell = found[unlike[0]].marked
        remark(f"{listed(unlike)}: numbers such as {cell!r} are read with the decimal mark {mark!r}, unlike in the fit")
    return columns, meanings


@dataclass
class _Column:
    """A column of text.

    Args:
        written: its different cells as they are written.
        values: the same without outer spaces.
        codes: which of them each row has.
        absent: which of them are missing, bool.
        dashes: which of them are missing if all others are numbers, bool.
        known: the values of a column of words; None: it may hold anything.
    """

    written: pa.Array
    values: pa.Array
    codes: np.ndarray
    absent: np.ndarray
    dashes: np.ndarray
    known: Sequence[str] | None

    @classmethod
    def of(cls, parts: Sequence[pa.Array], options: Asked, known: Sequence[str] | None) -> _Column:
        """A column by its parts."""
        import pyarrow as pa

        pc = compute()
        coded = pa.chunked_array(parts, pa.large_string()).combine_chunks().dictionary_encode()
        coded = coded.combine_chunks() if isinstance(coded, pa.ChunkedArray) else coded
        values = pc.utf8_trim_whitespace(coded.dictionary)
        if spaced := {value.strip(): value for value in known or () if value != value.strip()}:
            values = pa.array([spaced.get(value, value) for value in values.to_pylist()], pa.large_string())
        usual, among_numbers = missing_words(options.options.words, AS_THEY_STAND)
        missing = pc.is_in(values, pa.array(sorted(usual - set(known or ())), values.type))
        dashes = pc.is_in(pc.utf8_lower(values), pa.array(sorted(among_numbers), values.type))
        codes = coded.indices.to_numpy(zero_copy_only=False)
        return cls(coded.dictionary, values, codes, np.asarray(missing, bool), np.asarray(dashes, bool), known)

    @cached_property
    def decimals(self) -> set[str]:
        """Marks by which the cells are numbers."""
        if self.known is not None:
            return set()
        found = decimals_of(self._taken(~self.absent))
        return found or (decimals_of(self._taken(~self.absent & ~self.dashes)) if self.dashes.any() else found)

    @cached_property
    def marked(self) -> str:
        """A cell with a mark that separates a fraction or thousands; empty: none."""
        cells = self._taken(~self.absent & ~self.dashes)
        marks = compute().match_substring_regex(cells, "[0-9][.,]|[.,][0-9]")
        return next(iter(cells.filter(marks).slice(0, 1).to_pylist()), "")

    @property
    def is_open(self) -> bool:
        """Whether its cells are numbers by either decimal mark, and not the same ones."""
        return len(self.decimals) == 2 and bool(self.marked)

    def likelier(self, meaning: Meaning) -> str:
        """The decimal mark of cells that leave it open: as they are read, but that money is rather counted in thousands
        than in thousandths."""
        way = meaning.writing
        if (way.before or way.after) and not way.after.endswith("%"):
            return "," if "." in self.marked else "."
        return way.decimal

    def both_readings(self, decimal: str) -> str:
        """What a decimal mark makes of its cells, and the other one, in print."""
        import pyarrow as pa

        other = "." if decimal == "," else ","
        one, two = (self.typed(mark, False)[1] for mark in (decimal, other))
        cell = pa.array([self.marked])
        read, else_read = (numbers_of(cell, found)[0].as_py() for found in (one, two))
        return (
            f"numbers such as {self.marked!r} have either a fraction or thousands, and are read as {read}"
            f" (--decimal {other} reads {else_read})"
        )

    def _taken(self, where: np.ndarray) -> pa.Array:
        import pyarrow as pa

        return self.values.filter(pa.array(where))

    def typed(self, decimal: str, commas: bool) -> tuple[pa.Array, Meaning]:
        """The values of all rows, and what they mean."""
        import pyarrow as pa

        pc = compute()
        absent = self.absent
        if self.known is not None:
            meaning = Meaning("known")
        else:
            meaning = meaning_of(self._taken(~absent), decimal, commas)
            if meaning.kind in ("word", "date") and (self.dashes & ~absent).any():
                without = meaning_of(self._taken(~absent & ~self.dashes), decimal, commas)
                if without.is_number:
                    meaning, absent = without, absent | self.dashes
        counts = np.bincount(self.codes, minlength=len(self.values))
        lost = np.flatnonzero(absent & (counts > 0))
        missing: Counter[str] = Counter()
        for j in lost:
            cell = self.written[int(j)].as_py()
            missing[cell.strip() or cell[:1]] += int(counts[j])
        meaning = replace(meaning, missing=dict(missing))
        present = self._taken(~absent)
        if meaning.is_number:
            values = numbers_of(present, meaning)
        elif meaning.kind == "truth":
            values = pc.equal(pc.utf8_lower(present), "true")
        elif meaning.kind == "empty":
            return pa.nulls(len(self.codes), pa.float64()), meaning
        else:
            values = present
        place = np.cumsum(~absent) - 1
        rows = pa.array(place[self.codes], mask=absent[self.codes])
        return values.take(rows), meaning
