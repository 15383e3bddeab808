"""Distribution functions against scipy, and against the probabilities they sum."""

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions import Categorical, DiscretisedLogisticMixture, GaussianMixture, LogisticMixture
from ptheta.distributions.base import Distribution
from ptheta.distributions.cells import Cell, Scale, cell_mixture
from ptheta.distributions.rows import Row
from ptheta.errors import DensityError
from ptheta.sampling import uniforms
from ptheta.spaces import Column


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


@pytest.mark.parametrize(("family", "scipy"), [(GaussianMixture, stats.norm), (LogisticMixture, stats.logistic)])
def test_mixtures_are_those_of_scipy(family, scipy):
    weight, loc, log_scale, x = rand(5, 3), rand(5, 3, seed=1), rand(5, 3, seed=2), rand(5, seed=3)
    w = np.exp(weight.numpy()) / np.exp(weight.numpy()).sum(-1, keepdims=True)
    expected = (w * scipy.cdf(x[:, None].numpy(), loc.numpy(), log_scale.exp().numpy())).sum(-1)
    mixture = family(weight, loc, log_scale)
    assert np.allclose(mixture.cdf(x), expected, rtol=0, atol=1e-12)
    assert torch.equal(mixture.cdf(x, below=True), mixture.cdf(x)), "a point has no mass"


@pytest.mark.parametrize("levels", [1, 2, 7, 256])
def test_discrete_ones_sum_their_probabilities(levels):
    logits = rand(4, levels)
    logits[0, : levels // 2] = -torch.inf
    mixture = DiscretisedLogisticMixture(rand(4, 3), rand(4, 3, seed=1), rand(4, 3, seed=2) - 3, levels)
    for distribution in (Categorical(logits), mixture):
        p = torch.stack([distribution.log_prob(torch.full((4,), k)).exp() for k in range(levels)], -1)
        for k in range(levels):
            x = torch.full((4,), k)
            assert torch.allclose(distribution.cdf(x), p[:, : k + 1].sum(-1), rtol=0, atol=1e-12)
            assert torch.allclose(distribution.cdf(x, below=True), p[:, :k].sum(-1), rtol=0, atol=1e-12)
        top = torch.full((4,), levels - 1)
        assert torch.allclose(distribution.cdf(top), torch.ones(4).double(), rtol=0, atol=1e-15)
        assert not distribution.cdf(torch.zeros(4).long(), below=True).any()


def test_one_that_has_none_says_so():
    class Bare(Distribution):
        batch_shape = log_prob = sample = __getitem__ = None  # type: ignore[assignment]

    with pytest.raises(DensityError, match="Bare has no distribution function"):
        Bare().cdf(torch.zeros(1))


COLUMNS = {
    "category": Column("c", levels=4, missing=True),
    "real": Column("r"),
    "real from 0 with a spike and missing": Column("r", low=0.0, atoms=(0.0, 2.5), missing=True),
    "whole": Column("w", per=1, low=-2.0),
    "whole with an atom and missing": Column("w", per=1, atoms=(3.0,), missing=True),
}


@pytest.mark.parametrize("column", COLUMNS.values(), ids=COLUMNS.keys())
def test_cells_say_how_often_draws_are_below(column):
    scale = Scale([column])
    scale.centre[0], scale.width[0] = 1.0, 2.0
    logits = rand(1, column.codes, seed=4)
    mixture = None if column.is_category else cell_mixture(rand(1, 6, seed=5))
    cell = Cell(column, 0, scale, logits, mixture)[torch.zeros(40_000, dtype=torch.long)]
    g = torch.Generator().manual_seed(0)
    x = cell.sample(uniforms(40_000, 3, generator=g))
    assert torch.isnan(x).any() == column.missing
    rank = torch.nan_to_num(x, nan=torch.inf)  # missing is above all others
    for value in x[:30]:
        one = cell[:1]
        place = rank[x.isnan()][0] if value.isnan() else value
        for below, found in ((False, rank <= place), (True, rank < place)):
            p = float(one.cdf(value[None], below=below))
            assert p == pytest.approx(float(found.double().mean()), abs=4 * (p * (1 - p) / 40_000) ** 0.5 + 1e-9)
    low, high = cell.cdf(x, below=True), cell.cdf(x)
    mass = high - low > 0
    assert torch.allclose((high - low)[mass], cell.log_prob(x)[mass].exp(), rtol=0, atol=1e-6)
    u = low + (high - low) * torch.rand(len(x), generator=g, dtype=torch.float64)
    assert stats.kstest(u.numpy(), "uniform").pvalue > 0.001


def test_a_row_has_the_functions_of_its_cells():
    columns = [COLUMNS["category"], COLUMNS["real"]]
    scale = Scale(columns)
    cells = [
        Cell(column, j, scale, rand(5, column.codes, seed=j), None if j == 0 else cell_mixture(rand(5, 6)))
        for j, column in enumerate(columns)
    ]
    x = torch.stack([torch.arange(5.0) % 4, rand(5, seed=9)], -1).double()
    for below in (False, True):
        expected = torch.stack([cell.cdf(x[:, j], below=below) for j, cell in enumerate(cells)], -1)
        assert torch.equal(Row(cells).cdf(x, below=below), expected)
