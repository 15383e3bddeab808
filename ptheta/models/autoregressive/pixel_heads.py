"""From a pixel's features to the conditionals of its channels: p(r | ·), p(g | r, ·), p(b | r, g, ·)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.distributions import (
    Categorical,
    DiscretisedLogisticMixture,
    Distribution,
    bin_log_mass,
    bounded,
    level_value,
)
from ptheta.models.inputs import marginal_logits
from ptheta.models.levels import OrdinalLogits, level_embedding
from ptheta.nn import Layers
from ptheta.spaces import Discrete

MAX_LOG_SCALE = 4.0
"""Of a logistic component, in units of half the range of levels: 50 times it."""


class PixelHead(nn.Module, ABC):
    """Conditionals of a pixel's channels, each given the channels before it if they are coupled.

    Args:
        channels: C.
        coupling: whether a channel's conditional depends on the pixel's earlier channels.
    """

    def __init__(self, channels: int, coupling: bool):
        super().__init__()
        self.channels, self.coupling = channels, coupling

    def forward(self, h: Tensor, z: Tensor, first: int = 0) -> Distribution:
        """Conditionals over [n, P · C] from features [n, P, width] and values [n, P, C] of pixels from `first` on."""
        with torch.autocast(h.device.type, enabled=False):  # bfloat16 has fewer digits than a picture has levels
            numbers = self._numbers(h.float() if h.dtype == torch.bfloat16 else h)
            each = [self._channel(numbers, c, z, slice(first, None)) for c in range(self.channels)]
        stacked = [torch.stack(same, 2).flatten(1, 2) for same in zip(*each)]
        return self._distribution(*stacked)

    def channel(self, h: Tensor, before: Tensor, pixel: int) -> Distribution:
        """The conditional over [n] of the next channel of a pixel, from its features [n, width].

        Args:
            h: features.
            before: values of the pixel's earlier channels [n, c].
            pixel: its number in visiting order.
        """
        return self._distribution(*self._channel(self._numbers(h), before.shape[-1], before, pixel))

    def prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start near the training events, in chunks z [k, m]."""

    @abstractmethod
    def _numbers(self, h: Tensor) -> Any:
        """What all channels of a pixel share, from its features [..., width]."""

    @abstractmethod
    def _channel(self, numbers: Any, c: int, before: Tensor, pixel: int | slice) -> tuple[Tensor, ...]:
        """Parameters [..., D] of channel c's conditional in one pixel, or in the pixels of a slice.

        Args:
            numbers: from `_numbers`.
            c: channel.
            before: values [..., at least c] of the earlier channels.
            pixel: number, or numbers, in visiting order.
        """

    @abstractmethod
    def _distribution(self, *parameters: Tensor) -> Distribution: ...


class CategoricalPixelHead(PixelHead):
    """A softmax over the levels for each channel; earlier channels enter by embeddings of their values.

    Args:
        space: of the events.
        channels: C of a pixel.
        width: of the features.
        rank: see `OrdinalLogits`.
        coupling: see `PixelHead`.
    """

    def __init__(self, space: Discrete, channels: int, width: int, rank: int, coupling: bool):
        super().__init__(channels, coupling)
        self.levels = OrdinalLogits(space.dimensions, space.levels, rank)
        self.hidden: Layers[nn.Linear] = Layers(nn.Linear(width, width) for _ in range(channels))
        self.out: Layers[nn.Linear] = Layers(nn.Linear(width, self.levels.rank) for _ in range(channels))
        pairs = [(c, b) for c in range(channels) for b in range(c)] if coupling else []
        self.earlier = nn.ModuleDict({f"{c}-{b}": level_embedding(space, width, std=0.1) for c, b in pairs})
        for layer in self.out:
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def prepare(self, chunks: Iterable[Tensor]) -> None:
        """Start at the marginals."""
        self.levels.start_at(marginal_logits(chunks, self.levels.bias.shape[1]))

    def _numbers(self, h: Tensor) -> Tensor:
        return h

    def _channel(self, numbers: Tensor, c: int, before: Tensor, pixel: int | slice) -> tuple[Tensor, ...]:
        hidden = self.hidden[c](numbers)
        for b in range(c if self.coupling else 0):
            hidden = hidden + self.earlier[f"{c}-{b}"](before[..., b])
        if isinstance(pixel, slice):
            slots = slice(pixel.start * self.channels + c, None, self.channels)
        else:
            slots = pixel * self.channels + c
        return (self.levels(self.out[c](F.silu(hidden)), slots),)

    def _distribution(self, *parameters: Tensor) -> Categorical:
        return Categorical(*parameters)


class LogisticPixelHead(PixelHead):
    """A mixture of M components for the whole pixel, each a product of discretised logistics (Salimans et al. 2017).

    With coupling, a component's location in a channel moves linearly with the earlier channels' values, and all
    channels share one choice of component: Σ_i w_i p_i(r) p_i(g | r) p_i(b | r, g). Its conditionals are mixtures of
    the same components, whose weights have seen the earlier channels: p(g | r) ∝ Σ_i [w_i p_i(r)] p_i(g | r).

    Args:
        levels: K.
        channels: C.
        width: of the features.
        components: M.
        coupling: see `PixelHead`.
    """

    spread: Tensor

    def __init__(self, levels: int, channels: int, width: int, components: int, coupling: bool):
        super().__init__(channels, coupling)
        self.levels, self.components = levels, components
        pairs = channels * (channels - 1) // 2 if coupling else 0
        self.hidden = nn.Linear(width, width)
        self.out = nn.Linear(width, components * (1 + 2 * channels + pairs))
        nn.init.zeros_(self.out.weight)
        nn.init.zeros_(self.out.bias)
        self.register_buffer("spread", torch.linspace(-0.8, 0.8, components), persistent=False)

    def _numbers(self, h: Tensor) -> tuple[Tensor, ...]:
        return self.out(F.silu(self.hidden(h))).unflatten(-1, (-1, self.components)).unbind(-2)

    def _channel(self, numbers: tuple[Tensor, ...], c: int, before: Tensor, pixel: int | slice) -> tuple[Tensor, ...]:
        weight_logits = numbers[0]
        for b in range(c if self.coupling else 0):
            weight_logits = weight_logits + bin_log_mass(
                before[..., b : b + 1], *self._component(numbers, b, before), self.levels
            )
        return weight_logits, *self._component(numbers, c, before)

    def _component(self, numbers: tuple[Tensor, ...], c: int, before: Tensor) -> tuple[Tensor, Tensor]:
        """Locations and log scales [..., M] of channel c."""
        loc = numbers[1 + c] + self.spread
        slopes = numbers[1 + 2 * self.channels :]
        for b in range(c if self.coupling else 0):
            value = level_value(before[..., b : b + 1], self.levels).to(loc)
            loc = loc + torch.tanh(slopes[c * (c - 1) // 2 + b]) * value
        return loc, bounded(numbers[1 + self.channels + c] - 1.5, MAX_LOG_SCALE)

    def _distribution(self, *parameters: Tensor) -> DiscretisedLogisticMixture:
        weight_logits, loc, log_scale = parameters
        return DiscretisedLogisticMixture(weight_logits, loc, log_scale, self.levels)
