"""Rows of a table whose columns are of different kinds."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, fields
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import SpaceError
from ptheta.spaces.base import Space
from ptheta.spaces.discrete import MAX_LEVELS
from ptheta.values import shortest

ON_GRID = 1e-3
"""How far from a grid's point a value may lie, in cells: float32 data keep so much."""

MOST_POINTS = 2**52
"""Points of a grid to both sides of its offset: float64 tells their cells apart."""


@dataclass(frozen=True)
class Column:
    """What one cell of a column can be, and what carries mass.

    A category is one of K levels. A number lies on a grid, and then every point has a probability; or it is any real
    number, and then it has a density in the column's own units, but for its atoms: values that occur again and again,
    such as 0, which have a probability each. Atoms on a grid are points that stand out.

    Args:
        name: of the column.
        levels: K of a category; 0 for a number.
        per: points of the grid per unit: 1 for whole numbers, 100 for cents; 0 for real numbers.
        offset: a point of the grid.
        low: the least value, or None.
        atoms: values with a probability of their own, ascending.
        missing: whether a cell may be missing, which is an outcome of its own.
    """

    name: str
    levels: int = 0
    per: int = 0
    offset: float = 0.0
    low: float | None = None
    atoms: tuple[float, ...] = ()
    missing: bool = False

    def __post_init__(self):
        whole = type(self.levels) is int and type(self.per) is int
        numbers = all(isinstance(a, int | float) for a in self.atoms)
        if not (isinstance(self.name, str) and whole and numbers and type(self.missing) is bool):
            raise SpaceError(f"column {self.name!r} is not usable", "its description was damaged or edited")
        object.__setattr__(self, "atoms", tuple(float(a) for a in self.atoms))
        usable = 0 <= self.levels <= MAX_LEVELS and 0 <= self.per <= MOST_POINTS and math.isfinite(self.offset)
        usable &= self.low is None or math.isfinite(self.low)
        usable &= all(math.isfinite(a) for a in self.atoms) and list(self.atoms) == sorted(set(self.atoms))
        usable &= not self.levels or (not self.atoms and not self.per and self.low is None)
        if not (usable and self._atoms_fit()):
            raise SpaceError(f"column {self.name!r} is not usable", "its description was damaged or edited")

    def _atoms_fit(self) -> bool:
        """Whether the atoms are values of the column, no two of them one point of its grid."""
        atoms = torch.tensor(self.atoms, dtype=torch.float64)
        same = self.per > 0 and len(self.points(atoms).unique()) < len(atoms)
        return not same and not bool(self.wrong(atoms).any())

    @property
    def is_category(self) -> bool:
        """Whether the cell is one of K levels."""
        return self.levels > 0

    @property
    def masses(self) -> int:
        """Outcomes with a probability of their own: levels or atoms, then missing."""
        return self.levels + len(self.atoms) + self.missing

    @property
    def codes(self) -> int:
        """Outcomes of the first draw: the masses, then, of a number, any other value."""
        return self.masses + (not self.is_category)

    @property
    def filler(self) -> float:
        """A value that the cell can have."""
        if self.is_category:
            return 0.0
        least = 0.0 if self.low is None else self.low
        return self.offset + math.ceil((least - self.offset) * self.per) / self.per if self.per else least

    def points(self, x: Tensor) -> Tensor:
        """Numbers of the grid's points nearest to values, float64."""
        return torch.round((x.double() - self.offset) * self.per)

    def values(self, k: Tensor) -> Tensor:
        """Values of the grid's points number k, float64."""
        return self.offset + k / self.per

    def wrong(self, x: Tensor) -> Tensor:
        """Which cells [n] are not values of the column."""
        present = ~torch.isnan(x)
        if self.is_category:
            bad = (x < 0) | (x >= self.levels) | (x != x.round())
        else:
            bad = ~torch.isfinite(x)
            if self.per:
                points = self.points(x)
                bad |= ((x - self.offset) * self.per - points).abs() > ON_GRID
                bad |= (points < -MOST_POINTS) | (points >= MOST_POINTS)
            if self.low is not None:
                bad |= x < self.low - (0.5 / self.per if self.per else 0.0)
        return torch.where(present, bad, torch.tensor(not self.missing, device=x.device))

    @property
    def description(self) -> str:
        """What a cell can be, in words."""
        if self.is_category:
            kind = f"one of the levels 0 to {self.levels - 1}"
        else:
            kind = (
                "a real number"
                if not self.per
                else "a whole number"
                if self.per == 1
                else f"a multiple of 1/{self.per}"
            )
            if self.per and self.offset:
                kind += f" beside {self.offset:g}"
            if self.low is not None:
                kind += f", at least {self.low:g}"
        return f"{kind}{' or missing (NaN)' if self.missing else ', not missing'}"


