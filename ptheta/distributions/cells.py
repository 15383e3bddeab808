"""Conditionals of table cells: categories, numbers on a grid, real numbers, atoms among them, missing cells.

A cell is drawn in two stages. First a code: a level; or an atom, missing, or "any other number". Other numbers follow a
mixture of C logistic densities over

    y = (asinh((x − centre) / width) − shift) / unit,

linear around the column's centre and logarithmic far from it, cut off at the column's least value. On a grid a point
has the mass of its cell under that mixture (and an atom of the grid also its own); between grids the density is that of
x, the change of variables included. So a value's log-probability is a mass wherever values repeat, and a density per
unit of the column where they do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Self

import torch
from torch import Tensor, nn

from ptheta.distributions.base import Distribution, Spelling
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.mixture import LogisticMixture, components, joined
from ptheta.distributions.spelling import bisected, ordered, reals
from ptheta.distributions.warps import Warp
from ptheta.spaces import Column, Table
from ptheta.spaces.table import MOST_POINTS

MAX_LOG_SCALE = 1.5
"""Ceiling of a component's log scale, in standard deviations of y: the tails in x are already heavy."""

FAR = 1e30
"""Beyond every value of y, but finite, since an infinite one has no gradient."""

COLD = 1e-300
"""Least temperature of a mixture's scales: at 0 they are as good as nothing."""

SAME_FLOATS = 2**16
"""Neighbouring float64 numbers among which a density hardly changes."""


