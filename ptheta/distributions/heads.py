"""Heads: how a network's outputs become a conditional.

A network that models m dimensions outputs [n, m, head.size] numbers; the head turns them into a `Distribution` over
[n, m] in the units of the events. Which head fits is decided by the space alone.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn

from ptheta.distributions.base import Distribution
from ptheta.distributions.categorical import Categorical
from ptheta.distributions.mixture import GaussianMixture, LogisticMixture, components
from ptheta.spaces import Discrete, Real, Space

MAX_LOG_SCALE = 7.0
"""Ceiling of a component's log scale, in units of the column's standard deviation: an outlier cannot widen what follows
it beyond the range of numbers."""

MixtureKind = Literal["logistic", "gaussian"]


class Head(nn.Module):
    """Turns numbers [..., size] into a distribution over [...]."""

    size: int
    noise_size: int

    def forward(self, outputs: Tensor, step: int | None = None) -> Distribution:
        """The conditionals.

        Args:
            outputs: [n, m, size] in visiting order, or [n, size] for dimension number `step` of that order.
        """
        raise NotImplementedError


class CategoricalHead(Head):
    """Softmax over the levels; a dimension's missing levels get probability 0.

    Args:
        space: of the events.
        order: visiting order [m].
    """

    noise_size = Categorical.noise_size
    allowed: Tensor | None

    def __init__(self, space: Discrete, order: Tensor):
        super().__init__()
        self.size = space.levels
        allowed = space.allowed()
        self.register_buffer("allowed", None if allowed is None else allowed[order], persistent=False)

    def forward(self, outputs: Tensor, step: int | slice | Tensor | None = None) -> Categorical:
        """Categorical over [n, m], or [n]; `step` may be [n, m] numbers of dimensions where the order varies."""
        if self.allowed is not None:
            allowed = self.allowed if step is None else self.allowed[step]
            outputs = outputs.masked_fill(~allowed, -torch.inf)
        return Categorical(outputs)


class MixtureHead(Head):
    """Mixture of C Gaussians or logistics in the units of the events.

    The outputs describe standardised values z = (x − shift) / scale; the change of variables is done on the mixture's
    own parameters, so its density is already in units of x.

    Args:
        dimensions: m.
        kind: `logistic` or `gaussian`.
        components: C.
    """

    shift: Tensor
    log_unit: Tensor

    def __init__(self, dimensions: int, kind: MixtureKind, components: int):
        super().__init__()
        self.family = {"logistic": LogisticMixture, "gaussian": GaussianMixture}[kind]
        self.noise_size = self.family.noise_size
        self.size = 3 * components
        self.register_buffer("shift", torch.zeros(dimensions, dtype=torch.float64))
        self.register_buffer("log_unit", torch.zeros(dimensions, dtype=torch.float64))

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Follow the model to a device, but stay in float64 whatever the model's type."""
        return super()._apply(lambda tensor: tensor.to(fn(tensor).device), recurse)

    def standardise(self, shift: Tensor, unit: Tensor) -> None:
        """Set the location and unit [m] (visiting order) in which the network sees every dimension."""
        self.shift.copy_(shift)
        self.log_unit.copy_(unit.log())

    def inputs(self, x: Tensor, step: int | None = None) -> Tensor:
        """(x − shift) / unit for x [n, m] in visiting order, or [n] of dimension `step`; float64."""
        index = slice(None) if step is None else step
        return (x - self.shift[index]) * torch.exp(-self.log_unit[index])

    def forward(self, outputs: Tensor, step: int | None = None):
        """Mixture over [n, m], or [n]."""
        index = slice(None) if step is None else step
        shift, log_unit = self.shift[index][..., None], self.log_unit[index][..., None]  # [m, 1] or [1]
        weight_logits, loc, log_scale = components(outputs.double(), MAX_LOG_SCALE)
        return self.family(weight_logits, shift + log_unit.exp() * loc, log_scale + log_unit)


def head_for(space: Space, order: Tensor, mixture: MixtureKind, components: int) -> Head:
    """The head that fits the space: softmax for discrete events, a mixture for real ones."""
    if isinstance(space, Discrete):
        return CategoricalHead(space, order)
    if isinstance(space, Real):
        return MixtureHead(space.dimensions, mixture, components)
    raise NotImplementedError(f"no conditional for {space}")
