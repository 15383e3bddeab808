"""Single values ↔ events: names of classes, and numbers. They are contexts."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from torch import Tensor

from ptheta.data.codecs.base import ContextCodec, Place, as_array, compact, nowhere
from ptheta.data.codecs.frames import as_arrow, as_number
from ptheta.data.codecs.known import Levels
from ptheta.data.codecs.plain_rows import beyond, check_resolutions, numbers
from ptheta.errors import SourceError, UsageError, nearest
from ptheta.files import write_bytes
from ptheta.numerals import is_number
from ptheta.remarks import remark
from ptheta.spaces import Label, Real
from ptheta.values import shortest, snapped

if TYPE_CHECKING:
    from ptheta.data.sources.tables import Column


class ValueCodec(ContextCodec):
    """One value of a column ↔ an event of shape ()."""

    column: str

    @abstractmethod
    def parse(self, text: str) -> np.ndarray:
        """The context [1] that a person writes.

        Raises:
            UsageError: no such value.
        """

    def write(
        self,
        x: Tensor | np.ndarray,
        directory: str | Path,
        stem: str = "sample",
        context_names: Sequence[str] | None = None,
    ) -> list[Path]:
        """One text file, a value a line."""
        path = Path(directory) / f"{stem}.txt"
        return [write_bytes(path, "".join(f"{name}\n" for name in self.names(x)).encode(), flush=False)]


@dataclass(frozen=True)
class LabelCodec(ValueCodec):
    """Names of classes ↔ their numbers.

    Args:
        classes: names; number k is the k-th.
        column: where they come from, for errors.
        numbered: whether a column of whole numbers holds the numbers of the classes, where their names are none.
        unseen: classes that no training event had.
    """

    classes: list[str]
    column: str = "context"
    numbered: bool = field(default=False, compare=False)
    unseen: list[str] = field(default_factory=list, compare=False)

    kind = "label"
    noun = "label"

    @cached_property
    def _label(self) -> Label:
        return Label(tuple(self.classes))

    @property
    def space(self) -> Label:
        """Label(classes)."""
        return self._label

    @property
    def dtype(self) -> np.dtype:
        """Smallest integers that hold all numbers."""
        return compact(len(self.classes))

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Numbers [n] of names; values of other types are named as they print, or as they are spelled in another type.

        Names that look alike are one (`ptheta.names.canonical`). A class that train never had is remarked.

        Raises:
            SourceError: a missing value, or a name that there is not.
        """
        found, inverse = distinct(raw, self.column, place)
        numbers = [self._number(value) for value in found]
        for i, value in enumerate(found):
            if numbers[i] < 0:
                raise SourceError(
                    f"column {self.column!r} is {str(value)!r} at {place(int(np.argmax(inverse == i)))}, not a known"
                    " label",
                    nearest(str(value), self.classes),
                )
        self._report(numbers)
        return np.array(numbers, self.dtype)[inverse]

    def _report(self, numbers: list[int]) -> None:
        """Remark classes that no training event had."""
        for name in sorted({self.classes[k] for k in numbers} & {*self.unseen}):
            remark(f"{self.column}: no training event has the label {name!r}, so nothing was learned of it")

    def _number(self, value: Any) -> int:
        """The number of a value's class, −1 for none."""
        level = self._numbers.get(str(value), -1)
        return level if level >= 0 else self._levels.find_one(value)

    def knows_numbers_of(self, column: Column) -> bool:
        """Whether of a column of classes it is the numbers, and none of the names, that are known here."""
        return bool(column.names) and all(self._number(name) < 0 for name in column.names or ())

    @cached_property
    def _levels(self) -> Levels:
        return Levels(self.classes, numbered=self.numbered, printed=True)

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return {name: i for i, name in enumerate(self.classes)}

    def decode(self, x: Tensor | np.ndarray) -> list[str]:
        """Names."""
        return [self.classes[int(k)] for k in as_array(x)]

    def parse(self, text: str) -> np.ndarray:
        """The number of a name, [1]; the nearest names are given if there is none."""
        if (number := self._number(text)) < 0:
            raise UsageError(f"no {self.column} is called {text!r}", self._remedy(text))
        self._report([number])
        return np.array([number], self.dtype)

    def _remedy(self, text: str) -> str:
        remedy = nearest(text, self.classes)
        if all(map(is_number, [text, *self.classes])):
            remedy += f"; a fit with --context {self.column}:number takes any number"
        return remedy

    def names(self, x: Tensor | np.ndarray) -> list[str]:
        """Names."""
        return self.decode(x)


@dataclass(frozen=True)
class NumberCodec(ValueCodec):
    """Numbers as they are.

    Args:
        column: where they come from, for errors.
        resolution: of the column, see `ptheta.values`.
        seen: the least and the greatest number of train, if they are known.
        writing: how the source wrote them, if not as Python does: the fields of a `ptheta.data.sources.cells.Writing`.
    """

    column: str = "context"
    resolution: str = field(default="double", compare=False)
    seen: list[float] | None = field(default=None, compare=False)
    writing: dict[str, str] = field(default_factory=dict, compare=False)

    kind = "number"

    def __post_init__(self):
        check_resolutions([self.resolution], [self.column])

    @property
    def writings(self) -> dict[str, dict[str, str]]:
        """Of the text table that they come from."""
        return {self.column: self.writing} if self.writing else {}

    @property
    def space(self) -> Real:
        """Real(())."""
        return Real(())

    @property
    def dtype(self) -> np.dtype:
        """float64."""
        return np.dtype(np.float64)

    def encode(self, raw: Any, place: Place = nowhere) -> np.ndarray:
        """Numbers [n], all finite.

        Raises:
            SourceError: one that is missing or not finite, or no number.
        """
        return snapped(numbers(as_arrow(raw, self.column, place), self.column, place), self.resolution)

    def decode(self, x: Tensor | np.ndarray) -> list[float]:
        """Numbers."""
        return as_array(x).astype(np.float64).tolist()

    def parse(self, text: str) -> np.ndarray:
        """The number, [1]."""
        return snapped(np.array([as_number(text, self.column, self.writing or None)]), self.resolution)

    def doubt(self, x: np.ndarray) -> str | None:
        """That numbers lie beyond those of train."""
        return beyond(x, self.seen, self.column)

    def names(self, x: Tensor | np.ndarray) -> list[str]:
        """The numbers, to six digits, written as in the source."""
        from ptheta.data.sources.cells import Writing

        return [Writing(**self.writing).written(f"{value:g}") for value in self.decode(x)]


def distinct(values: Any, name: str, place: Place) -> tuple[list[Any], np.ndarray]:
    """Distinct values of a column [k] and, for every row, which of them it is [n].

    Raises:
        SourceError: a missing value.
    """
    import pyarrow as pa

    array = as_arrow(values, name, place)
    coded = array if isinstance(array, pa.DictionaryArray) else array.dictionary_encode()
    inverse = coded.indices.to_numpy(zero_copy_only=False)
    used = np.unique(inverse)  # a dictionary can hold values that no row of the chunk has
    rank = np.zeros(len(coded.dictionary), np.int64)
    rank[used] = np.arange(len(used))
    kept = coded.dictionary.take(pa.array(used))
    if pa.types.is_floating(kept.type):
        return shortest(kept.to_numpy(zero_copy_only=False)).tolist(), rank[inverse]
    return kept.to_pylist(), rank[inverse]
