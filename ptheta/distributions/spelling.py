"""Numbers without an upper end as short sequences of symbols: bisection under a distribution function.

A whole number between `low` and `high` is found by halving: each decision is a symbol of two, with the probabilities
that the model gives the halves. Their product is the number's probability, whatever the range, so tails cost what the
model says and no more. A real number is the whole number of its float64, in the order of the reals.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from ptheta.distributions.base import Spelling

Mass = Callable[[Tensor, Tensor], Tensor]
"""(low, high) → log of the mass on low ≤ k < high, or of what is proportional to it."""


def bisected(low: Tensor, high: Tensor, k: Tensor | None, log_mass: Mass, even: int = 0) -> Spelling:
    """Spell whole numbers.

    Args:
        low, high: int64 [r]; low ≤ k < high.
        k: [r] if known.
        log_mass: of the halves; where it says nothing, both are alike.
        even: in ranges of up to about this many, all numbers are alike, since rounding hides how they differ.
    """
    while True:
        middle = (low & high) + ((low ^ high) >> 1)  # their mean, without overflow
        undecided = middle > low
        if not bool(undecided.any()):
            return low
        halves = torch.stack([log_mass(low, middle), log_mass(middle, high)], -1).double()
        p = halves.softmax(-1).nan_to_num(nan=0.5)
        counts = torch.stack([middle - low, high - middle], -1).double()
        narrow = (high >> 1) - (low >> 1) < even >> 1
        p = torch.where(narrow[:, None], counts / counts.sum(-1, keepdim=True), p)
        p = torch.where(undecided[:, None], p, p.new_tensor([1.0, 0.0]))
        symbols = yield p.cpu(), None if k is None else ((k >= middle) & undecided).long()
        upper = symbols.to(low.device).bool()
        low, high = torch.where(upper, middle, low), torch.where(upper | ~undecided, high, middle)


def ordered(x: Tensor) -> Tensor:
    """Whole numbers [r], int64, in the order of the float64 values x; neighbours are neighbours."""
    bits = x.double().contiguous().view(torch.int64)
    return bits ^ ((bits >> 63) & (2**63 - 1))


def reals(k: Tensor) -> Tensor:
    """The inverse of `ordered`: float64.

    >>> reals(ordered(torch.tensor([-1.5, 0.0, 3e300], dtype=torch.float64))).tolist()
    [-1.5, 0.0, 3e+300]
    """
    return (k ^ ((k >> 63) & (2**63 - 1))).contiguous().view(torch.float64)
