"""Implicit models: events as a function of noise, learned against an opponent (Goodfellow et al. 2014).

A family gives `_generate`, from noise to signals, and `_opponent`, a network that scores signals; everything else is
here. A signal is an event as a network sees it: levels as numbers from −1 to 1, real values standardised.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from ptheta.models.base import Model
from ptheta.models.building import seeded
from ptheta.models.density import Density
from ptheta.models.inputs import Mapped, as_signal, moments
from ptheta.spaces import Discrete, Real, Space


class Adversarial(Model):
    """Base of the families without a density.

    Args:
        space: levels, which are taken as numbers, or real values.
        context_space: of the context.
    """

    density = Density.IMPLICIT
    objective = "adversarial"
    spaces = (Discrete, Real)

    most: Tensor
    shift: Tensor
    unit: Tensor

    def __init__(self, space: Space, context_space: Space | None = None):
        super().__init__(space, context_space)
        self.levels = space.levels if isinstance(space, Discrete) else None
        sizes = (space.sizes if isinstance(space, Discrete) else None) or (self.levels or 1,) * space.dimensions
        self.register_buffer("most", torch.tensor(sizes, dtype=torch.float64) - 1, persistent=False)  # levels
        self.register_buffer("shift", torch.zeros(space.dimensions, dtype=torch.float64))
        self.register_buffer("unit", torch.ones(space.dimensions, dtype=torch.float64))

    # What a family gives

    @abstractmethod
    def _generate(self, noise: Tensor, context: Tensor | None) -> Tensor:
        """Signals [n, *space.shape] from standard normals [n, noise_size], differentiable."""

    @abstractmethod
    def _opponent(self) -> nn.Module:
        """A module of (signals [n, *space.shape], context) → scores [n], high for what it takes for training events."""

    # What every such model has

    def opponent(self, seed: int) -> nn.Module:
        """A new opponent, where the model computes; the global random state is untouched."""
        with seeded(seed):
            return self._opponent().to(self.device, self.dtype)

    def generate(self, n: int, context: Tensor | None) -> Tensor:
        """n signals [n, *space.shape], with noise from the device's own generator; differentiable."""
        return self._generate(torch.randn(n, self.noise_size, device=self.device, dtype=self.dtype), context)

    def signal(self, x: Tensor) -> Tensor:
        """Events [n, *space.shape] as signals."""
        if self.levels is not None:
            return as_signal(x, self.levels, self.dtype)
        flat = (x.double().reshape(len(x), self.space.dimensions) - self.shift) / self.unit
        return flat.reshape(x.shape).to(self.dtype)

    def event(self, signal: Tensor) -> Tensor:
        """The events nearest to signals [n, *space.shape]."""
        if self.levels is None:
            flat = signal.double().reshape(len(signal), self.space.dimensions) * self.unit + self.shift
            return flat.reshape(signal.shape)
        flat = (signal.double().reshape(len(signal), self.space.dimensions) + 1) * (max(self.levels - 1, 1) / 2)
        return flat.round().clamp(min=0).minimum(self.most).long().reshape(signal.shape)

    def _prepare(self, chunks: Iterable[Tensor]) -> None:
        """Moments of the training events, where they are real."""
        if self.levels is None:
            shift, unit = moments(Mapped(lambda x: x.reshape(len(x), -1), chunks))
            self.shift.copy_(shift)
            self.unit.copy_(unit)

    def _sample(self, n: int, context: Tensor | None, generator: torch.Generator) -> Tensor:
        noise = torch.randn(n, self.noise_size, generator=generator, dtype=torch.float64)
        return self.event(self._generate(noise.to(self.device, self.dtype), context))

    def _apply(self, fn, recurse: bool = True):
        """Follow the model to a device, but keep the moments in float64, whatever the model's type."""
        own = {name: getattr(self, name) for name in ("most", "shift", "unit")}
        super()._apply(fn, recurse)
        for name, tensor in own.items():
            setattr(self, name, tensor.to(getattr(self, name).device))
        return self
