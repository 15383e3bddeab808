"""Cells of tables: sums, integrals, closed forms at high precision, draws against what is scored."""

import itertools
import math

import mpmath
import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions import Cell, Scale, cell_mixture, codes_of
from ptheta.distributions.cells import MAX_LOG_SCALE
from ptheta.distributions.mixture import MIN_LOG_SCALE
from ptheta.spaces import Column
from ptheta.spaces.table import MOST_POINTS

NAN = math.nan
TYPES = pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
WEIGHTS, LOCS, SCALES = [0.3, -0.8, 0.1], [0.4, -0.2, 1.0], [-0.5, -2.0, 0.3]


def cell(column, *, scale=(0.0, 1.0, 0.0, 1.0), outputs=(WEIGHTS, LOCS, SCALES), logits=None, dtype=torch.float64):
    """One cell, [1]: scale is (centre, width, shift, unit); outputs are weights, locations and log scales."""
    found = Scale([column])
    for buffer, value in zip((found.centre, found.width, found.shift, found.unit), scale):
        buffer[0] = value
    logits = torch.linspace(-1, 1, column.codes) if logits is None else torch.tensor(logits)
    mixture = None if column.is_category else cell_mixture(torch.tensor([list(itertools.chain(*outputs))], dtype=dtype))
    return Cell(column, 0, found, logits[None].to(dtype), mixture)


def many(one, n):
    return one[torch.zeros(n, dtype=torch.long)]


def log_prob(one, values):
    values = torch.as_tensor(values, dtype=torch.float64)
    return many(one, len(values)).log_prob(values)


def draws(one, n, seed=0):
    noise = torch.rand(n, 3, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).clamp(1e-16)
    return many(one, n).sample(noise)


class Reference:
    """The same distribution by its formulas, in fifty digits."""

    def __init__(self, one):
        mpmath.mp.dps = 50
        self.column, mixture = one.column, one.mixture
        self.weights = [mpmath.exp(mpmath.mpf(float(w))) for w in mixture.log_weight[0]]
        self.weights = [w / sum(self.weights) for w in self.weights]
        self.locs = [mpmath.mpf(float(v)) for v in mixture.loc[0]]
        self.scales = [mpmath.exp(mpmath.mpf(float(v))) for v in mixture.log_scale[0]]
        self.scale = [
            mpmath.mpf(float(v[0])) for v in (one.scale.centre, one.scale.width, one.scale.shift, one.scale.unit)
        ]
        exps = [mpmath.exp(mpmath.mpf(float(v))) for v in one.logits[0]]
        self.codes = [e / sum(exps) for e in exps]

    def y(self, x):
        centre, width, shift, unit = self.scale
        return (mpmath.asinh((mpmath.mpf(x) - centre) / width) - shift) / unit

    def survival(self, x):
        return sum(w / (1 + mpmath.exp((self.y(x) - m) / s)) for w, m, s in zip(self.weights, self.locs, self.scales))

    def total(self):
        """Mass at and above the least value; on a grid from half a cell below the least point."""
        low, per, offset = self.column.low, self.column.per, mpmath.mpf(self.column.offset)
        if low is None:
            return mpmath.mpf(1)
        return self.survival(offset + (mpmath.nint((low - offset) * per) - 0.5) / per if per else mpmath.mpf(low))

    def log_point(self, x):
        """Of a grid's point that is not an atom."""
        half = mpmath.mpf(1) / (2 * self.column.per)
        low, high = mpmath.mpf(x) - half, mpmath.mpf(x) + half
        return float(mpmath.log(self.codes[-1] * (self.survival(low) - self.survival(high)) / self.total()))

    def log_density(self, x):
        centre, width, _, unit = self.scale
        slope = 1 / (unit * mpmath.sqrt(width**2 + (mpmath.mpf(x) - centre) ** 2))
        parts = zip(self.weights, self.locs, self.scales)
        z = [(w, (self.y(x) - m) / s, s) for w, m, s in parts]
        f = sum(w * mpmath.exp(-t) / (s * (1 + mpmath.exp(-t)) ** 2) for w, t, s in z)
        return float(mpmath.log(self.codes[-1] * f * slope / self.total()))


# Sums and integrals

