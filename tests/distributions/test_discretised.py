"""Discretised logistic mixtures against scipy, exact arithmetic of mpmath, and the formula of PixelCNN++ for RGB."""

from __future__ import annotations

import itertools

import mpmath
import numpy as np
import pytest
import torch
from scipy import special, stats
from torch import Tensor

from ptheta.distributions import Categorical, DiscretisedLogisticMixture
from ptheta.models.autoregressive.pixel_heads import LogisticPixelHead
from ptheta.sampling import Warp, uniforms

LEVELS = [1, 2, 4, 17, 256]
NARROWEST, WIDEST = -7.0, 4.0
FLOATS = [torch.float32, torch.float64]


def rand(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def noise(*shape: int, seed: int = 0) -> Tensor:
    return uniforms(*shape, generator=torch.Generator().manual_seed(seed))


def ordinary(batch: int, levels: int, components: int = 3) -> DiscretisedLogisticMixture:
    """Components between and beyond the levels, of about the width of a bin to that of all of them."""
    return DiscretisedLogisticMixture(
        rand(batch, components), rand(batch, components, seed=1), rand(batch, components, seed=2) - 1.5, levels
    )


def extreme(levels: int, dtype: torch.dtype) -> DiscretisedLogisticMixture:
    """One component each: the narrowest and the widest, at levels, at edges of bins, between, and far outside."""
    step = 2 / max(levels - 1, 1)
    at_edges = -1 + step * (np.unique(np.linspace(0, max(levels - 2, 0), 9).round()) + 0.5)
    places = torch.tensor([-300.0, -3.0, -1.0, -0.123, 0.0, 0.77, 1.0, 3.0, 300.0, *at_edges], dtype=torch.float64)
    loc, log_scale = torch.cartesian_prod(places, torch.tensor([NARROWEST, WIDEST], dtype=torch.float64)).T
    return DiscretisedLogisticMixture(
        torch.zeros(len(loc), 1, dtype=dtype), loc[:, None].to(dtype), log_scale[:, None].to(dtype), levels
    )


def all_log_probs(conditional: DiscretisedLogisticMixture) -> Tensor:
    """log p of every level, [*batch, K]."""
    levels = range(conditional.levels)
    return torch.stack([conditional.log_prob(torch.full(conditional.batch_shape, k)) for k in levels], -1)


def edges(levels: int) -> np.ndarray:
    """The K + 1 edges of the bins, the outermost at infinity."""
    inner = -1 + (np.arange(levels - 1) + 0.5) * 2 / max(levels - 1, 1)
    return np.concatenate([[-np.inf], inner, [np.inf]])


def cumulative(conditional: DiscretisedLogisticMixture) -> np.ndarray:
    """P(x ≤ k) by scipy, [batch, K]."""
    loc, scale = conditional.loc.double().numpy(), conditional.log_scale.double().exp().numpy()
    weight = special.softmax(conditional.weight_logits.double().numpy(), -1)
    each = stats.logistic.cdf(edges(conditional.levels)[1:, None], loc[:, None], scale[:, None])  # [batch, K, C]
    return (weight[:, None] * each).sum(-1)


def exact_log_mass(level: int, loc: float, log_scale: float, levels: int) -> float:
    """Log of one bin's mass under one logistic, in 60 digits, from the tail in which the mass is no tiny difference."""
    with mpmath.workdps(60):
        loc, scale = mpmath.mpf(loc), mpmath.exp(mpmath.mpf(log_scale))
        step = mpmath.mpf(2) / (levels - 1)
        bottom = (-1 + (level - mpmath.mpf(1) / 2) * step - loc) / scale if level else mpmath.ninf
        top = (-1 + (level + mpmath.mpf(1) / 2) * step - loc) / scale if level < levels - 1 else mpmath.inf
        if bottom + top > 0:
            bottom, top = -top, -bottom
        below = mpmath.mpf(0) if bottom == mpmath.ninf else 1 / (1 + mpmath.exp(-bottom))
        upto = mpmath.mpf(1) if top == mpmath.inf else 1 / (1 + mpmath.exp(-top))
        return float(mpmath.log(upto - below))


# Probabilities


@pytest.mark.parametrize("levels", LEVELS)
def test_masses_are_differences_of_logistic_distribution_functions(levels: int):
    conditional = ordinary(40, levels)
    expected = np.diff(cumulative(conditional), axis=-1, prepend=0.0)
    np.testing.assert_allclose(all_log_probs(conditional).exp().numpy(), expected, rtol=0, atol=1e-14)


@pytest.mark.parametrize("levels", LEVELS[1:])
def test_log_masses_of_extreme_components_are_exact(levels: int):
    conditional = extreme(levels, torch.float64)
    said = all_log_probs(conditional)
    for row, (loc, log_scale) in enumerate(zip(conditional.loc[:, 0].tolist(), conditional.log_scale[:, 0].tolist())):
        for k in {0, 1, levels // 2, levels - 2, levels - 1}:
            assert float(said[row, k]) == pytest.approx(exact_log_mass(k, loc, log_scale, levels), rel=1e-12, abs=1e-11)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_extreme_components_are_finite_and_their_masses_sum_to_one(levels: int, dtype):
    """In float32 up to the rounding of a bin's edge, which the narrowest scale magnifies e^7-fold."""
    said = all_log_probs(extreme(levels, dtype))
    assert said.dtype == torch.float64
    assert said.isfinite().all()
    assert said.max() <= 1e-6
    tolerance = {torch.float32: 2.0**-24 * np.exp(-NARROWEST), torch.float64: 1e-12}[dtype]
    assert (said.exp().sum(-1) - 1).abs().max() < tolerance


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.float32, 1e-6), (torch.float64, 1e-12)], ids=str)
def test_masses_of_mixtures_sum_to_one(levels: int, dtype, tolerance):
    wide = ordinary(40, levels)
    conditional = DiscretisedLogisticMixture(
        wide.weight_logits.to(dtype), wide.loc.to(dtype), wide.log_scale.to(dtype), levels
    )
    assert (all_log_probs(conditional).exp().sum(-1) - 1).abs().max() < tolerance


