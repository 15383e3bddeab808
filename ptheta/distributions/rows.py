"""Conditionals of several columns of a table side by side."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Self

import torch
from torch import Tensor

from ptheta.distributions.base import Distribution
from ptheta.distributions.cells import Cell
from ptheta.distributions.warps import Warp


class Row(Distribution):
    """Conditionals of several columns over a batch [n]: a batch [n, k] whose entries are of different kinds.

    Args:
        cells: one for each, in visiting order.
    """

    noise_size = Cell.noise_size

    def __init__(self, cells: Sequence[Cell]):
        self.cells = list(cells)

    @property
    def batch_shape(self) -> tuple[int, ...]:
        """(n, k)."""
        return (*self.cells[0].batch_shape, len(self.cells))

    @classmethod
    def mix(cls, parts: Sequence[Self], log_weights: Tensor) -> Row:
        """Every cell as its own `mix` is."""
        cells = zip(*(part.cells for part in parts), strict=True)
        return Row([Cell.mix(same, log_weights[..., t]) for t, same in enumerate(cells)])

    def log_prob(self, x: Tensor) -> Tensor:
        """log p of every entry of x [n, k], float64."""
        return torch.stack([cell.log_prob(x[:, t]) for t, cell in enumerate(self.cells)], -1)

    def cdf(self, x: Tensor, *, below: bool = False) -> Tensor:
        """P(X ≤ x), or P(X < x), of every entry of x [n, k], float64."""
        return torch.stack([cell.cdf(x[:, t], below=below) for t, cell in enumerate(self.cells)], -1)

    def sample(self, noise: Tensor) -> Tensor:
        """Values [n, k] from uniforms [n, k, 3]."""
        return torch.stack([cell.sample(noise[:, t]) for t, cell in enumerate(self.cells)], -1)

    def warped(self, warp: Warp) -> Row:
        """Every cell as its own `warped` is."""
        return Row([cell.warped(warp) for cell in self.cells])

    def __getitem__(self, index):
        """Rows by any index; columns, after rows, by a number or a slice."""
        rows, columns = index if isinstance(index, tuple) else (index, slice(None))
        if isinstance(columns, int):
            return self.cells[columns][rows]
        return Row([cell[rows] for cell in self.cells[columns]])
