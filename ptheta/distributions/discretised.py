"""Discretised mixtures of logistics: conditionals of ordered levels (Salimans et al. 2017, PixelCNN++).

Level k of K stands for the value x_k = −1 + k δ with δ = 2 / (K − 1); its probability is the mass that a mixture of
logistic densities puts on its bin [x_k − δ/2, x_k + δ/2], where the first and the last bin reach to ∓∞. What is drawn
is a level, with exactly that probability: nothing is drawn in between and rounded afterwards.
"""

from __future__ import annotations

from typing import Self

import torch
from torch import Tensor
from torch.nn import functional as F

from ptheta.distributions.base import Distribution, Spelling
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.mixture import LogisticMixture, log_factors
from ptheta.distributions.warps import Warp


class DiscretisedLogisticMixture(LogisticMixture):
    """Levels 0 … K − 1 with the bins' masses under a mixture of C logistics.

    Args:
        weight_logits, loc, log_scale: [*batch_shape, C]; loc and scale in the units of x_k, −1 to 1.
        levels: K.

    >>> import torch
    >>> zero = torch.zeros(4, 1)
    >>> DiscretisedLogisticMixture(zero, zero, zero, 4).log_prob(torch.arange(4)).exp()
    tensor([0.3392, 0.1608, 0.1608, 0.3392], dtype=torch.float64)
    """

    noise_size = 1

    def __init__(self, weight_logits: Tensor, loc: Tensor, log_scale: Tensor, levels: int):
        super().__init__(weight_logits, loc, log_scale)
        self.levels = levels

    def log_prob(self, x: Tensor) -> Tensor:
        """log p(x) in nats, float64."""
        joint = self.log_weight + bin_log_mass(x[..., None], self.loc, self.log_scale, self.levels)
        return joint.logsumexp(-1).double()

    def sample(self, noise: Tensor) -> Tensor:
        """Inverse distribution function at the uniforms [*batch_shape, 1], by bisection in float64."""
        u = noise.to(self.loc.device)[..., 0]
        total = self.weight.sum(-1)  # 1 up to rounding, which must not leave mass above the last level that has any
        loc, scale = self.loc.double(), self.log_scale.double().exp()
        low = torch.zeros(self.batch_shape, dtype=torch.long, device=u.device)
        high = torch.full_like(low, self.levels - 1)
        for _ in range((self.levels - 1).bit_length()):
            middle = (low + high) // 2
            upper_edge = level_value(middle.double() + 0.5, self.levels)[..., None]
            above = (self.weight * torch.sigmoid((upper_edge - loc) / scale)).sum(-1) / total > u
            high = torch.where(above, middle, high)
            low = torch.where(above, low, torch.minimum(middle + 1, high))
        return low

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x), or P(X < x), float64: the mixture's own distribution function at the edge of the bin."""
        edge = level_value(x.double() + (-0.5 if below else 0.5), self.levels)[..., None]
        loc, scale = self.loc.double(), self.log_scale.double().exp()
        inside = (self.weight * torch.sigmoid((edge - loc) / scale)).sum(-1)
        end = (x <= 0, 0.0) if below else (x >= self.levels - 1, 1.0)
        return torch.where(end[0], end[1], inside)

    def level_logits(self) -> Tensor:
        """Log-masses of the bins, all components together."""
        levels = torch.arange(self.levels, device=self.loc.device)  # [K]
        logits: Tensor | None = None
        for c in range(self.loc.shape[-1]):  # one component after the other: [*batch, K, C] would be large
            one = slice(c, c + 1)
            mass = bin_log_mass(levels, self.loc[..., one], self.log_scale[..., one], self.levels)
            joint = self.log_weight[..., one] + mass
            logits = joint if logits is None else torch.logaddexp(logits, joint)
        assert logits is not None
        return logits

    def spelled(self, values: Tensor | None) -> Spelling:
        """One symbol: the level.

        Its probabilities are differences of the distribution function in float64: much faster than logs of all masses,
        and a coder knows no probabilities below 2^−24.
        """
        weight = self.weight.cpu()
        loc, narrowness = self.loc.double().cpu(), torch.exp(-self.log_scale.double()).cpu()
        edges = level_value(torch.arange(self.levels - 1) + 0.5, self.levels)  # [K − 1]
        below = torch.sigmoid((edges - loc[..., None]) * narrowness[..., None])  # [n, C, K − 1]
        cdf = F.pad((weight[..., None, :] @ below)[..., 0, :], (1, 0))
        p = torch.cat([cdf, torch.ones_like(cdf[..., :1])], -1).diff(dim=-1).clamp(min=0)
        return (yield p / p.sum(-1, keepdim=True), values)

    def _with(self, weight_logits: Tensor, loc: Tensor, log_scale: Tensor) -> Self:
        return type(self)(weight_logits, loc, log_scale, self.levels)

    def warped(self, warp: Warp) -> Distribution:
        """Reshaped by temperature, top-k, top-p and min-p: a categorical, unless nothing changes."""
        return self if warp.is_identity else Categorical(self.level_logits()).warped(warp)


def level_value(k: Tensor, levels: int) -> Tensor:
    """x_k = −1 + k δ, float64."""
    return k.double() * (2.0 / max(levels - 1, 1)) - 1.0


def bin_log_mass(k: Tensor, loc: Tensor, log_scale: Tensor, levels: int) -> Tensor:
    """Log of the mass that logistics put on the bins of levels k; shapes broadcast. See `log_factors`."""
    narrowness = torch.exp(-log_scale)
    half = 1.0 / max(levels - 1, 1)  # δ / 2
    distance = (level_value(k, levels) - loc).to(loc.dtype)  # subtracted in float64: narrowness magnifies its rounding
    centre, width = distance * narrowness, half * narrowness
    below_top, above_bottom = k < levels - 1, k > 0
    zero = torch.zeros((), dtype=loc.dtype, device=loc.device)
    top, bottom, between = log_factors(centre + width, width - centre, 2 * width)
    return (
        torch.where(below_top, top, zero)
        + torch.where(above_bottom, bottom, zero)
        + torch.where(below_top & above_bottom, between, zero)
    )
