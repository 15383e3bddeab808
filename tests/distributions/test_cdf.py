"""Distribution functions against scipy, and against the probabilities they sum."""

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions import Categorical, DiscretisedLogisticMixture, GaussianMixture, LogisticMixture
from ptheta.distributions.base import Distribution
from ptheta.errors import DensityError


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
