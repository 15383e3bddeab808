"""Spaces of real numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import SpaceError
from ptheta.spaces.base import Space


@dataclass(frozen=True)
class Real(Space):
    """Arrays of finite real numbers.

    Args:
        shape: shape of one event.
    """

    kind = "real"
    noun = "real numbers"
    ordered = True
    shape: tuple[int, ...] = ()

    def reduced(self, dimensions: int) -> Real:
        """Fewer numbers."""
        return Real((min(dimensions, self.dimensions),))

    def validate(self, x: Any) -> Tensor:
        """Check a batch of finite floats; returns floating point [n, *shape]."""
        x = self.as_batch(x)
        if not x.is_floating_point():
            x = x.double()
        wrong = ~torch.isfinite(x)
        if bool(wrong.any()):
            index = tuple(int(i) for i in wrong.nonzero()[0])
            raise SpaceError(f"x{list(index)} is {float(x[index])}", "remove or fill in values that are not finite")
        return x

    def __str__(self) -> str:
        return f"Real(shape={list(self.shape)})"
