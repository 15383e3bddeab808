"""What a model can say about log p(x), and the noise of its bounds."""

from __future__ import annotations

import enum
import hashlib

import torch
from torch import Tensor


class Density(enum.Enum):
    """What a model can say about log p(x)."""

    EXACT = "exact"
    LOWER_BOUND = "lower bound"
    IMPLICIT = "implicit"

    @property
    def phrase(self) -> str:
        """What a model has, in a sentence."""
        return {"exact": "an exact density", "lower bound": "only a lower bound on log p"}.get(self.value, "no density")

    @classmethod
    def weakest(cls, *densities: Density) -> Density:
        """What a model made of such parts can say."""
        order = list(cls)
        return max(densities, key=order.index)


def normals(count: int, key: tuple[int, ...]) -> Tensor:
    """Standard normals [count], float64, on the CPU, that are a function of a key of whole numbers."""
    digest = hashlib.blake2b(repr(key).encode(), digest_size=8).digest()
    generator = torch.Generator().manual_seed(int.from_bytes(digest, "little") >> 1)
    return torch.randn(count, generator=generator, dtype=torch.float64)
