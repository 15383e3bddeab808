"""A model made of two models: what a family with parts needs to write."""

import math

import torch

from ptheta.models import MADE, Density, Model
from ptheta.spaces import Discrete


class ToyBlend(Model):
    """share · p₁(x) + (1 − share) · p₂(x).

    Args:
        space: discrete.
        first, second: over the same space; small ones if left out.
        share: of the first.
    """

    spaces = (Discrete,)
    context_spaces = ()

    def __init__(
        self, space, context_space=None, *, first: Model | None = None, second: Model | None = None, share: float = 0.5
    ):
        super().__init__(space, context_space)
        self.first = MADE(space, width=8) if first is None else first
        self.second = MADE(space, width=8) if second is None else second
        self.share = share
        self.density = Density.weakest(self.first.density, self.second.density)

    def _log_prob(self, x, context):
        one, other = self.first._log_prob(x, None), self.second._log_prob(x, None)
        return torch.logaddexp(one + math.log(self.share), other + math.log1p(-self.share))

    def _sample(self, n, context, generator):
        chosen = torch.rand(n, generator=generator) < self.share
        drawn = [part.sample(n, generator=generator) for part in (self.first, self.second)]
        return torch.where(chosen.reshape(n, *(1,) * len(self.space.shape)), *drawn)
