"""Columns of two tables side by side: their marginals, how they depend on each other in pairs, what is missing."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ptheta.evaluation.samples import total_variation

if TYPE_CHECKING:
    import pandas as pd

CELLS = 20
"""Cells into which numbers are sorted to compare marginals, about, of equal mass."""

FEW = 30
"""Most different numbers that are compared one by one, and bars of a chart."""


@dataclass(frozen=True)
class Cells:
    """How the values of one column are sorted into cells: one for each value, or one for each range of numbers.

    Attributes:
        values: that have a cell of their own, in order; None for ranges.
        edges: of ranges, ascending: cell k holds the numbers from edge k up to, but without, edge k + 1; the first and
            the last reach to ∓∞.
    """

    values: list[object] | None
    edges: np.ndarray | None

    @classmethod
    def of(cls, real: pd.Series) -> Cells:
        """Cells that suit the real values of a column: all of its values, or ranges of about equal mass."""
        present = real.dropna()
        if not is_number(real) or present.nunique() <= FEW:
            try:
                return cls(sorted(present.unique().tolist()), None)
            except TypeError:  # of values that have no order
                return cls(sorted(present.unique().tolist(), key=str), None)
        cuts = np.quantile(present.to_numpy(np.float64), np.linspace(0, 1, CELLS + 1)[1:-1], method="lower")
        edges, count = np.unique(cuts, return_counts=True)
        spikes = np.nextafter(edges[count > 1], np.inf)  # a value that repeats so often has a cell of its own
        return cls(None, np.unique(np.concatenate([edges, spikes])))

    @property
    def count(self) -> int:
        """Cells, without the last two: of values that the real ones lack, and of missing ones."""
        if self.values is not None:
            return len(self.values)
        assert self.edges is not None
        return len(self.edges) + 1

    def shares(self, column: pd.Series) -> np.ndarray:
        """Part of a column's values in every cell [count + 2], those of no cell and missing ones last."""
        missing = column.isna().to_numpy()
        if self.values is not None:
            codes = column.map({value: code for code, value in enumerate(self.values)}).to_numpy(
                np.float64, na_value=-1
            )
            where = np.where(codes < 0, self.count, codes).astype(np.int64)
        else:
            assert self.edges is not None
            where = np.searchsorted(self.edges, column.to_numpy(np.float64, na_value=np.nan), side="right")
        where = np.where(missing, self.count + 1, where)
        return np.bincount(where, minlength=self.count + 2) / max(1, len(column))


def is_number(column: pd.Series) -> bool:
    """Whether a column holds numbers, not categories."""
    import pandas as pd

    return bool(pd.api.types.is_numeric_dtype(column) and not pd.api.types.is_bool_dtype(column))


def marginal_distance(real: pd.Series, a: pd.Series, b: pd.Series) -> float:
    """Total variation distance between two columns' shares of the cells of a real one."""
    cells = Cells.of(real)
    return total_variation(cells.shares(a), cells.shares(b))


def association(frame: pd.DataFrame, numeric: list[bool]) -> np.ndarray:
    """How strongly every two columns depend on each other, [k, k].

    Two columns of numbers: Spearman's rank correlation, −1 to 1. Two of categories: Cramér's V without its bias
    (Bergsma 2013), 0 to 1. One of each: the correlation ratio of the ranks, 0 to 1, likewise without its bias
    (Kelley's ε). A missing category is a value of its own; rows with a missing number are left out.

    Args:
        frame: of k columns.
        numeric: which of them hold numbers.

    Returns:
        NaN where a column has one value only.
    """
    import pandas as pd

    k = frame.shape[1]
    values: list[np.ndarray] = []
    for j in range(k):
        column = frame.iloc[:, j]
        if numeric[j]:
            values.append(column.to_numpy(np.float64, na_value=np.nan))
        else:
            values.append(pd.factorize(column.astype(object), use_na_sentinel=False)[0])
    found = np.full((k, k), np.nan)
    for i in range(k):
        found[i, i] = 1.0
        for j in range(i):
            pair = (values[i], values[j]) if numeric[i] or not numeric[j] else (values[j], values[i])
            kinds = numeric[i] + numeric[j]
            measure = (cramers_v, correlation_ratio, rank_correlation)[kinds]
            found[i, j] = found[j, i] = measure(*pair)
    return found


def cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    """Cramér's V of two columns of codes, without its bias (Bergsma 2013)."""
    rows, columns = int(a.max(initial=0)) + 1, int(b.max(initial=0)) + 1
    table = np.bincount(a * columns + b, minlength=rows * columns).reshape(rows, columns).astype(np.float64)
    table = table[table.sum(1) > 0][:, table.sum(0) > 0]
    (r, c), n = table.shape, table.sum()
    if min(r, c) < 2 or n < 2:
        return math.nan
    expected = table.sum(1, keepdims=True) * table.sum(0) / n
    phi2 = float(((table - expected) ** 2 / expected).sum()) / n
    phi2 = max(0.0, phi2 - (r - 1) * (c - 1) / (n - 1))
    r, c = r - (r - 1) ** 2 / (n - 1), c - (c - 1) ** 2 / (n - 1)
    return min(1.0, math.sqrt(phi2 / (min(r, c) - 1))) if min(r, c) > 1 else math.nan


def correlation_ratio(numbers: np.ndarray, codes: np.ndarray) -> float:
    """Root of the part of a column of numbers' variance, in ranks, that a column of codes explains."""
    present = ~np.isnan(numbers)
    y, codes = ranks(numbers[present]), codes[present]
    n = len(y)
    count = np.bincount(codes)
    held = count > 0
    groups = int(held.sum())
    total = float(((y - y.mean()) ** 2).sum()) if n else 0.0
    if total == 0 or groups < 2 or n <= groups:
        return math.nan
    means = np.bincount(codes, y)[held] / count[held]
    between = float((count[held] * (means - y.mean()) ** 2).sum())
    return math.sqrt(max(0.0, 1 - (total - between) / total * (n - 1) / (n - groups)))


def rank_correlation(a: np.ndarray, b: np.ndarray) -> float:
    """Spearman's correlation of two columns of numbers."""
    present = ~(np.isnan(a) | np.isnan(b))
    a, b = ranks(a[present]), ranks(b[present])
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return math.nan
    return float(np.corrcoef(a, b)[0, 1])


def ranks(values: np.ndarray) -> np.ndarray:
    """Ranks of values [n]; equal values share their mean rank."""
    _, which, count = np.unique(values, return_inverse=True, return_counts=True)
    last = np.cumsum(count)
    return (last - (count - 1) / 2)[which] if len(values) else np.zeros(0)
