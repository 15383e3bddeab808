"""Mixtures of Gaussians or logistics: conditionals of real values."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.distributions.base import Distribution


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

    def log_prob(self, x: Tensor) -> Tensor:
        """Log density in nats per unit of x, float64."""
        z = (x[..., None].to(self.loc.dtype) - self.loc) * torch.exp(-self.log_scale)  # [*batch, C]
        per_component = self.weight_logits.log_softmax(-1) + self.standard_log_density(z) - self.log_scale
        return per_component.double().logsumexp(-1)

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x) = P(X < x), float64."""
        z = (x[..., None].double() - self.loc.double()) * torch.exp(-self.log_scale.double())
        return (self.weight_logits.double().softmax(-1) * self.standard_cdf(z)).sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """Values from uniforms [*batch_shape, 2], in the parameters' dtype."""
        noise = noise.to(self.loc.device)
        cdf = self.weight_logits.double().softmax(-1).cumsum(-1)
        component = (cdf / cdf[..., -1:] <= noise[..., :1]).sum(-1, keepdim=True)
        loc = self.loc.gather(-1, component)[..., 0].double()
        scale = self.log_scale.gather(-1, component)[..., 0].double().exp()
        return (loc + scale * self.standard_quantile(noise[..., 1])).to(self.loc.dtype)

    def __getitem__(self, index) -> Self:
        return type(self)(self.weight_logits[index], self.loc[index], self.log_scale[index])


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
    """Mixture of logistic densities, e^{−z} / (1 + e^{−z})²."""

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