GRIDS = {
    "whole": Column("a", per=1),
    "from 0": Column("a", per=1, low=0.0),
    "low, atoms, missing": Column("a", per=1, low=-3.0, atoms=(-3.0, 0.0, 7.0), missing=True),
    "tenths beside an offset": Column("a", per=10, offset=0.03, atoms=(0.13,)),
    "cents from a low between points": Column("a", per=100, offset=0.004, low=0.0, atoms=(0.504,), missing=True),
    "missing": Column("a", per=4, missing=True),
}


@TYPES
@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("scale", [(1.0, 2.0, 0.1, 0.7), (0.2, 0.05, 0.0, 1.5)])
def test_points_of_a_grid_atoms_and_missing_sum_to_one(name, scale, dtype):
    column = GRIDS[name]
    one = cell(column, scale=scale, dtype=dtype)
    first = -20_000 if column.low is None else math.ceil(round((column.low - column.offset) * column.per, 6))
    k = torch.arange(first, 20_001, dtype=torch.float64)
    total = float(log_prob(one, column.offset + k / column.per).exp().sum())
    if column.missing:
        total += float(log_prob(one, [NAN]).exp())
    ends = [column.offset + (20_000 + 0.5) / column.per] + [column.offset + (first - 0.5) / column.per] * (
        column.low is None
    )
    exact = Reference(one)
    beyond = exact.survival(ends[0]) + (1 - exact.survival(ends[1]) if column.low is None else 0)
    total += float(exact.codes[-1] * beyond / exact.total())
    assert total == pytest.approx(1, abs=1e-9 if dtype == torch.float64 else 3e-6)
    assert len(k) > 20_000 - 5


@pytest.mark.parametrize("low", [None, 0.0])
def test_the_ends_of_a_grid_hold_what_is_beyond(low):
    column = Column("a", per=1, low=low)
    one = cell(column, scale=(0.0, 1e-3, 0.0, 5.0), outputs=([0.0], [0.0], [5.0]))  # much lies beyond 2^52
    last = log_prob(one, [MOST_POINTS - 1.0]).exp()
    y = one.scale(torch.tensor([MOST_POINTS - 1.5, -MOST_POINTS + 0.5], dtype=torch.float64), 0)
    z = (y - one.mixture.loc[0]) / one.mixture.log_scale[0].exp()
    above, share = (
        torch.sigmoid(-z[0]),
        torch.ones(()) if low is None else one.mixture.log_survival(one.floor).exp().sum(),
    )
    assert float(last) == pytest.approx(float(above / share), rel=1e-6)
    assert float(last) > 1e-4
    if low is None:
        assert float(log_prob(one, [-float(MOST_POINTS)]).exp()) == pytest.approx(float(torch.sigmoid(z[1])), rel=1e-6)
    x = draws(one, 20_000)
    assert not bool(column.wrong(x).any())
    assert float((x == MOST_POINTS - 1).double().mean()) == pytest.approx(
        float(last), abs=4 * math.sqrt(float(last) / 20_000)
    )


@TYPES
@pytest.mark.parametrize("low", [None, -1.0])
@pytest.mark.parametrize("log_scale", [-30.0, 0.0, 30.0])
@pytest.mark.parametrize("missing", [False, True])
def test_density_atoms_and_missing_integrate_to_one(low, log_scale, missing, dtype):
    column = Column("a", low=low, atoms=(-1.0, 0.5), missing=missing)
    outputs = ([0.2, -0.4], [1.0, -1.0], [log_scale, -1.0])
    one = cell(column, scale=(0.3, 0.7, 0.2, 1.3), outputs=outputs, dtype=dtype)
    first = -100.0 if low is None else float(one.floor)
    y = torch.cat(
        [
            torch.linspace(a, b, n, dtype=torch.float64)[:-1]
            for a, b, n in ((first, -4, 40_000), (-4, 4, 100_000), (4, 100, 40_000))
        ]
    )
    y = y[y >= first].unique()
    x = one.scale.inverse(y, 0)
    density = log_prob(one, x if low is None else x.clamp(low)).exp() * torch.exp(-one.scale.log_slope(x, 0))
    masses = log_prob(one, [-1.0, 0.5, *[NAN] * missing]).exp().sum()
    assert float(torch.trapezoid(density, y) + masses) == pytest.approx(1, abs=1e-5)


