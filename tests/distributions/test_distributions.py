"""Conditionals against scipy and torch.distributions."""

from __future__ import annotations

import itertools
import math
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats

from ptheta.distributions import (
    Categorical,
    CategoricalHead,
    GaussianMixture,
    LogisticMixture,
    MixtureHead,
    head_for,
)
from ptheta.distributions.heads import MAX_LOG_SCALE
from ptheta.distributions.mixture import MIN_LOG_SCALE
from ptheta.errors import UsageError
from ptheta.sampling import Warp, uniforms
from ptheta.spaces import Discrete, Real

SCIPY: dict[type, Any] = {GaussianMixture: stats.norm, LogisticMixture: stats.logistic}
mixtures = pytest.mark.parametrize("family", SCIPY)


def rand(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> torch.Tensor:
    return uniforms(*shape, generator=torch.Generator().manual_seed(seed))


# Categorical


def test_categorical_log_prob_and_entropy_are_those_of_torch():
    logits = rand(4, 3, 5) * 3
    ours, theirs = Categorical(logits), torch.distributions.Categorical(logits=logits)
    for level in range(5):
        x = torch.full((4, 3), level)
        assert torch.allclose(ours.log_prob(x), theirs.log_prob(x), rtol=0, atol=1e-12)
    assert torch.allclose(ours.entropy(), theirs.entropy(), rtol=0, atol=1e-12)
    assert torch.allclose(ours.probabilities(), theirs.probs, rtol=0, atol=1e-12)
    assert ours.batch_shape == (4, 3)


@pytest.mark.parametrize("smoothing", [0.0, 0.1, 0.7])
def test_smoothed_labels_are_those_of_torch(smoothing: float):
    logits = (rand(6, 5) * 3).requires_grad_()
    x = torch.tensor([0, 1, 2, 3, 4, 0])
    ours = -Categorical(logits).smoothed_log_prob(x, smoothing).mean()
    theirs = torch.nn.functional.cross_entropy(logits, x, label_smoothing=smoothing)
    assert ours.item() == pytest.approx(theirs.item(), abs=1e-12)
    slopes = [torch.autograd.grad(loss, logits)[0] for loss in (ours, theirs)]
    torch.testing.assert_close(*slopes, rtol=0, atol=1e-12)


def test_labels_are_smoothed_over_possible_levels_only():
    logits = rand(4, 3)
    wide = torch.cat([logits, torch.full((4, 2), -math.inf)], 1).requires_grad_()
    x = torch.tensor([0, 1, 2, 0])
    found = Categorical(wide).smoothed_log_prob(x, 0.2)
    torch.testing.assert_close(found, Categorical(logits).smoothed_log_prob(x, 0.2))
    (slope,) = torch.autograd.grad(found.sum(), wide)
    assert slope.isfinite().all()
    assert not slope[:, 3:].any()
    certain = Categorical(torch.tensor([-math.inf, 0.0]))
    assert certain.smoothed_log_prob(torch.tensor(1), 0.5) == 0


def test_an_impossible_level_has_probability_zero_and_is_never_drawn():
    conditional = Categorical(torch.tensor([-math.inf, 0.0, -math.inf, 1.0, -math.inf]))
    log_p = torch.stack([conditional.log_prob(torch.tensor(k)) for k in range(5)])
    assert log_p.isinf().tolist() == [True, False, True, False, True]
    assert not conditional.entropy().isnan()
    edge = torch.tensor([2.0**-54, 0.5, 1 - 2.0**-53], dtype=torch.float64)[:, None]
    drawn = Categorical(conditional.logits.expand(3, 5)).sample(edge)
    assert set(drawn.tolist()) <= {1, 3}


def test_draws_follow_the_probabilities():
    logits = torch.tensor([0.0, 2.0, -1.0, 0.5])
    drawn = Categorical(logits.expand(20_000, 4)).sample(noise(20_000, 1))
    assert stats.chisquare(np.bincount(drawn, minlength=4), logits.double().softmax(0).numpy() * 20_000).pvalue > 1e-4


def test_a_draw_is_the_inverse_distribution_function():
    conditional = Categorical(torch.tensor([[0.1, 0.2, 0.7]]).log().expand(4, 3))
    assert conditional.sample(torch.tensor([[0.05], [0.15], [0.31], [0.999]]).double()).tolist() == [0, 1, 2, 2]


def test_log_prob_is_float64_whatever_the_logits():
    assert Categorical(torch.zeros(1, 2)).log_prob(torch.tensor([0])).dtype == torch.float64


def test_indexing_takes_members_of_the_batch():
    logits = rand(4, 3, 5)
    assert torch.equal(Categorical(logits)[:, 1].logits, logits[:, 1])
    mixture = GaussianMixture(logits, logits + 1, logits + 2)[:, 1]
    assert mixture.batch_shape == (4,)
    assert torch.equal(mixture.loc, logits[:, 1] + 1)


def test_warping_changes_the_logits_and_the_identity_changes_nothing():
    conditional = Categorical(rand(3, 5))
    assert conditional.warped(Warp()) is conditional
    sharper = conditional.warped(Warp(temperature=0.5)).probabilities()
    assert torch.allclose(sharper, (conditional.logits * 2).softmax(-1))


# Mixtures


@mixtures
def test_mixture_densities_are_those_of_scipy(family):
    weights, loc, log_scale = rand(7, 3, seed=1), rand(7, 3, seed=2) * 4, rand(7, 3, seed=3)
    x = rand(7, seed=4) * 6
    components = SCIPY[family].pdf(x.numpy()[:, None], loc.numpy(), log_scale.exp().numpy())
    expected = np.log((weights.softmax(-1).numpy() * components).sum(-1))
    assert family(weights, loc, log_scale).log_prob(x).tolist() == pytest.approx(expected.tolist(), abs=1e-12)


@mixtures
def test_mixture_draws_follow_the_mixture(family):
    weights, loc, log_scale = (
        torch.tensor([0.3, 0.7]).log().double(),
        torch.tensor([-2.0, 1.0]).double(),
        torch.tensor([0.5, -1.0]).double(),
    )
    drawn = family(*(p.expand(40_000, 2) for p in (weights, loc, log_scale))).sample(noise(40_000, 2))

    def cdf(x):
        return (weights.exp().numpy() * SCIPY[family].cdf(x[:, None], loc.numpy(), log_scale.exp().numpy())).sum(-1)

    assert stats.kstest(drawn.numpy(), cdf).pvalue > 1e-3


@mixtures
def test_densities_far_in_the_tail_are_finite_and_extreme_uniforms_give_finite_values(family):
    zero = torch.zeros(2, 1, dtype=torch.float64)
    assert family(zero, zero, zero).log_prob(torch.tensor([1e6, -1e6])).isfinite().all()
    edges = torch.tensor([[0.5, 2.0**-54], [0.5, 1 - 2.0**-53]], dtype=torch.float64)
    assert family(zero, zero, zero).sample(edges).isfinite().all()


@mixtures
def test_continuous_conditionals_refuse_discrete_warps(family):
    zero = torch.zeros(1, 1)
    mixture = family(zero, zero, zero)
    assert mixture.warped(Warp()) is mixture
    with pytest.raises(UsageError, match="continuous"):
        mixture.warped(Warp(top_k=1))


# Heads


def test_a_categorical_head_masks_missing_levels_in_visiting_order():
    space, order = Discrete((3,), 3, (1, 2, 3)), torch.tensor([2, 0, 1])
    head = CategoricalHead(space, order)
    p = head(torch.zeros(2, 3, 3)).probabilities()
    assert torch.allclose(p[0], torch.tensor([[1 / 3] * 3, [1, 0, 0], [0.5, 0.5, 0]]).double())
    for step in range(3):
        assert torch.equal(head(torch.zeros(2, 3), step).probabilities(), p[:, step])


@pytest.mark.parametrize("kind", ["logistic", "gaussian"])
def test_a_mixture_head_is_in_the_units_of_the_data(kind):
    """Density at shift + unit · z is the standardised density at z, divided by the unit."""
    plain, scaled = MixtureHead(2, kind, 3), MixtureHead(2, kind, 3)
    shift, unit = torch.tensor([5.0, -1.0]).double(), torch.tensor([10.0, 0.01]).double()
    scaled.standardise(shift, unit)
    outputs, z = rand(6, 2, plain.size), rand(6, 2, seed=1)
    expected = plain(outputs).log_prob(z) - unit.log()
    assert torch.allclose(scaled(outputs).log_prob(shift + unit * z), expected, rtol=0, atol=1e-9)
    assert torch.allclose(scaled.inputs(shift + unit * z), z, rtol=0, atol=1e-9)
    for j in range(2):
        one = scaled(outputs[:, j], j)
        assert torch.equal(one.log_prob(z[:, j]), scaled(outputs).log_prob(z)[:, j])


@pytest.mark.parametrize("value", [-1e4, 1e4])
def test_component_scales_stay_within_their_bounds(value):
    mixture = MixtureHead(1, "gaussian", 2)(torch.full((1, 1, 6), value))
    assert (mixture.log_scale >= MIN_LOG_SCALE - 1e-6).all()
    assert (mixture.log_scale <= MAX_LOG_SCALE + 1e-6).all()


def test_moderate_scales_are_hardly_touched_by_the_bounds():
    outputs = torch.zeros(1, 1, 3).double()
    for log_scale, tolerance in itertools.product([-2.0, 0.0, 2.0], [0.01]):
        outputs[..., 2] = log_scale
        assert MixtureHead(1, "gaussian", 1)(outputs).log_scale.item() == pytest.approx(log_scale, abs=tolerance)


def test_the_space_alone_decides_the_head():
    assert isinstance(head_for(Discrete((2,), 3), torch.arange(2), "logistic", 4), CategoricalHead)
    head = head_for(Real((2,)), torch.arange(2), "gaussian", 4)
    assert isinstance(head, MixtureHead)
    assert head.size == 12