@pytest.mark.parametrize("make", [lambda k: ordinary(20, k), lambda k: extreme(k, torch.float32)], ids=["some", "far"])
@pytest.mark.parametrize("levels", LEVELS)
def test_as_a_categorical_it_is_the_same_distribution(levels: int, make):
    conditional = make(levels)
    categorical = Categorical(conditional.level_logits())
    assert categorical.batch_shape == conditional.batch_shape
    tolerance = 1e-12 if conditional.loc.dtype == torch.float64 else 1e-5
    normalised = categorical.logits.double().log_softmax(-1)
    torch.testing.assert_close(normalised, all_log_probs(conditional), rtol=1e-6, atol=tolerance)


def test_indexing_takes_members_of_the_batch():
    conditional = DiscretisedLogisticMixture(rand(4, 3, 2), rand(4, 3, 2, seed=1), rand(4, 3, 2, seed=2), 6)
    x = torch.arange(12).reshape(4, 3) % 6
    assert conditional.batch_shape == (4, 3)
    assert torch.equal(conditional[1:, 2].log_prob(x[1:, 2]), conditional.log_prob(x)[1:, 2])


def test_one_level_is_certain():
    conditional = ordinary(5, 1)
    assert torch.equal(conditional.log_prob(torch.zeros(5).long()), torch.zeros(5).double())
    assert conditional.sample(noise(5, 1)).tolist() == [0] * 5


# Gradients


