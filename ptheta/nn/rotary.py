"""Rotary position embedding over any number of axes.

Su et al. 2021 (RoFormer), applied per axis as in 2-D rotary embeddings for pictures: each axis of the coordinates
(row and column, say) turns its own share of a head's dimensions.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

Turn = tuple[Tensor, Tensor]
"""Cosines and sines [t, size] or [n, 1, t, size]."""


class Rotary(nn.Module):
    """Turns queries and keys by their coordinates, so that their product depends on coordinate differences.

    Args:
        coordinates: [m, axes], the position of every slot.
        size: dimensions of a head; half of them are frequencies, shared out over the axes that vary.
        base: longest wavelength over 2π, in coordinate units, for a single axis.
    """

    coordinates: Tensor
    frequencies: Tensor
    _like: Tensor

    def __init__(self, coordinates: Tensor, size: int, base: float = 10_000.0):
        super().__init__()
        pairs = size // 2
        spread = coordinates.double().amax(0) - coordinates.double().amin(0)
        varying = [axis for axis, width in enumerate(spread.tolist()) if width > 0]
        frequencies = torch.zeros(coordinates.shape[1], pairs, dtype=torch.float64)  # each pair turns with one axis
        start = 0
        for axis, part in zip(varying, torch.arange(pairs).tensor_split(max(len(varying), 1))):
            longest = min(base, 4.0 * float(spread[axis]))  # no use for waves far longer than the axis
            share = torch.arange(len(part), dtype=torch.float64)
            frequencies[axis, start : start + len(part)] = longest ** (-share / max(len(part), 1))
            start += len(part)
        self.register_buffer("coordinates", coordinates, persistent=False)
        self.register_buffer("frequencies", frequencies, persistent=False)
        self.register_buffer("_like", torch.zeros(()), persistent=False)  # follows the model's type

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True):
        """Follow the model to a device and type, but keep frequencies in float64: far positions need their digits."""
        exact = self.frequencies
        super()._apply(fn, recurse)
        self.frequencies = exact.to(self.frequencies.device)
        return self

    def at(self, slots: slice | Tensor) -> Turn:
        """The turn of some slots: a slice, or [n, t] slots of every row."""
        cos, sin = self.turn(self.coordinates[slots])
        return (cos, sin) if isinstance(slots, slice) else (cos[:, None], sin[:, None])

    def turn(self, coordinates: Tensor) -> Turn:
        """The turn of any coordinates [..., axes], those of the slots or beyond: [..., size]."""
        angles = coordinates.double() @ self.frequencies
        cos, sin = angles.cos().to(self._like), angles.sin().to(self._like)
        return torch.cat([cos, cos], -1), torch.cat([-sin, sin], -1)


def turned(x: Tensor, turn: Turn) -> Tensor:
    """x [..., t, size] turned to the positions of t slots; its halves are the pairs' coordinates."""
    cos, sin = turn
    return torch.addcmul(x * cos, x.roll(x.shape[-1] // 2, -1), sin)
