"""Rotary position embedding over any number of axes.

Su et al. 2021 (RoFormer), applied per axis as in 2-D rotary embeddings for pictures: each axis of the coordinates
(row and column, say) turns its own share of a head's dimensions.
"""

from __future__ import annotations

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

    cos: Tensor
    sin: Tensor

    def __init__(self, coordinates: Tensor, size: int, base: float = 10_000.0):
        super().__init__()
        varying = [axis for axis in coordinates.T.double() if axis.max() > axis.min()]
        pairs = size // 2
        angles = torch.zeros(len(coordinates), pairs, dtype=torch.float64)
        shares = [len(part) for part in torch.arange(pairs).tensor_split(max(len(varying), 1))]
        start = 0
        for axis, share in zip(varying, shares):
            longest = min(base, 4.0 * float(axis.max() - axis.min()))  # no use for waves far longer than the axis
            frequency = longest ** (-torch.arange(share, dtype=torch.float64) / max(share, 1))
            angles[:, start : start + share] = axis[:, None] * frequency
            start += share
        cos, sin = angles.cos().float(), angles.sin().float()
        self.register_buffer("cos", torch.cat([cos, cos], -1), persistent=False)  # [m, size]
        self.register_buffer("sin", torch.cat([-sin, sin], -1), persistent=False)

    def at(self, slots: slice | Tensor) -> Turn:
        """The turn of some slots: a slice, or [n, t] slots of every row."""
        cos, sin = self.cos[slots], self.sin[slots]
        return (cos, sin) if isinstance(slots, slice) else (cos[:, None], sin[:, None])


def turned(x: Tensor, turn: Turn) -> Tensor:
    """x [..., t, size] turned to the positions of t slots; its halves are the pairs' coordinates."""
    cos, sin = turn
    a, b = x.chunk(2, -1)
    return x * cos + torch.cat([b, a], -1) * sin