@pytest.mark.parametrize("levels", [2, 5, 256])
def test_gradients_are_those_of_finite_differences(levels: int):
    x = torch.tensor([0, 1, levels // 2, levels - 1])
    parameters = [rand(4, 3, seed=s).requires_grad_() for s in range(3)]
    assert torch.autograd.gradcheck(lambda *p: DiscretisedLogisticMixture(*p, levels).log_prob(x), parameters)


@pytest.mark.parametrize("levels", LEVELS)
@pytest.mark.parametrize("dtype", FLOATS, ids=str)
def test_gradients_of_extreme_components_are_finite(levels: int, dtype):
    conditional = extreme(levels, dtype)
    parameters = conditional.weight_logits, conditional.loc, conditional.log_scale
    for parameter in parameters:
        parameter.requires_grad_()
    all_log_probs(conditional).sum().backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in parameters)


# Draws


@pytest.mark.parametrize("levels", LEVELS)
def test_a_draw_is_the_inverse_distribution_function(levels: int):
    conditional = ordinary(30, levels)
    up_to = cumulative(conditional)
    ends = torch.tensor([2.0**-54, 1e-12, 1e-6, 1 - 1e-6, 1 - 1e-12, 1 - 2.0**-53], dtype=torch.float64)
    for u in torch.cat([ends, noise(300)]).tolist():
        drawn = conditional.sample(torch.full((30, 1), u, dtype=torch.float64)).numpy()
        expected = np.array([np.searchsorted(row, u, side="right") for row in up_to]).clip(max=levels - 1)
        undecided = (np.abs(up_to - u) < 4e-16 * np.minimum(1, 4 * u)).any(1)  # a boundary, up to rounding
        assert undecided.mean() < 0.1 or 1 - u < 1e-15
        np.testing.assert_array_equal(drawn[~undecided], expected[~undecided])


@pytest.mark.parametrize("levels", LEVELS)
def test_draws_just_beside_a_boundary_take_its_two_sides(levels: int):
    conditional = ordinary(30, levels)
    up_to = torch.from_numpy(cumulative(conditional))
    for k in range(0, levels - 1, max(1, levels // 9)):
        boundary = up_to[:, k : k + 1]
        assert (conditional.sample(boundary * (1 - 1e-12)) <= k).all()
        assert (conditional.sample(boundary + (1 - boundary) * 1e-12 + 1e-15) > k).all()


@pytest.mark.parametrize("levels", LEVELS)
def test_draws_of_extreme_components_are_as_likely_as_they_should_be(levels: int):
    """A component far outside gives the first or the last level; the narrowest, at a level's value, that level."""
    conditional = extreme(levels, torch.float32)
    log_p = all_log_probs(conditional)
    for u in (2.0**-54, 0.3, 0.5, 1 - 1e-15):
        drawn = conditional.sample(torch.full((*conditional.batch_shape, 1), u, dtype=torch.float64))
        assert ((drawn >= 0) & (drawn < levels)).all()
        assert (log_p.gather(-1, drawn[:, None]) > np.log(min(u, 1 - u)) - 36).all()


def test_not_even_the_largest_uniform_draws_an_impossible_level():
    shape = (300, 3)
    conditional = DiscretisedLogisticMixture(rand(*shape), torch.full(shape, -0.5), torch.full(shape, NARROWEST), 256)
    drawn = conditional.sample(torch.full((300, 1), 1 - 2.0**-53, dtype=torch.float64))
    assert conditional.log_prob(drawn).min() > -100


@pytest.mark.parametrize("levels", [2, 4, 17, 256])
def test_draws_come_in_their_frequencies(levels: int):
    conditional, n = ordinary(1, levels), 20_000
    members = DiscretisedLogisticMixture(
        *(p.expand(n, 3) for p in (conditional.weight_logits, conditional.loc, conditional.log_scale)), levels
    )
    expected = all_log_probs(conditional)[0].exp().numpy() * n
    counts = np.bincount(members.sample(noise(n, 1, seed=4)).numpy(), minlength=levels)
    rare = expected < 5
    counts, expected = (np.append(v[~rare], v[rare].sum()) for v in (counts, expected))
    keep = expected > 0
    assert stats.chisquare(counts[keep], expected[keep] * n / expected[keep].sum()).pvalue > 1e-4


# Warps


@pytest.mark.parametrize(
    "warp", [Warp(temperature=0.5), Warp(temperature=0.0), Warp(top_k=3), Warp(1.7, 4, 0.9, 0.05)], ids=str
)
def test_a_warp_is_the_warp_of_its_probabilities(warp: Warp):
    conditional = ordinary(12, 7)
    log_p = torch.from_numpy(np.diff(cumulative(conditional), axis=-1, prepend=0.0)).log()
    warped = conditional.warped(warp)
    assert isinstance(warped, Categorical)
    expected = Categorical(log_p).warped(warp)
    torch.testing.assert_close(warped.probabilities(), expected.probabilities(), rtol=0, atol=1e-12)
    u = noise(12, 1)
    assert torch.equal(warped.sample(u), expected.sample(u))


def test_without_a_warp_it_stays_as_it_is():
    conditional = ordinary(3, 5)
    assert conditional.warped(Warp()) is conditional


# PixelCNN++


def softplus(x: np.ndarray) -> np.ndarray:
    return np.logaddexp(0, x)


def pixel_cnn_plus_plus(numbers: np.ndarray, levels: int, coupling: bool) -> np.ndarray:
    """p(r, g, b) of one pixel as Σ_i w_i p_i(r) p_i(g | r) p_i(b | r, g), [K, K, K], from the network's [10, M]."""
    components = numbers.shape[1]
    weight = special.softmax(numbers[0])
    locs = numbers[1:4] + np.linspace(-0.8, 0.8, components)
    scale = np.exp(4 - softplus(4 - (-7 + softplus(numbers[4:7] - 1.5 + 7))))
    g_by_r, b_by_r, b_by_g = np.tanh(numbers[7:10]) if coupling else np.zeros((3, components))
    bottom, top = edges(levels)[:-1], edges(levels)[1:]

    def mass(k: int, loc: np.ndarray, s: np.ndarray) -> np.ndarray:
        return stats.logistic.cdf(top[k], loc, s) - stats.logistic.cdf(bottom[k], loc, s)

    value = np.linspace(-1, 1, levels)
    p = np.zeros((levels,) * 3)
    for r, g, b in itertools.product(range(levels), repeat=3):
        p_r = mass(r, locs[0], scale[0])
        p_g = mass(g, locs[1] + g_by_r * value[r], scale[1])
        p_b = mass(b, locs[2] + b_by_r * value[r] + b_by_g * value[g], scale[2])
        if coupling:
            p[r, g, b] = (weight * p_r * p_g * p_b).sum()
        else:
            p[r, g, b] = (weight * p_r).sum() * (weight * p_g).sum() * (weight * p_b).sum()
    return p


def shaken_head(levels: int, coupling: bool) -> LogisticPixelHead:
    head = LogisticPixelHead(levels, 3, width=6, components=4, coupling=coupling).double()
    with torch.no_grad():
        for seed, parameter in enumerate(head.parameters()):
            parameter.copy_(rand(*parameter.shape, seed=seed))
    head.spread = torch.linspace(-0.8, 0.8, 4, dtype=torch.float64)  # not its float32 rounding
    return head


@torch.no_grad()
@pytest.mark.parametrize("coupling", [True, False], ids=["coupled", "independent"])
def test_conditionals_of_a_pixel_multiply_to_the_mixture_of_whole_pixels(coupling: bool):
    levels = 5
    head = shaken_head(levels, coupling)
    every = torch.cartesian_prod(*[torch.arange(levels)] * 3)  # [125, 3]
    for h in rand(3, 6, seed=9):
        numbers = head.out(torch.nn.functional.silu(head.hidden(h)))
        rows = 10 if coupling else 7
        expected = pixel_cnn_plus_plus(numbers.reshape(rows, 4).numpy(), levels, coupling).reshape(-1)
        at_once = head(h.expand(125, 1, 6), every[:, None]).log_prob(every).sum(-1)
        np.testing.assert_allclose(at_once.exp().numpy(), expected, rtol=0, atol=1e-13)
        assert float(at_once.exp().sum()) == pytest.approx(1, abs=1e-12)
        stepwise = [head.channel(h.expand(125, 6), every[:, :c], 0).log_prob(every[:, c]) for c in range(3)]
        torch.testing.assert_close(sum(stepwise), at_once, rtol=0, atol=1e-12)


@torch.no_grad()
def test_pixels_drawn_channel_by_channel_come_in_the_joint_frequencies():
    head, h, n = shaken_head(3, coupling=True), rand(1, 6, seed=9), 20_000
    drawn = torch.zeros(n, 0, dtype=torch.long)
    for c in range(3):
        conditional = head.channel(h.expand(n, 6), drawn, 0)
        drawn = torch.cat([drawn, conditional.sample(noise(n, 1, seed=c))[:, None]], 1)
    numbers = head.out(torch.nn.functional.silu(head.hidden(h[0]))).reshape(10, 4).numpy()
    expected = pixel_cnn_plus_plus(numbers, 3, coupling=True).reshape(-1) * n
    counts = np.bincount(drawn @ torch.tensor([9, 3, 1]), minlength=27)
    rare = expected < 5
    counts, expected = (np.append(v[~rare], v[rare].sum()) for v in (counts, expected))
    assert stats.chisquare(counts, expected).pvalue > 1e-4
