"""Categorical conditionals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.distributions.base import Distribution, Spelling
from ptheta.distributions.warps import Warp


class Categorical(Distribution):
    """Levels 0 … K − 1 with probabilities softmax(logits).

    Args:
        logits: [*batch_shape, K]; −∞ for impossible levels, but not for all of them.

    >>> import torch
    >>> Categorical(torch.zeros(2, 4)).log_prob(torch.tensor([0, 3])).exp()
    tensor([0.2500, 0.2500], dtype=torch.float64)
    """

    def __init__(self, logits: Tensor):
        self.logits = logits

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """Shape of the batch."""
        return tuple(self.logits.shape[:-1])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, float64; −∞ where the level is impossible."""
        nll = F.cross_entropy(self.logits.reshape(-1, self.logits.shape[-1]), x.reshape(-1), reduction="none")
        return -nll.reshape(x.shape).double()

    def smoothed_log_prob(self, x: Tensor, smoothing: float) -> Tensor:
        """See the base."""
        possible = self.logits > -torch.inf
        total = torch.where(possible, self.logits, 0.0).sum(-1) / possible.sum(-1) - self.logits.logsumexp(-1)
        return (1 - smoothing) * self.log_prob(x) + smoothing * total.double()

    def probabilities(self) -> Tensor:
        """p [*batch_shape, K], float64."""
        return self.logits.double().softmax(-1)

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x), or P(X < x), float64."""
        p = self.probabilities()
        up_to = p.cumsum(-1).gather(-1, x.unsqueeze(-1))
        mass = p.gather(-1, x.unsqueeze(-1))
        return (up_to - mass if below else up_to).squeeze(-1).clamp(0, 1)

    def entropy(self) -> Tensor:
        """Entropy in nats, float64 [*batch_shape]."""
        p = self.probabilities()
        return -torch.special.xlogy(p, p).sum(-1)

    def sample(self, noise: Tensor) -> Tensor:
        """Inverse distribution function at the uniforms [*batch_shape, 1]; never a level of probability 0."""
        cdf = self.probabilities().cumsum(-1)
        cdf = cdf / cdf[..., -1:]
        return torch.searchsorted(cdf, noise.to(cdf).contiguous(), right=True).squeeze(-1)

    def level_logits(self) -> Tensor:
        """The logits."""
        return self.logits

    def spelled(self, values: Tensor | None) -> Spelling:
        """One symbol: the level."""
        return (yield self.logits.cpu().double().softmax(-1), values)

    @classmethod
    def mix(cls, parts: Sequence[Self], log_weights: Tensor) -> Categorical:
        """The categorical whose probabilities are Σ_k w_k p_k."""
        mixed: Tensor | None = None
        for part, log_weight in zip(parts, log_weights, strict=True):  # one after the other: logits may be many
            one = part.logits.log_softmax(-1) + log_weight[..., None].to(part.logits.dtype)
            mixed = one if mixed is None else torch.logaddexp(mixed, one)
        assert mixed is not None
        return Categorical(mixed)

    def __getitem__(self, index) -> Self:
        return type(self)(self.logits[index])

    def warped(self, warp: Warp) -> Self:
        """Reshaped by temperature, top-k, top-p and min-p, computed in float64."""
        return self if warp.is_identity else type(self)(warp(self.logits.double()))