def test_codes_of_a_category_sum_to_one_and_missing_is_the_last():
    one = cell(Column("a", levels=4, missing=True), logits=[0.0, 1.0, -torch.inf, 2.0, 0.5])
    expected = torch.softmax(one.logits[0], -1).log()
    assert torch.allclose(log_prob(one, [0.0, 1, 2, 3, NAN]), expected, rtol=0, atol=1e-12)
    x = draws(one, 3_000)
    assert not bool((x == 2).any())
    assert (
        stats.chisquare(
            [int((x == v).sum()) for v in (0, 1, 3)] + [int(x.isnan().sum())],
            expected.exp()[[0, 1, 3, 4]].numpy() * 3_000,
        ).pvalue
        > 1e-3
    )


# Closed forms


@TYPES
@pytest.mark.parametrize("per", [1, 10, 100, 10**6])
@pytest.mark.parametrize("low", [None, 0.0])
def test_masses_in_narrow_bins_and_far_tails_are_the_exact_ones(per, low, dtype):
    column = Column("a", per=per, low=low)
    one = cell(column, scale=(20.0, 1e3, 0.1, 0.8), dtype=dtype)
    values = [1.0, 19.0, 20.0, 21.5 if per > 1 else 22.0, 1e3, 1e6, 1e9][: 6 + (per <= 10)] + [-5.0, -1e6] * (
        low is None
    )
    found, exact = log_prob(one, values), Reference(one)
    expected = torch.tensor([exact.log_point(v) for v in values], dtype=torch.float64)
    cells = torch.exp(one.scale.log_slope(torch.tensor(values), 0)) / per  # widths in y, down to 1e-12
    allowed = (2e-6 * expected.abs() + 2e-5 if dtype == torch.float32 else 1e-9) + 4e-15 / cells
    assert bool(((found - expected).abs() < allowed).all())
    assert per < 10**6 or float(cells.max()) < 2e-9


@TYPES
@pytest.mark.parametrize("low", [None, 0.0])
def test_densities_are_the_exact_ones_far_out_too(low, dtype):
    one = cell(Column("a", low=low), scale=(2.0, 0.3, -0.4, 1.7), dtype=dtype)
    values = [0.001, 1.0, 2.0, 2.3, 1e4, 1e12, 1e100, 1e300] + [-1e-5, -1e12] * (low is None)
    found, exact = log_prob(one, values), Reference(one)
    expected = torch.tensor([exact.log_density(v) for v in values], dtype=torch.float64)
    assert torch.allclose(found, expected, rtol=2e-6 if dtype == torch.float32 else 1e-12, atol=2e-5)


@TYPES
@pytest.mark.parametrize("log_scale", [-1e3, 0.0, 1e3])
@pytest.mark.parametrize("loc", [-50.0, 0.0, 50.0])
@pytest.mark.parametrize(
    "column",
    [Column("a", per=1, low=0.0, atoms=(0.0,), missing=True), Column("a", low=0.0), Column("a", per=100), Column("a")],
)
def test_extreme_networks_and_values_have_finite_scores_and_gradients(column, loc, log_scale, dtype):
    outputs = torch.tensor([[5.0, -90.0, loc, -loc, log_scale, 0.0]] * 6, dtype=dtype, requires_grad=True)
    logits = torch.zeros(6, column.codes, dtype=dtype, requires_grad=True)
    scale = Scale([column])
    scale.centre[0], scale.width[0] = 3.0, 1e-3
    values = torch.tensor([0.0, 3.0, 4.0, 1e6, 1e12, NAN if column.missing else 5.0], dtype=torch.float64)
    found = Cell(column, 0, scale, logits, cell_mixture(outputs)).log_prob(values)
    assert found.dtype == torch.float64
    assert bool(found.isfinite().all())
    found.sum().backward()
    assert bool(outputs.grad.isfinite().all())
    assert bool(logits.grad.isfinite().all())
    assert float(outputs.grad.abs().sum()) > 0


