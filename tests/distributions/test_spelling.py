"""Numbers by bisection: their symbols' probabilities multiply to the number's own, and they come back."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions.cells import Cell, Scale, cell_mixture
from ptheta.distributions.spelling import bisected, ordered, reals
from ptheta.spaces import Column

LAW = stats.logistic(3.2, 40.0)


def log_mass(low, high):
    """Of whole numbers low ≤ k < high under a rounded logistic law."""
    with np.errstate(divide="ignore"):
        return torch.from_numpy(np.log(LAW.cdf(high.double().numpy() - 0.5) - LAW.cdf(low.double().numpy() - 0.5)))


def spell(low, high, k, mass, even=0):
    """Symbols and the logarithm of their probabilities' product, for known numbers."""
    spelling, symbols, total = bisected(low, high, k, mass, even), [], torch.zeros(len(k), dtype=torch.float64)
    try:
        p, found = next(spelling)
        while True:
            assert p.dtype == torch.float64
            torch.testing.assert_close(p.sum(-1), torch.ones(len(k), dtype=torch.float64))
            symbols.append(found)
            total += p.gather(1, found[:, None])[:, 0].log()
            p, found = spelling.send(found)
    except StopIteration as done:
        return done.value, symbols, total


def read(low, high, symbols, mass, even=0):
    spelling, queue = bisected(low, high, None, mass, even), list(symbols)
    try:
        _, found = next(spelling)
        while True:
            assert found is None
            _, found = spelling.send(queue.pop(0))
    except StopIteration as done:
        assert not queue
        return done.value


@pytest.mark.parametrize(("low", "high"), [(-1000, 1000), (-(2**52), 2**52), (0, 7), (5, 6), (-(2**63), 2**63 - 1)])
def test_numbers_come_back_with_their_probability(low, high):
    k = torch.tensor([low, min(max(low, 3), high - 1), min(max(low, -77), high - 1), min(max(low, 250), high - 1)])
    ends = torch.full_like(k, low), torch.full_like(k, high)
    found, symbols, total = spell(*ends, k, log_mass)
    assert torch.equal(found, k)
    assert torch.equal(read(*ends, symbols, log_mass), k)
    expected = log_mass(k, k + 1) - log_mass(*ends)
    likely = expected > -15  # beyond, differences of the reference itself cancel
    if high - low < 2**60:  # float64 edges lie apart
        torch.testing.assert_close(total[likely], expected[likely], rtol=1e-6, atol=1e-6)


def test_where_nothing_is_known_halves_are_alike_and_small_ranges_even():
    k = torch.tensor([0, 3, 12])
    ends = torch.zeros_like(k), torch.full_like(k, 13)
    nothing = lambda low, high: torch.full(low.shape, -math.inf)  # noqa: E731
    assert torch.equal(spell(*ends, k, nothing)[0], k)
    _, _, total = spell(*ends, k, nothing, even=2**16)
    torch.testing.assert_close(total, torch.full_like(total, -math.log(13)))


COLUMNS = {
    "whole": Column("a", per=1),
    "whole from a low": Column("a", per=1, low=-3.0),
    "cents with atoms": Column("a", per=100, low=0.0, atoms=(0.0, 5.0), missing=True),
    "tenths beside the whole": Column("a", per=10, offset=0.05, atoms=(1.05,)),
    "real": Column("a"),
    "real from a low": Column("a", low=-2.5, atoms=(1.0,), missing=True),
    "category": Column("a", levels=5, missing=True),
}


@pytest.mark.parametrize("name", COLUMNS)
def test_a_cell_takes_the_bits_of_its_probability(name):
    column, n = COLUMNS[name], 15
    g = torch.Generator().manual_seed(0)
    scale = Scale([column])
    scale.fit(0, torch.randn(200, generator=g, dtype=torch.float64) * 30 + 4)
    logits = torch.randn(1, column.codes, generator=g, dtype=torch.float64).expand(n, -1)
    mixture = None
    if not column.is_category:
        mixture = cell_mixture(torch.randn(1, 12, generator=g, dtype=torch.float64))[torch.zeros(n, dtype=torch.long)]
    cell = Cell(column, 0, scale, logits, mixture)
    x = cell.sample(torch.rand(n, 3, generator=g, dtype=torch.float64))
    x = column.values(column.points(x)) if column.per else x
    bits, found = torch.zeros(n, dtype=torch.float64), torch.zeros(n, dtype=torch.float64)
    for i in range(n):
        spelling = cell[i : i + 1].spelled(x[i : i + 1])
        try:
            p, symbols = next(spelling)
            while True:
                bits[i] -= p.gather(1, symbols[:, None]).log2().item()
                p, symbols = spelling.send(symbols)
        except StopIteration as done:
            found[i] = done.value[0]
    assert torch.equal(found.nan_to_num(-99.0), x.nan_to_num(-99.0))
    expected = -cell.log_prob(x) / math.log(2)
    if not column.per and not column.is_category:  # a density: the bits of float64's spacing come on top
        other = ~(torch.isnan(x) | torch.isin(x, torch.tensor(column.atoms, dtype=torch.float64)))
        expected[other] -= torch.from_numpy(np.log2(np.spacing(x[other].abs().numpy())))
    torch.testing.assert_close(bits, expected, rtol=1e-4, atol=1e-3)


def test_reals_in_their_order():
    largest = float(np.finfo(np.float64).max)
    x = torch.tensor(
        [-math.inf, -largest, -1.5, -5e-324, 0.0, 5e-324, 0.1, 1.5, largest, math.inf], dtype=torch.float64
    )
    k = ordered(x)
    assert bool((k.diff() > 0).all())
    assert torch.equal(reals(k), x)
    assert int(k[5] - k[4]) == 1, "neighbours are neighbours"
    between = torch.tensor([1.0], dtype=torch.float64)
    assert float(reals(ordered(between) + 1)) == np.nextafter(1.0, 2.0)