@dataclass(frozen=True)
class Table(Space):
    """Rows of m cells, float64 [m]: the level's number of a category, the value of a number, NaN if missing.

    Args:
        columns: m of them.

    >>> print(Table((Column("colour", 3), Column("age", per=1, low=0), Column("height", missing=True))))
    Table(1 category, 1 on a grid, 1 real; 1 with missing values)
    """

    kind = "table"
    noun = "rows of mixed columns"
    columns: tuple[Column, ...]

    def __post_init__(self):
        known = {f.name for f in fields(Column)}
        found = []
        for column in self.columns:
            if isinstance(column, dict) and column.keys() != known:
                raise SpaceError(f"a column of a table has the fields {sorted(column)}", f"it has {sorted(known)}")
            if not isinstance(column, dict | Column):
                raise SpaceError(f"a table has the column {column!r}", "its description was damaged or edited")
            found.append(Column(**column) if isinstance(column, dict) else column)
        object.__setattr__(self, "columns", tuple(found))
        object.__setattr__(self, "shape", (len(found),))
        super().__post_init__()

    @property
    def axes(self) -> tuple[str, ...]:
        """One axis: the columns."""
        return ("column",)

    @property
    def names(self) -> list[str]:
        """Names of the columns."""
        return [column.name for column in self.columns]

    @property
    def event_count(self) -> int | None:
        """Number of different rows if all cells are categories, else None."""
        return math.prod(c.codes for c in self.columns) if all(c.is_category for c in self.columns) else None

    @property
    def is_discrete(self) -> bool:
        """Whether every cell has a probability, none a density."""
        return all(c.is_category or c.per for c in self.columns)

    def to_json(self) -> dict[str, Any]:
        """JSON form."""
        return {"kind": self.kind, "columns": [asdict(c) | {"atoms": list(c.atoms)} for c in self.columns]}

    def validate(self, x: Any) -> Tensor:
        """Check a batch of rows; returns float64 [n, m].

        Raises:
            SpaceError: a cell that its column does not allow; the first one is named.
        """
        x = self.as_batch(x)
        if x.dtype in (torch.float16, torch.float32):  # numbers of a narrow type are the values they stand for
            x = torch.from_numpy(shortest(x.detach().cpu().numpy())).to(x.device)
        x = x.double()
        for j, column in enumerate(self.columns):
            wrong = column.wrong(x[:, j])
            if bool(wrong.any()):
                row = int(wrong.nonzero()[0])
                value = "missing" if math.isnan(x[row, j]) else f"{float(x[row, j]):g}"
                raise SpaceError(
                    f"x[{row}, {j}] is {value}, but column {column.name!r} is {column.description}",
                    "correct or remove that row",
                )
        return x

    def __str__(self) -> str:
        counts = {
            "category": sum(c.is_category for c in self.columns),
            "on a grid": sum(bool(c.per) for c in self.columns),
            "real": sum(not c.is_category and not c.per for c in self.columns),
        }
        kinds = [f"{n} {'categories' if name == 'category' and n > 1 else name}" for name, n in counts.items() if n]
        missing = sum(c.missing for c in self.columns)
        return f"Table({', '.join(kinds)}{f'; {missing} with missing values' if missing else ''})"