def test_gradients_are_finite_differences():
    grid = Column("a", per=1, low=0.0, atoms=(2.0,), missing=True)
    values = torch.tensor([0.0, 2.0, 9.0, NAN], dtype=torch.float64)
    for column in (grid, Column("a", low=0.0, atoms=(2.0,), missing=True)):
        scale = Scale([column])
        scale.centre[0], scale.width[0], scale.unit[0] = 2.0, 1.5, 0.6

        def score(outputs, logits, column=column, scale=scale):
            return Cell(column, 0, scale, logits, cell_mixture(outputs)).log_prob(values)

        g = torch.Generator().manual_seed(0)
        outputs = torch.randn(4, 9, generator=g, dtype=torch.float64, requires_grad=True)
        logits = torch.randn(4, 3, generator=g, dtype=torch.float64, requires_grad=True)
        assert torch.autograd.gradcheck(score, (outputs, logits))


def test_component_scales_have_a_floor_and_a_ceiling():
    found = cell_mixture(torch.tensor([[0.0] * 6 + [-1e6, -7.0, 1e6]], dtype=torch.float64)).log_scale[0]
    assert float(found[0]) == pytest.approx(MIN_LOG_SCALE, abs=1e-3)
    assert MIN_LOG_SCALE - 1e-3 <= float(found[1]) < float(found[2]) <= MAX_LOG_SCALE


def test_a_repeated_value_cannot_be_made_arbitrarily_dense():
    """The narrowest component puts at most 1/(4 e^-7 unit · width) on a point: 0.1 % of the column's spread."""
    one = cell(Column("a"), scale=(5.0, 2.0, 0.0, 1.3), outputs=([0.0], [1.5], [-1e9]))
    most = -math.log(4) - MIN_LOG_SCALE - math.log(2.0 * 1.3)
    assert float(log_prob(one, [5.0])) == pytest.approx(most, abs=1e-3)


# Units


@pytest.mark.parametrize("factor", [1000.0, 1e-6])
def test_the_density_is_per_unit_of_the_column(factor):
    """Multiplying a column and its atoms by a number takes its logarithm from every density, and leaves masses."""
    x = torch.cat(
        [
            torch.randn(500, generator=torch.Generator().manual_seed(0), dtype=torch.float64).exp(),
            torch.full((50,), 2.0),
        ]
    )
    nats = []
    for f in (1.0, factor):
        column = Column("a", low=0.0, atoms=(2.0 * f,))
        one = cell(column)
        one.scale.fit(0, x[:500] * f)
        nats.append(log_prob(one, x * f))
    assert torch.allclose(nats[1][:500], nats[0][:500] - math.log(factor), rtol=0, atol=1e-9)
    assert torch.allclose(nats[1][500:], nats[0][500:], rtol=0, atol=1e-12)


def test_a_grid_of_cents_is_one_of_whole_numbers_in_other_units():
    euros, cents = Column("a", per=100, low=0.0, atoms=(0.5,)), Column("a", per=1, low=0.0, atoms=(50.0,))
    k = torch.arange(300, dtype=torch.float64)
    a = log_prob(cell(euros, scale=(0.4, 0.7, 0.1, 0.9)), k / 100)
    b = log_prob(cell(cents, scale=(40.0, 70.0, 0.1, 0.9)), k)
    assert torch.allclose(a, b, rtol=0, atol=1e-10)


# Draws


@pytest.mark.parametrize("name", GRIDS)
@pytest.mark.parametrize("loc", [0.0, -4.0])
def test_draws_from_a_grid_follow_log_prob(name, loc):
    column, n = GRIDS[name], 20_000
    one = cell(column, scale=(1.0, 1.0, 0.0, 1.0), outputs=(WEIGHTS, [loc, -0.2, 1.0], SCALES))
    x = draws(one, n)
    assert bool((~column.wrong(x)).all())
    values = torch.unique(x[~x.isnan()])
    p = torch.cat([log_prob(one, values).exp(), log_prob(one, [NAN]).exp() if column.missing else torch.zeros(1)])
    counts = torch.cat([(x[:, None] == values[common]).sum(0) for common in torch.arange(len(values)).split(500)])
    counts = torch.cat([counts, x.isnan().sum()[None]]).double()
    often = p * n >= 8
    observed = [*counts[often].tolist(), float(n - counts[often].sum())]
    expected = [*(p[often] * n).tolist(), float(n - (p[often] * n).sum())]
    assert sum(bool(o) for o in often) > 10
    assert stats.chisquare(observed, expected).pvalue > 1e-3


