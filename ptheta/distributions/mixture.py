"""Mixtures of Gaussians or logistics: conditionals of real values, and what levels and cells are made of."""

from __future__ import annotations

import functools
import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.distributions.base import Distribution

MIN_LOG_SCALE = -7.0
"""Floor of a component's log scale, in units of the values' own spread (a column's standard deviation, half a range of
levels): no density spikes narrower than 0.1 % of it, so a repeated value cannot raise the likelihood without bound."""


def components(outputs: Tensor, max_log_scale: float) -> tuple[Tensor, Tensor, Tensor]:
    """Weight logits, locations and log scales [..., C] from a network's outputs [..., 3C]; locations start apart."""
    weight_logits, loc, log_scale = outputs.chunk(3, -1)
    spread = torch.linspace(-1.5, 1.5, loc.shape[-1], device=loc.device, dtype=loc.dtype)
    return weight_logits, loc + spread, bounded(log_scale, max_log_scale)


def bounded(log_scale: Tensor, most: float) -> Tensor:
    """Log scales kept above `MIN_LOG_SCALE` and below `most`, smoothly."""
    log_scale = MIN_LOG_SCALE + F.softplus(log_scale - MIN_LOG_SCALE)
    return most - F.softplus(most - log_scale)


class LocationScaleMixture(Distribution):
    """Σ_c w_c f((x − loc_c) / scale_c) / scale_c for a standard density f that a subclass gives.

    Args:
        weight_logits, loc, log_scale: [*batch_shape, C] for C components; w = softmax(weight_logits).
    """

    noise_size = 2  # one uniform chooses the component, one the value in it

    def __init__(self, weight_logits: Tensor, loc: Tensor, log_scale: Tensor):
        self.weight_logits = weight_logits
        self.loc = loc
        self.log_scale = log_scale

    @staticmethod
    @abstractmethod
    def standard_log_density(z: Tensor) -> Tensor:
        """log f(z)."""

    @staticmethod
    @abstractmethod
    def standard_cdf(z: Tensor) -> Tensor:
        """f's distribution function."""

    @staticmethod
    @abstractmethod
    def standard_quantile(u: Tensor) -> Tensor:
        """Inverse of f's distribution function."""

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.loc.shape[:-1])

    @functools.cached_property
    def log_weight(self) -> Tensor:
        """log w [*batch_shape, C], in the parameters' own type."""
        return self.weight_logits.log_softmax(-1)

    @functools.cached_property
    def weight(self) -> Tensor:
        """w [*batch_shape, C], float64."""
        return self.weight_logits.double().softmax(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats per unit of x, float64."""
        z = (x[..., None].to(self.loc.dtype) - self.loc) * torch.exp(-self.log_scale)  # [*batch, C]
        per_component = self.log_weight + self.standard_log_density(z) - self.log_scale
        return per_component.double().logsumexp(-1)

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x) = P(X < x), float64."""
        z = (x[..., None].double() - self.loc.double()) * torch.exp(-self.log_scale.double())
        return (self.weight * self.standard_cdf(z)).sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """Values from uniforms [*batch_shape, 2], in the parameters' dtype."""
        noise = noise.to(self.loc.device)
        component = chosen(self.weight, noise[..., :1])
        loc = self.loc.gather(-1, component)[..., 0].double()
        scale = self.log_scale.gather(-1, component)[..., 0].double().exp()
        return (loc + scale * self.standard_quantile(noise[..., 1])).to(self.loc.dtype)

    @classmethod
    def mix(cls, parts: Sequence[Self], log_weights: Tensor) -> Self:
        """All components of all parts."""
        return parts[0]._with(*joined([part.weighted() for part in parts], log_weights))

    def weighted(self) -> tuple[Tensor, Tensor, Tensor]:
        """Log weights that are normalised, locations and log scales, [*batch_shape, C] each."""
        return self.log_weight, self.loc, self.log_scale

    def _with(self, weight_logits: Tensor, loc: Tensor, log_scale: Tensor) -> Self:
        """A distribution of the same class with other components."""
        return type(self)(weight_logits, loc, log_scale)

    def __getitem__(self, index) -> Self:
        return self._with(self.weight_logits[index], self.loc[index], self.log_scale[index])


def joined(parts: Sequence[tuple[Tensor, Tensor, Tensor]], log_weights: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Components [..., C] of K mixtures as those of one, [..., K C], by log weights [K, ...] of the mixtures."""
    logits, loc, log_scale = zip(*parts, strict=True)
    weighted = [one + log_weight[..., None].to(one.dtype) for one, log_weight in zip(logits, log_weights, strict=True)]
    return torch.cat(weighted, -1), torch.cat(loc, -1), torch.cat(log_scale, -1)


def chosen(weight: Tensor, noise: Tensor) -> Tensor:
    """The component [..., 1] that a uniform [..., 1] chooses by weights [..., C]."""
    cdf = weight.cumsum(-1)
    return (cdf / cdf[..., -1:] <= noise).sum(-1, keepdim=True)


class GaussianMixture(LocationScaleMixture):
    """Mixture of normal densities.

    >>> import torch
    >>> zero = torch.zeros(1, 1, dtype=torch.float64)
    >>> GaussianMixture(zero, zero, zero).log_prob(torch.zeros(1)).exp()
    tensor([0.3989], dtype=torch.float64)
    """

    @staticmethod
    def standard_log_density(z: Tensor) -> Tensor:
        """−z²/2 − log √(2π)."""
        return -0.5 * z * z - 0.5 * math.log(2 * math.pi)

    @staticmethod
    def standard_cdf(z: Tensor) -> Tensor:
        """Φ(z)."""
        return torch.special.ndtr(z)

    @staticmethod
    def standard_quantile(u: Tensor) -> Tensor:
        """Normal quantile."""
        return torch.special.ndtri(u)


class LogisticMixture(LocationScaleMixture):
    """Mixture of logistic densities, e^{−z} / (1 + e^{−z})², and its masses.

    The masses of intervals, of levels and of tails are logs whose terms are all stable.
    """

    @staticmethod
    def standard_log_density(z: Tensor) -> Tensor:
        """−z − 2 log(1 + e^{−z}), written to be symmetric and stable."""
        return -F.softplus(z) - F.softplus(-z)

    @staticmethod
    def standard_cdf(z: Tensor) -> Tensor:
        """σ(z)."""
        return torch.sigmoid(z)

    @staticmethod
    def standard_quantile(u: Tensor) -> Tensor:
        """Logit."""
        return torch.logit(u)

    def standardised(self, y: Tensor, narrowness: Tensor | None = None) -> Tensor:
        """(y − loc) / scale of every component, [..., C] in the parameters' type; subtracted in the type of y."""
        narrowness = torch.exp(-self.log_scale) if narrowness is None else narrowness
        return ((y[..., None] - self.loc) * narrowness).to(self.loc.dtype)

    def log_density(self, y: Tensor) -> Tensor:
        """As `log_prob`, but summed in the parameters' own type; [...] float64."""
        z = self.standardised(y)
        return (self.log_weight - F.softplus(z) - F.softplus(-z) - self.log_scale).logsumexp(-1).double()

    def log_mass(self, low: Tensor, high: Tensor) -> Tensor:
        """log P(low < y ≤ high) for low < high, [...] float64."""
        narrowness = torch.exp(-self.log_scale)
        wide = ((high - low)[..., None] * narrowness).to(self.loc.dtype)
        top, bottom = self.standardised(high, narrowness), self.standardised(low, narrowness)
        above = torch.where(wide > 1, -bottom, wide - top)  # the latter would cancel in wide bins, the former in narrow
        below_top, above_bottom, between = log_factors(top, above, wide.clamp(min=1e-30))
        return (self.log_weight + (below_top + above_bottom + between)).logsumexp(-1).double()

    def log_survival(self, low: Tensor | None) -> Tensor:
        """log P(y > low) of every component with its weight, [..., C]; None: of all y."""
        return self.log_weight if low is None else self.log_weight + F.logsigmoid(-self.standardised(low))

    def sample_above(self, noise: Tensor, low: Tensor | None) -> Tensor:
        """y > low, if there is such a bound, from uniforms [..., 2], float64."""
        survival = self.log_survival(low).double()
        component = chosen(survival.softmax(-1), noise[..., :1])
        loc, log_scale = (t.double().gather(-1, component)[..., 0] for t in (self.loc, self.log_scale))
        log_above = (survival - self.log_weight).gather(-1, component)[..., 0] + noise[..., 1].log()  # of the value
        return loc + log_scale.exp() * (torch.log(-torch.expm1(log_above)) - log_above)


def log_factors(top: Tensor, above: Tensor, wide: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Logs of three factors whose product is the mass that a standard logistic puts between two edges.

    With a and b the upper and the lower edge, σ(a) − σ(b) = σ(a) · σ(−b) · (1 − e^{b − a}): no cancellation in narrow
    bins, and no special cases for distant ones.

    Args:
        top: a.
        above: −b.
        wide: a − b, above 0.
    """
    return F.logsigmoid(top), F.logsigmoid(above), torch.log(-torch.expm1(-wide))
