"""Calibration: the truth is calibrated, and what is not is as far from it as closed forms say."""

import math

import numpy as np
import pytest
import torch
from scipy import optimize, stats

import ptheta
from ptheta.data import Split
from ptheta.distributions import DiscretisedLogisticMixture, GaussianMixture
from ptheta.models import Autoregressive, Transformer
from ptheta.models.autoregressive.reference import ConditionalsDecoder
from ptheta.models.counting.tables import Independent, MarkovChain
from ptheta.reporting.report.calibration import (
    binomial_band,
    discrete,
    reliability,
    transforms,
    uniform_distance,
    usual_distance,
)
from ptheta.spaces import Discrete, Document, Label, Real


class Normals(Autoregressive):
    """x_j ~ N(0, scale_j²) of each other's independent; scale in the order of visits."""

    spaces = (Real,)
    noise_size = GaussianMixture.noise_size

    def __init__(self, space, scales, order=None):
        super().__init__(space, None, order)
        self.scales = torch.tensor(scales, dtype=torch.float64)

    def _conditionals(self, z, context):
        zero = torch.zeros(*z.shape, 1, dtype=torch.float64)
        return GaussianMixture(zero, zero, self.scales.log()[:, None].expand(zero.shape))

    def _decoder(self, n, context):
        return ConditionalsDecoder(self, n, context)


def coin(q: float) -> Independent:
    """One dimension that is 1 with probability q."""
    model = Independent(Discrete((1,), 2), pseudo_count=0)
    model.observe(torch.tensor([[1]] * round(1000 * q) + [[0]] * round(1000 * (1 - q))))
    return model


def chain(seed: int, count: int = 400) -> MarkovChain:
    model = MarkovChain(Discrete((6,), 4), Label(("a", "b")))
    g = torch.Generator().manual_seed(seed)
    model.observe(torch.randint(4, (count, 6), generator=g), torch.arange(count) % 2)
    return model


def drawn(model, n: int, context=None) -> Split:
    x = model.sample(n, context, seed=1).numpy()
    return Split(x, None if context is None else context.numpy())


def test_a_model_that_is_the_truth_is_calibrated():
    model = chain(0)
    found = transforms(model, drawn(model, 3000, torch.arange(3000) % 2), 0)
    assert found.u.shape == (3000, 6)
    assert uniform_distance(found.u) < usual_distance(found.u.size)
    for column in found.u.T:
        assert stats.kstest(column, "uniform").pvalue > 0.001
    r = reliability(found.confidence, found.hit, 0)
    assert r.error < 1.6 * r.usual_error
    assert np.all(np.abs(r.frequency - r.confidence) < 4 * r.deviation)


def test_a_model_that_saw_other_data_is_not():
    x = drawn(chain(0, 40), 3000, torch.arange(3000) % 2)
    found = transforms(chain(1, 40), x, 0)
    assert uniform_distance(found.u) > 2 * usual_distance(found.u.size)
    r = reliability(found.confidence, found.hit, 0)
    assert r.error > 5 * r.usual_error


@pytest.mark.parametrize(("says", "is_"), [(0.9, 0.7), (0.6, 0.8), (0.75, 0.75)])
def test_distances_of_a_coin_are_the_difference_of_probabilities(says, is_):
    n = 40_000
    x = (np.arange(n)[:, None] < is_ * n).astype(np.uint8)
    found = transforms(coin(says), Split(x), 3)
    noise = usual_distance(n)
    assert uniform_distance(found.u) == pytest.approx(abs(says - is_), abs=noise)
    r = reliability(found.confidence, found.hit, 0)
    assert r.error == pytest.approx(abs(says - is_), abs=1e-12)
    assert r.confidence.tolist() == pytest.approx([says])
    assert r.frequency.tolist() == pytest.approx([is_])
    assert r.deviation.tolist() == pytest.approx([math.sqrt(says * (1 - says) / n)])
    assert r.usual_error == pytest.approx(math.sqrt(2 / math.pi) * float(r.deviation[0]), rel=0.35)