@pytest.mark.parametrize("low", [None, 0.0, 5.0])
def test_draws_of_real_numbers_follow_log_prob_above_the_least_value(low):
    column, n = Column("a", low=low, atoms=(8.0,), missing=True), 20_000
    one = cell(column, scale=(1.0, 2.0, 0.0, 1.0), outputs=(WEIGHTS, [-3.0, -0.2, 1.0], SCALES))
    x = draws(one, n)
    p = torch.softmax(one.logits[0], -1)
    assert stats.binomtest(int((x == 8.0).sum()), n, float(p[0])).pvalue > 1e-3
    assert stats.binomtest(int(x.isnan().sum()), n, float(p[1])).pvalue > 1e-3
    others = x[(x != 8.0) & ~x.isnan()]
    if low is not None:
        assert float(others.min()) >= low
    y = torch.linspace(-20, 20, 400_001, dtype=torch.float64)
    grid = one.scale.inverse(y, 0)
    f = torch.where(grid > (-math.inf if low is None else low), log_prob(one, grid).exp(), 0.0)
    cdf = np.concatenate([[0], torch.cumulative_trapezoid(f, grid).numpy()])
    assert stats.kstest(others.numpy(), lambda v: np.interp(v, grid.numpy(), cdf / cdf[-1])).pvalue > 1e-3


@TYPES
def test_a_tail_far_above_its_components_is_drawn_above_the_least_value(dtype):
    """The mixture beyond `low` is a tail of 10^-400: an exponential in y."""
    one = cell(Column("a", low=100.0), scale=(0.0, 1e4, 0.0, 1e-3), outputs=([0.0], [1.5], [-4.5]), dtype=dtype)
    x = draws(one, 5_000)
    assert float(x.min()) >= 100.0
    rate = float(torch.exp(-one.mixture.log_scale[0])) / (1e-3 * 1e4)
    z = (one.mixture.log_scale.exp().reciprocal() * (one.floor - one.mixture.loc)).double()
    assert float(z) > 800
    assert stats.kstest((x - 100.0).numpy() * rate, "expon").pvalue > 1e-3


@pytest.mark.parametrize("column", [Column("a"), Column("a", low=1.0), Column("a", per=1), Column("a", per=1, low=1.0)])
def test_no_draw_is_impossible_however_extreme_the_network_and_the_noise(column):
    noise = torch.tensor(list(itertools.product([2.0**-54, 0.5, 1 - 2.0**-53], repeat=3)), dtype=torch.float64)
    for scale, loc in itertools.product([(0.0, 1e-6, 0.0, 20.0), (1e12, 1e9, 0.0, 1e-6)], [-1e4, 0.0, 1e4]):
        one = cell(column, scale=scale, outputs=([0.0, 0.0], [loc, 0.0], [100.0, -100.0]))
        assert not bool(column.wrong(many(one, len(noise)).sample(noise)).any())


def test_impossible_codes_are_never_drawn():
    noise = torch.tensor([[u, 0.5, 0.5] for u in (2.0**-54, 0.3, 0.7, 1 - 2.0**-53)], dtype=torch.float64)
    for impossible in range(4):
        logits = [0.0] * 4
        logits[impossible] = -math.inf
        column = Column("a", atoms=(1.0, 2.0), missing=True)
        found = codes_of(column, many(cell(column, logits=logits), 4).sample(noise))
        assert impossible not in found.tolist()


@pytest.mark.parametrize(
    "column",
    [
        Column("a", 3, missing=True),
        Column("a", per=1, atoms=(2.0,), missing=True),
        Column("a", atoms=(2.0,), missing=True),
    ],
)
def test_a_cell_known_to_be_present_is_renormalised(column):
    one = cell(column)
    missing = float(log_prob(one, [NAN]).exp())
    known = one.present()
    values = [0.0, 1.0, 2.0]
    assert torch.allclose(log_prob(known, values), log_prob(one, values) - math.log1p(-missing), rtol=0, atol=1e-12)
    assert float(log_prob(known, [NAN])) == -math.inf
    assert not bool(draws(known, 2_000).isnan().any())
    assert float(log_prob(one, [NAN]).exp()) == missing  # the cell itself stays
    bare = cell(Column("a", 3))
    assert bare.present() is bare