class Scale(nn.Module):
    """x ↔ y for every column, float64 whatever the model's type.

    Args:
        columns: m of them; categories have no scale of their own.
    """

    centre: Tensor
    width: Tensor
    shift: Tensor
    unit: Tensor

    def __init__(self, columns: Sequence[Column]):
        super().__init__()
        m = len(columns)
        for name, value in (("centre", 0.0), ("width", 1.0), ("shift", 0.0), ("unit", 1.0)):
            self.register_buffer(name, torch.full((m,), value, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Follow the model to a device, but stay in float64."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    def fit(self, j: int, x: Tensor) -> None:
        """Set column j's scale from its present numbers x [k]: median, spread of the middle half, moments of y."""
        if len(x) == 0:
            return
        x = x.double()
        low, middle, high = torch.quantile(x[:: max(1, len(x) // 100_000)], x.new_tensor([0.25, 0.5, 0.75]))
        spread = high / 1.349 - low / 1.349
        if not spread > 0:
            others = x[x != middle]  # most are one value: the scale is that of the others
            spread = (others - middle).abs().median() if len(others) else x.new_tensor(1.0)
        self.centre[j], self.width[j] = middle, spread
        y = torch.asinh((x - middle) / spread)
        deviation = y.std(unbiased=False)
        self.shift[j], self.unit[j] = y.mean(), deviation if deviation > 1e-6 else 1.0

    def forward(self, x: Tensor, j: int | Tensor) -> Tensor:
        """y of values x [...] of column j, or [..., k] of columns j [k]; float64."""
        return (torch.asinh((x.double() - self.centre[j]) / self.width[j]) - self.shift[j]) / self.unit[j]

    def inverse(self, y: Tensor, j: int | Tensor) -> Tensor:
        """x of y."""
        return self.centre[j] + self.width[j] * torch.sinh(self.shift[j] + self.unit[j] * y)

    def log_slope(self, x: Tensor, j: int | Tensor) -> Tensor:
        """log dy/dx."""
        return -torch.log(self.unit[j]) - torch.log(torch.hypot(self.width[j], x.double() - self.centre[j]))


def cell_mixture(outputs: Tensor) -> LogisticMixture:
    """Mixtures of C logistics over y from a network's outputs [..., 3C]."""
    return LogisticMixture(*components(outputs, MAX_LOG_SCALE))


class Cell(Distribution):
    """p(x_j | ·) of one column over a batch.

    Args:
        column: what a cell can be.
        j: its number in the table.
        scale: of the table.
        logits: of the codes [..., column.codes]; −∞ for impossible ones.
        mixture: of other numbers; None for a category.
    """

    noise_size = 3  # the code, the component, the value

    def __init__(self, column: Column, j: int, scale: Scale, logits: Tensor, mixture: LogisticMixture | None):
        self.column, self.j, self.scale, self.logits, self.mixture = column, j, scale, logits, mixture

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.logits.shape[:-1])

    def __getitem__(self, index) -> Self:
        mixture = None if self.mixture is None else self.mixture[index]
        return type(self)(self.column, self.j, self.scale, self.logits[index], mixture)

    @classmethod
    def mix(cls, parts: Sequence[Self], log_weights: Tensor) -> Cell:
        """Codes by Σ_k w_k p_k(code); other numbers by all components, those of part k weighted by w_k p_k(other).

        The parts are of one column, seen in one scale.
        """
        one = parts[0]
        codes = Categorical.mix([Categorical(part.logits) for part in parts], log_weights)
        if one.mixture is None:
            return Cell(one.column, one.j, one.scale, codes.logits, None)
        others, numbers = [], []
        for part, log_weight in zip(parts, log_weights, strict=True):
            assert part.mixture is not None
            total = part.mixture.log_survival(part.floor).double().logsumexp(-1)  # what the cut keeps
            others.append(log_weight + part.logits.log_softmax(-1)[..., -1].double() - total)
            numbers.append(part.mixture.weighted())
        among = torch.stack(others)
        whole = among.logsumexp(0)
        among = torch.where(torch.isfinite(whole), among - whole, log_weights)  # no part expects another number
        return Cell(one.column, one.j, one.scale, codes.logits, LogisticMixture(*joined(numbers, among)))

    def present(self) -> Cell:
        """The same cell, known not to be missing."""
        if not self.column.missing:
            return self
        logits = self.logits.clone()
        logits[..., self.column.masses - 1] = -torch.inf
        return Cell(self.column, self.j, self.scale, logits, self.mixture)

    def warped(self, warp: Warp) -> Cell:
        """The same cell, its codes reshaped by temperature, top-k, top-p and min-p.

        Of other numbers, the temperature T reshapes the weights of the mixture's components and multiplies the squares
        of their scales in y, as of drawings by Ha and Eck (2017, arXiv:1704.03477); at 0 the heaviest one's location
        is drawn.
        """
        if warp.is_identity:
            return self
        mixture, temperature = self.mixture, warp.temperature
        if mixture is not None and temperature != 1:
            weights = Warp(temperature)(mixture.weight_logits.double())
            narrower = 0.5 * math.log(max(temperature, COLD))
            mixture = LogisticMixture(weights, mixture.loc.double(), mixture.log_scale.double() + narrower)
        return Cell(self.column, self.j, self.scale, warp(self.logits.double()), mixture)

    def probabilities(self) -> Tensor:
        """p of the codes [..., codes], float64."""
        return self.logits.double().softmax(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, float64: of a mass where the value carries one, else of a density per unit of x."""
        code = codes_of(self.column, x)
        log_code = self.logits.log_softmax(-1)
        named = log_code.gather(-1, code[..., None])[..., 0].double()
        if self.mixture is None:
            return named
        number = torch.where(torch.isnan(x), self.scale.centre[self.j], x)
        other = log_code[..., -1].double() + self.log_other(number)
        return log_of_cells(self.column, code, named, other)

    def log_other(self, x: Tensor) -> Tensor:
        """log of the mass (grid) or density (real) of numbers x [...] among the other numbers, float64."""
        assert self.mixture is not None
        total = self.mixture.log_survival(self.floor).double().logsumexp(-1)
        if not self.column.per:
            y = self.scale(x, self.j)
            return self.mixture.log_density(y) + self.scale.log_slope(x, self.j) - total
        k = self.column.points(x)
        return self.mixture.log_mass(self.edge(k), self.edge(k + 1)) - total

    def edge(self, k: Tensor) -> Tensor:
        """Where the cell of the grid's point k begins, in y; the cells at the ends hold what is beyond them."""
        y = self.scale(self.column.values(k - 0.5), self.j)
        y = torch.where(k >= MOST_POINTS, FAR, y)
        first, floor = self.first, self.floor
        if first is None or floor is None:
            return torch.where(k <= -MOST_POINTS, -FAR, y)
        return torch.where(k <= first, floor, y)

    @property
    def first(self) -> float | None:
        """Number of the grid's first point; None if there is none."""
        low, per = self.column.low, self.column.per
        return None if low is None or not per else float(round((low - self.column.offset) * per))

    @property
    def floor(self) -> Tensor | None:
        """y of the least value's lower edge; None if there is none."""
        low, first = self.column.low, self.first
        if low is None:
            return None
        if first is not None:
            low = self.column.offset + (first - 0.5) / self.column.per
        return self.scale(torch.tensor(low, dtype=torch.float64, device=self.logits.device), self.j)

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x), or P(X < x), float64; a missing cell is above all others."""
        column, p = self.column, self.probabilities()
        if self.mixture is None:
            return Categorical(self.logits).cdf(codes_of(column, x), below=below)
        missing = torch.isnan(x)
        number = torch.where(missing, self.scale.centre[self.j], x.double())
        atoms = torch.tensor(column.atoms, dtype=torch.float64, device=x.device)
        if column.per:
            k = column.points(number)
            y, number, atoms = self.edge(k if below else k + 1), k, column.points(atoms)
        else:
            y = self.scale(number, self.j)
        survival = torch.exp(self.mixture.log_survival(y).double()).sum(-1)
        whole = torch.exp(self.mixture.log_survival(self.floor).double()).sum(-1)
        reached = number[..., None] > atoms if below else number[..., None] >= atoms
        named = (p[..., : len(atoms)] * reached).sum(-1)
        found = named + p[..., -1] * (1 - survival / whole).clamp(0, 1)
        end = 1 - p[..., column.masses - 1] if below and column.missing else torch.ones_like(found)
        return torch.where(missing, end, found)

    def sample(self, noise: Tensor) -> Tensor:
        """Values from uniforms [..., 3], float64; NaN for missing."""
        noise = noise.to(self.logits.device)
        cdf = self.probabilities().cumsum(-1)
        code = torch.searchsorted(cdf / cdf[..., -1:], noise[..., :1].contiguous(), right=True)[..., 0]
        column = self.column
        if column.is_category:
            return torch.where(code >= column.levels, torch.nan, code.double())
        assert self.mixture is not None
        y = self.mixture.sample_above(noise[..., 1:], self.floor)
        x = self.scale.inverse(y, self.j)
        if column.per:
            first = -MOST_POINTS if self.first is None else self.first
            x = column.values(column.points(x).clamp(first, MOST_POINTS - 1))
        else:  # the inverse rounds, and overflows
            largest = torch.finfo(torch.float64).max
            x = x.clamp(-largest if column.low is None else column.low, largest)
        named = torch.tensor([*column.atoms, torch.nan], dtype=torch.float64, device=x.device)
        return torch.where(code == column.codes - 1, x, named[code.clamp(max=len(column.atoms))])

    def spelled(self, values: Tensor | None) -> Spelling:
        """The code; then, of any other number, the point of the grid, or the float64 of a real number, by bisection.

        On a grid the values are its points exactly, and an atom has one spelling: its code takes the mass of its point.
        """
        column = self.column
        p = self.logits.double().softmax(-1)
        if points := self._atoms_as_points():
            among = torch.stack([mass for _, mass in points], -1)  # [n, A]
            other = p[..., -1:] * (1 - among.sum(-1, keepdim=True)).clamp(min=0)
            p = torch.cat([p[..., : len(points)] + p[..., -1:] * among, p[..., len(points) : -1], other], -1)
            p = p / p.sum(-1, keepdim=True)
        code = yield p.cpu(), None if values is None else codes_of(column, values)
        code = code.to(self.logits.device)
        if column.is_category:
            return torch.where(code >= column.levels, torch.nan, code.double())
        named = torch.tensor([*column.atoms, torch.nan, 0.0], dtype=torch.float64, device=code.device)
        named = column.values(column.points(named)) if column.per else named
        is_other = code == column.codes - 1
        x = named[code.clamp(max=len(column.atoms))]
        rows = is_other.nonzero()[:, 0]
        if len(rows):
            x[rows] = yield from self[rows]._number_spelled(None if values is None else values[rows])
        return x

    def _atoms_as_points(self) -> list[tuple[int, Tensor]]:
        """Of atoms on a grid: the number of the point, and its mass [n] among the other numbers."""
        if not self.column.per:
            return []
        atoms = [torch.tensor(a, dtype=torch.float64, device=self.logits.device) for a in self.column.atoms]
        return [(int(self.column.points(a)), self.log_other(a.expand(self.batch_shape)).exp()) for a in atoms]

    def _number_spelled(self, x: Tensor | None) -> Spelling:
        """Spell other numbers [r]."""
        assert self.mixture is not None
        column, mixture, shape = self.column, self.mixture, self.batch_shape
        if column.per:
            points = self._atoms_as_points()
            total = mixture.log_survival(self.floor).double().logsumexp(-1)

            def log_mass(low: Tensor, high: Tensor) -> Tensor:
                """Of the points low ≤ k < high that are not atoms."""
                mass = mixture.log_mass(self.edge(low.double()), self.edge(high.double())) - total
                if not points:
                    return mass
                named = sum(torch.where((low <= k) & (k < high), atom, 0.0) for k, atom in points)
                return (mass.exp() - named).clamp(min=0).log()

            first = -MOST_POINTS if self.first is None else int(self.first)
            low = torch.full(shape, first, dtype=torch.long, device=self.logits.device)
            high = torch.full_like(low, MOST_POINTS)
            k = yield from bisected(
                low,
                high,
                None if x is None else column.points(x).long(),
                log_mass,
            )
            return column.values(k.double())
        largest = torch.finfo(torch.float64).max
        least = -largest if column.low is None else column.low
        ends = ordered(torch.tensor([least, largest], dtype=torch.float64, device=self.logits.device))
        k = yield from bisected(
            ends[0].expand(shape),
            ends[1].expand(shape) + 1,
            None if x is None else ordered(x),
            lambda a, b: mixture.log_mass(self.scale(reals(a), self.j), self.scale(reals(b), self.j)),
            SAME_FLOATS,
        )
        return reals(k)


def log_of_cells(column: Column, code: Tensor, named: Tensor, other: Tensor) -> Tensor:
    """log p [...] of cells, in nats: of a value that carries a mass, of another number, or of both.

    Args:
        column: that the cells are of.
        code: of each cell [...], see `codes_of`.
        named: log-mass of its code [...].
        other: log-mass or log-density of its number among the numbers without a code of their own [...].
    """
    is_other = code == column.codes - 1
    if not column.per:
        return torch.where(is_other, other, named)
    atom = code < len(column.atoms)  # a point of the grid besides
    both = torch.logaddexp(torch.where(is_other, 0.0, named), other)
    return torch.where(is_other, other, torch.where(atom, both, named))


def codes_of(column: Column, x: Tensor) -> Tensor:
    """Codes [...] of the cells x [...] of a column, int64."""
    missing = torch.isnan(x)
    if column.is_category:
        return torch.where(missing, column.levels, torch.nan_to_num(x)).long()
    code = torch.full(x.shape, column.codes - 1, dtype=torch.long, device=x.device)
    if column.atoms:
        atoms = torch.tensor(column.atoms, dtype=torch.float64, device=x.device)
        value = torch.nan_to_num(x.double())
        if column.per:
            atoms, value = column.points(atoms), column.points(value)
        at = torch.searchsorted(atoms, value.contiguous()).clamp(max=len(atoms) - 1)
        code = torch.where(atoms[at] == value, at, code)
    return torch.where(missing, len(column.atoms), code)


def real_columns(dimensions: int) -> Table:
    """A table of this many real numbers, each with a density and nothing else."""
    return Table(tuple(Column(f"x{j}") for j in range(dimensions)))