@pytest.mark.parametrize("scale", [0.5, 1.0, 2.0])
def test_distances_of_a_normal_are_those_of_its_scale(scale):
    n = 20_000
    x = np.random.default_rng(0).normal(size=(n, 1))
    found = transforms(Normals(Real((1,)), [scale]), Split(x), 0)
    assert np.allclose(found.u[:, 0], stats.norm.cdf(x[:, 0] / scale), rtol=0, atol=1e-12)
    far = optimize.minimize_scalar(
        lambda u: -abs(stats.norm.cdf(scale * stats.norm.ppf(u)) - u), bounds=(1e-6, 0.5), method="bounded"
    )
    assert uniform_distance(found.u) == pytest.approx(-far.fun, abs=usual_distance(n))
    assert not len(found.hit)


def test_the_dimension_that_is_wrong_is_named_whatever_the_order():
    x = np.random.default_rng(0).normal(size=(2000, 3))
    model = Normals(Real((3,)), [3.0, 1.0, 1.0], order=(2, 0, 1))  # the dimension visited first is number 2
    distances = [uniform_distance(column) for column in transforms(model, Split(x), 0).u.T]
    assert np.argmax(distances) == 2
    assert max(distances[:2]) < usual_distance(2000) * 1.5


def test_a_seed_gives_the_same_transforms():
    model = chain(0)
    split = drawn(model, 50, torch.zeros(50).long())
    first, again, other = (transforms(model, split, seed).u for seed in (0, 0, 1))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_confidence_of_discretised_mixtures_is_that_of_their_largest_mass():
    g = torch.Generator().manual_seed(0)
    weight, loc, log_scale = (torch.randn(5, 3, 2, generator=g) for _ in range(3))
    mixture = DiscretisedLogisticMixture(weight, loc, log_scale - 2, 8)
    z = torch.zeros(5, 3).long()
    ((levels, values),) = discrete(mixture, z)
    masses = torch.stack([mixture.log_prob(torch.full((5, 3), k)).exp() for k in range(8)], -1)
    assert torch.allclose(levels.probabilities().max(-1).values, masses.max(-1).values, rtol=0, atol=1e-6)
    assert values is z


@pytest.mark.parametrize("n", [4, 7, 500])
def test_distance_and_its_bound_are_those_of_scipy(n):
    u = np.random.default_rng(n).beta(2, 2, size=n)
    assert uniform_distance(u) == pytest.approx(stats.kstest(u, "uniform").statistic)
    assert usual_distance(n) == pytest.approx(stats.kstwo.ppf(0.95, n), rel=0.02)


@pytest.mark.parametrize(("n", "p"), [(1, 0.05), (23, 0.05), (1000, 0.05), (300_000, 0.05), (60, 0.9)])
def test_the_band_is_that_of_scipy(n, p):
    assert binomial_band(n, p) == tuple(stats.binom.interval(0.95, n, p))


def test_bits_of_a_fitted_network_are_measured_too():
    g = np.random.default_rng(0)
    x = g.normal(size=(400, 2)).astype(np.float32)
    model = ptheta.models.MADE(Real((2,)), width=8, layers=1)
    found = transforms(model, Split(x), 0)
    assert found.u.shape == (400, 2)
    assert 0 < found.u.min() < found.u.max() < 1


def test_of_whole_texts_only_tokens_and_ends_count():
    """The same texts in longer events are as calibrated, whatever fills the events."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = Transformer(Document(6, 3, end=2), width=16, layers=1, heads=2).double().eval()
    x = model.sample(400, seed=1)
    found = transforms(model, Split(x.numpy()), 0)
    tokens = int(model.space.lengths(x).sum())
    assert found.u.shape == found.confidence.shape == found.hit.shape == (tokens,)
    assert tokens < x.numel()
    assert uniform_distance(found.u) < 1.5 * usual_distance(tokens)
    assert found.confidence.max() < 1
