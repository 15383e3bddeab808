"""The slow decoder that the others are held equal to."""

from __future__ import annotations

import torch
from torch import Tensor

from ptheta.distributions import Distribution
from ptheta.models.autoregressive.base import Autoregressive
from ptheta.sampling.decoding import Decoder


class ConditionalsDecoder(Decoder):
    """A decoder that runs all conditionals at every step: the slow reference that caches are tested against.

    Args:
        model: any autoregressive model.
        n: events.
        context: validated, n rows.
    """

    def __init__(self, model: Autoregressive, n: int, context: Tensor | None):
        self.model, self.context, self.j = model, context, -1
        self.z = torch.zeros(n, model.space.dimensions, dtype=model.event_dtype, device=model.device)

    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) by a full pass."""
        if previous is not None:
            self.z[:, self.j] = previous
        self.j += 1
        return self.model._conditionals(self.z, self.context)[:, self.j]
