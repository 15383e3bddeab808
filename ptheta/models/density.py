"""What a model can say about log p(x), and the noise of its bounds."""

from __future__ import annotations

import enum
import hashlib
from collections.abc import Callable

import torch
from torch import Tensor

from ptheta.errors import UsageError


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


def noise_of_events(n: int, size: int, seed: int, index: Tensor | None) -> Callable[[int], Tensor]:
    """The noise of bounds: draw → standard normals [n, size], float64, on the CPU.

    A row is a function of seed, draw and the event's number.

    Args:
        n: events.
        size: numbers of a draw.
        seed: of all of them.
        index: numbers of the events [n]; None: 0 … n − 1.

    Raises:
        UsageError: the index is not a whole number for each event.
    """
    numbers = torch.arange(n) if index is None else torch.as_tensor(index)
    if numbers.shape != (n,) or numbers.is_floating_point():
        what = f"the indices of {n} events are {numbers.dtype} {list(numbers.shape)}"
        raise UsageError(what, "give a whole number for each event")
    numbered = [int(number) for number in numbers.tolist()]
    return lambda draw: torch.stack([normals(size, (int(seed), draw, number)) for number in numbered])
