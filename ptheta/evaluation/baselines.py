"""Simple densities of tables: what a model must beat, on the same events and in the same nats.

A row's mass is ∏ p(code_j | code_parent(j)) · p(number_j | its range): columns without parents are independent, and the
best tree of parents is that of Chow and Liu (1968), a maximum spanning tree of the pairwise mutual information. A code
is a level, an atom, missing, or a range of the other numbers; within a range they follow one mixture of logistics a
column, fitted by gradient. So masses are masses, and densities are in the column's own units, as those of the table
model are. Tables of real numbers alone also have a mixture of Gaussians.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Data, Split
from ptheta.distributions import Cell, LogisticMixture, Scale, cell_mixture, codes_of, log_of_cells
from ptheta.distributions.cells import real_columns
from ptheta.evaluation.results import Score
from ptheta.spaces import Column, Discrete, Real, Space, Table

COMPONENTS = 16
STEPS = 300
FITTED_ON = 10_000
"""Numbers of a column to which its mixture is fitted."""

QUICKLY = 3_000
"""The same beside other models, where a minute is long."""

PSEUDO = (0.5, 1.0, 2.0, 5.0, 10.0, 20.0, 50.0, 100.0)
"""Pseudo-counts of the parentless distribution in a conditional one; the best on validation is taken."""

RANGES = (1, 4, 8, 16)
"""Ranges, of equal mass, of a column's numbers; the best on validation is taken."""

MOST = 128
"""Columns of a table, at most: a tree compares all pairs of them."""

GAUSSIANS = (1, 4, 16)
"""Components of a mixture of Gaussians; the best on validation is taken."""

GAUSSIANS_ON = 20_000
"""Rows to which it is fitted."""


@dataclass(frozen=True)
class Baseline:
    """A simple density, scored.

    Attributes:
        name: what it is.
        score: of the events.
        parameters: free ones.
        seconds: that it took to fit.
    """

    name: str
    score: Score
    parameters: int
    seconds: float

    def to_json(self) -> dict[str, Any]:
        """JSON values."""
        rounded = round(self.seconds, 2)
        return {"baseline": self.name, **self.score.to_json(), "n": self.score.n, "parameters": self.parameters} | {
            "seconds": rounded
        }


def baselines(data: Data, events: Split, names: Sequence[str] | None = None) -> list[Baseline]:
    """Simple densities of a table, fitted to its training rows, whatever the contexts; none of other events.

    Args:
        data: with training rows, and perhaps validation rows, which choose the size of the density.
        events: that are scored.
        names: of those that are wanted; None: all that the table can have.
    """
    space = as_table(data.space)
    if space is None or not len(data.train):
        return []
    train, validation, x = (
        split.events()[0].double() for split in (data.train, data.splits.get("validation", data.train), events)
    )
    found = []

    def add(name: str, fit: Any) -> None:
        if names is None or name in names:
            clock = time.perf_counter()
            density = fit()
            seconds = time.perf_counter() - clock
            score = Score.of(density.log_prob(x), space.dimensions)
            found.append(Baseline(name, score, density.parameters, seconds))

    clock = time.perf_counter()
    numbers = Numbers(space, train, rows=QUICKLY)
    learned = time.perf_counter() - clock
    add("independent columns", lambda: CountedTable(numbers, train, validation, tree=False))
    add("Chow–Liu tree", lambda: CountedTable(numbers, train, validation, tree=True, ranges=RANGES))
    found = [Baseline(one.name, one.score, one.parameters, one.seconds + learned) for one in found]
    if all(not c.is_category and not c.per and not c.atoms and not c.missing for c in space.columns):
        add("Gaussian mixture", lambda: Gaussians(train, validation))
    return found


def as_table(space: Space) -> Table | None:
    """A space as a table of columns; None if its events are not rows of a few."""
    if len(space.shape) != 1 or space.dimensions > MOST:
        return None
    if isinstance(space, Table):
        return space
    if isinstance(space, Real):
        return real_columns(space.dimensions)
    if type(space) is Discrete:
        sizes = space.sizes or (space.levels,) * space.dimensions
        return Table(tuple(Column(f"x{j}", size) for j, size in enumerate(sizes)))
    return None


