"""Decoders: an autoregressive model's conditionals one dimension at a time."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ptheta.distributions import Distribution

if TYPE_CHECKING:
    from ptheta.models.autoregressive import Autoregressive


class Decoder(ABC):
    """Conditionals one at a time, never recomputing the past."""

    @abstractmethod
    def step(self, previous: Tensor | None) -> Distribution:
        """p(x_j | x_<j) over [n].

        Args:
            previous: the values [n] that x_{j−1} took; None at the first step.
        """

    def prefill(self, values: Tensor) -> Distribution:
        """Read the first values [n, k] at once; returns the conditional that follows them, over [n]."""
        conditional = self.step(None)
        for previous in values.unbind(1):
            conditional = self.step(previous)
        return conditional

    def settled(self, previous: Tensor) -> Tensor | None:
        """The value of all later dimensions [n], if the values x_{j−1} [n] leave no doubt; else None."""
        return None


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
