"""Levels that are numbers, such as greys: neighbouring ones mean nearly the same, and networks should start knowing it.

Both parts use Legendre polynomials of the level as a smooth basis, which learning then changes.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from ptheta.errors import UsageError
from ptheta.spaces import Discrete, Space


def polynomials(levels: int, degree: int) -> Tensor:
    """Legendre polynomials 1 … degree of the levels spread over [−1, 1], [levels, degree]."""
    values = np.polynomial.legendre.legvander(np.linspace(-1, 1, levels), degree)[:, 1:]
    return torch.tensor(values, dtype=torch.float32)


def level_embedding(space: Discrete, width: int, std: float) -> nn.Embedding:
    """Vectors of the levels, and one more for "no value" at the end.

    Where levels are numbers, a level's vector starts as a random mixture of polynomials of the level, plus a little
    noise; otherwise all start independent.

    Args:
        space: of the events.
        width: of a vector.
        std: standard deviation of the entries.
    """
    table = nn.Embedding(space.levels + 1, width)
    nn.init.normal_(table.weight, std=std)
    if space.ordered and space.levels > 2:
        smooth = polynomials(space.levels, 4)
        with torch.no_grad():
            table.weight[:-1] = 0.2 * table.weight[:-1] + std * (smooth @ torch.randn(smooth.shape[1], width))
    return table


MAX_BIAS = 2**21
"""A learned output bias for every level of every dimension is used up to this many numbers; beyond, one for all."""


class OrdinalLogits(nn.Module):
    """The head's numbers from a few coefficients: outputs [n, m, r] → Σ_r outputs · basis + bias, [n, m, size].

    The basis starts as Legendre polynomials of the level and is learned, one for all dimensions; without a rank the
    outputs pass unchanged but for the bias.

    Args:
        dimensions: m.
        size: numbers the head needs for one dimension.
        rank: r, or 0.
    """

    def __init__(self, dimensions: int, size: int, rank: int):
        super().__init__()
        self.rank = rank or size
        self.bias = nn.Parameter(torch.zeros(dimensions if dimensions * size <= MAX_BIAS else 1, size))
        self.basis = nn.Parameter(polynomials(size, rank).T.contiguous()) if rank else None

    def start_at(self, numbers: Tensor) -> None:
        """Let the bias be these numbers [m, size], or their mean if all dimensions share one."""
        self.bias.data.copy_(numbers if len(self.bias) == len(numbers) else numbers.mean(0, keepdim=True))

    def forward(self, outputs: Tensor, step: int | slice = slice(None)) -> Tensor:
        """All dimensions, or those of a slice, or dimension `step` from [n, r]."""
        mixed = outputs if self.basis is None else outputs @ self.basis
        return mixed + (self.bias[step] if len(self.bias) > 1 else self.bias[0])


def rank_for(space: Space, rank: int | None) -> int:
    """The rank to use: the given one, or at most 8 where levels are numbers and none otherwise.

    Raises:
        UsageError: the rank does not fit the space.
    """
    levels = space.levels if isinstance(space, Discrete) else 0
    if rank and rank >= levels:
        raise UsageError(f"rank {rank} does not fit {space}", "give a rank below the number of levels, or 0")
    if rank is not None:
        return rank
    return min(8, levels - 1) if space.ordered and levels else 0