class Numbers:
    """Mixtures of the numbers without an atom, one a column.

    Args:
        space: of the rows.
        train: rows [n, m].
        rows: to which a mixture is fitted, at most.
    """

    def __init__(self, space: Table, train: Tensor, rows: int = FITTED_ON):
        self.columns, self.scale, self.rows = space.columns, Scale(space.columns), rows
        self.mixtures = [None if c.is_category else self._fitted(j, train[:, j]) for j, c in enumerate(self.columns)]

    @property
    def parameters(self) -> int:
        """Free ones of all mixtures."""
        return sum(3 * COMPONENTS - 1 for mixture in self.mixtures if mixture is not None)

    def cell(self, j: int, n: int) -> Cell:
        """The numbers of column j over a batch of n, whatever the codes."""
        mixture, logits = self.mixtures[j], torch.zeros(n, self.columns[j].codes, dtype=torch.float64)
        rows = torch.zeros(n, dtype=torch.long)
        return Cell(self.columns[j], j, self.scale, logits, None if mixture is None else mixture[rows])

    def _fitted(self, j: int, x: Tensor) -> LogisticMixture:
        column = self.columns[j]
        others = x[codes_of(column, x) == column.codes - 1]
        others = others[:: max(1, len(others) // self.rows)][: self.rows]
        outputs = torch.zeros(1, 3 * COMPONENTS, dtype=torch.float64, requires_grad=True)
        if len(others) > 1:
            self.scale.fit(j, others)
            optimiser = torch.optim.Adam([outputs], lr=0.03)
            logits = torch.zeros(len(others), column.codes, dtype=torch.float64)
            for _ in range(STEPS):
                optimiser.zero_grad()
                cell = Cell(column, j, self.scale, logits, cell_mixture(outputs.expand(len(others), -1)))
                (-cell.log_other(others).mean()).backward()
                optimiser.step()
        return cell_mixture(outputs.detach())


class Ranges:
    """A column's codes, with its other numbers in ranges of about equal mass.

    Args:
        numbers: the mixtures.
        j: number of the column.
        train: its cells [n].
        most: ranges, at most.
    """

    def __init__(self, numbers: Numbers, j: int, train: Tensor, most: int):
        self.numbers, self.j, self.column = numbers, j, numbers.columns[j]
        ends = torch.zeros(0, dtype=torch.float64)
        others = train[codes_of(self.column, train) == self.column.codes - 1]
        if not self.column.is_category and most > 1 and len(others) > 1:
            at = np.linspace(0, 1, most + 1)[1:-1]
            ends = torch.from_numpy(np.unique(np.quantile(others.numpy(), at, method="lower")))
            ends = ends[ends < others.max()]
        self.ends = ends  # the last value of every range but the last one, ascending
        self.log_mass = None if self.column.is_category else self._log_mass()
        self.codes = self.column.codes + len(ends)

    def __call__(self, x: Tensor) -> Tensor:
        """Codes of cells [n], int64."""
        code = codes_of(self.column, x)
        return torch.where(code == self.column.codes - 1, self._range(x), code) if len(self.ends) else code

    def log_prob(self, x: Tensor, log_p: Tensor) -> Tensor:
        """log p of cells [n] from those of their codes [n, codes]."""
        code = codes_of(self.column, x)
        named = log_p.gather(1, code[:, None])[:, 0]
        if self.log_mass is None:
            return named
        cell = self.numbers.cell(self.j, len(x))
        number = torch.where(torch.isnan(x), self.numbers.scale.centre[self.j], x)
        at = self._range(number)
        within = cell.log_other(number) - self.log_mass[at - self.column.codes + 1]
        other = log_p.gather(1, at[:, None])[:, 0] + within
        return log_of_cells(self.column, code, named, other)

    def _range(self, x: Tensor) -> Tensor:
        """The codes of numbers [n] that are not named."""
        ends, value = self.ends, torch.nan_to_num(x)
        if self.column.per:
            ends, value = self.column.points(ends), self.column.points(value)
        return self.column.codes - 1 + torch.searchsorted(ends, value.contiguous())

    def _log_mass(self) -> Tensor:
        """log of the mass that the mixture gives to each range."""
        cell = self.numbers.cell(self.j, 1)
        assert cell.mixture is not None
        ends = cell.edge(self.column.points(self.ends) + 1) if self.column.per else cell.scale(self.ends, self.j)
        survival = [cell.mixture.log_survival(y).double().exp().sum() for y in [cell.floor, *ends]]
        left = torch.stack([*survival, torch.zeros((), dtype=torch.float64)])
        return ((left[:-1] - left[1:]).clamp(min=1e-300) / left[0]).log()


class CountedTable:
    """A tree of columns, each counted given its parent.

    Args:
        numbers: the mixtures of the columns.
        train: rows [n, m].
        validation: rows that choose the pseudo-count and the number of ranges.
        tree: take Chow and Liu's tree; without, columns are independent.
        ranges: numbers of ranges among which one is chosen.
    """

    def __init__(self, numbers: Numbers, train: Tensor, validation: Tensor, tree: bool, ranges: Sequence[int] = (1,)):
        self.numbers = numbers
        best = -math.inf
        for most in ranges:
            self._count(train, tree, most)
            scored = {pseudo: float(self.log_prob(validation, pseudo).mean()) for pseudo in PSEUDO}
            pseudo = max(PSEUDO, key=lambda p: scored[p])
            if scored[pseudo] > best or not math.isfinite(best):
                best, kept = scored[pseudo], (self.coded, self.parents, self.marginals, self.counts, pseudo)
        self.coded, self.parents, self.marginals, self.counts, self.pseudo = kept

    @property
    def parameters(self) -> int:
        """Free ones: of the codes given each of the parent's, and of the mixtures."""
        rows = [1 if parent < 0 else self.coded[parent].codes for parent in self.parents]
        return sum(n * (coded.codes - 1) for n, coded in zip(rows, self.coded)) + self.numbers.parameters

    def log_prob(self, x: Tensor, pseudo: float | None = None) -> Tensor:
        """log p of rows [n, m], nats."""
        return self.log_prob_per_column(x, pseudo).sum(1)

    def log_prob_per_column(self, x: Tensor, pseudo: float | None = None) -> Tensor:
        """log p of every cell of rows [n, m] given its parent, nats."""
        terms = []
        for j, parent in enumerate(self.parents):
            p, counts = self.marginals[j].expand(len(x), -1), self.counts[j]
            if counts is not None:
                table = counts + (self.pseudo if pseudo is None else pseudo) * self.marginals[j]
                p = (table / table.sum(1, keepdim=True))[self.coded[parent](x[:, parent])]
            terms.append(self.coded[j].log_prob(x[:, j], p.log()))
        return torch.stack(terms, 1)

    def _count(self, train: Tensor, tree: bool, most: int) -> None:
        self.coded = [Ranges(self.numbers, j, train[:, j], most) for j in range(train.shape[1])]
        codes = [coded(train[:, j]) for j, coded in enumerate(self.coded)]
        sizes = [coded.codes for coded in self.coded]
        self.parents = chow_liu(codes, sizes) if tree else [-1] * len(codes)
        self.marginals = [
            (torch.bincount(code, minlength=size).double() + 0.5) / (len(code) + size / 2)
            for code, size in zip(codes, sizes)
        ]
        self.counts = [
            None if parent < 0 else joint(codes[parent], codes[j], sizes[parent], sizes[j])
            for j, parent in enumerate(self.parents)
        ]


class Gaussians:
    """A mixture of Gaussians with full covariances, on standardised columns.

    Args:
        train: rows [n, m].
        validation: rows that choose the number of components.
    """

    def __init__(self, train: Tensor, validation: Tensor):
        from sklearn.mixture import GaussianMixture

        self.mean, self.scale = train.mean(0), train.std(0).clamp(min=1e-12)
        rows = self._standard(train[:: max(1, len(train) // GAUSSIANS_ON)])
        counts = [k for k in GAUSSIANS if k == 1 or len(rows) >= 20 * k]
        fits = [GaussianMixture(k, random_state=0, reg_covar=1e-5, max_iter=50).fit(rows) for k in counts]
        self.mixture = max(fits, key=lambda fit: fit.score(self._standard(validation)))

    @property
    def parameters(self) -> int:
        """Free ones."""
        return int(self.mixture._n_parameters())

    def log_prob(self, x: Tensor) -> Tensor:
        """log density of rows [n, m], nats, in the columns' own units."""
        found = torch.from_numpy(self.mixture.score_samples(self._standard(x)))
        return found - self.scale.log().sum()

    def _standard(self, x: Tensor) -> np.ndarray:
        return ((x - self.mean) / self.scale).numpy()


def joint(a: Tensor, b: Tensor, rows: int, columns: int) -> Tensor:
    """Counts [rows, columns] of pairs of codes."""
    return torch.bincount(a * columns + b, minlength=rows * columns).double().reshape(rows, columns)


def chow_liu(codes: Sequence[Tensor], sizes: Sequence[int]) -> list[int]:
    """Parent of every column in the maximum spanning tree of the mutual information; −1 at its root.

    What n rows of independent columns would show by chance is taken off (Miller 1955).
    """
    m, n = len(codes), len(codes[0])
    if m == 1:
        return [-1]
    weight = np.zeros((m, m))
    for a in range(m):
        for b in range(a + 1, m):
            p = joint(codes[a], codes[b], sizes[a], sizes[b]).numpy() / n
            rows, columns = p.sum(1, keepdims=True), p.sum(0, keepdims=True)
            information = (p[p > 0] * np.log(p[p > 0] / (rows * columns)[p > 0])).sum()
            chance = ((p > 0).sum() - (rows > 0).sum() - (columns > 0).sum() + 1) / (2 * n)
            weight[a, b] = information - chance
    from scipy.sparse.csgraph import breadth_first_order, minimum_spanning_tree

    tree = minimum_spanning_tree(np.triu(weight.max() + 1 - weight, 1))  # 0 would be no edge
    _, parents = breadth_first_order(tree, 0, directed=False)
    return [int(max(parent, -1)) for parent in parents]
