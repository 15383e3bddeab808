"""Warps: reshape a categorical before drawing from it.

All act on logits [..., K] and return logits of the same shape, so they compose; a level that is cut gets −∞.
Order as in the field: temperature, then top-k, then top-p, then min-p.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from ptheta.errors import UsageError


@dataclass(frozen=True)
class Warp:
    """How samples are drawn from each conditional; the default leaves it unchanged.

    Args:
        temperature: logits are divided by it; below 1 is more certain, 0 takes the most probable level.
        top_k: keep the k most probable levels; 0 keeps all.
        top_p: keep the smallest set of levels whose probability reaches p (nucleus sampling, Holtzman et al. 2020).
        min_p: keep levels at least min_p times as probable as the most probable one (Nguyen et al. 2024).
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0

    def __post_init__(self):
        if not 0 <= self.temperature < math.inf:
            raise UsageError(f"temperature is {self.temperature}", "give a finite number of at least 0")
        if self.top_k < 0:
            raise UsageError(f"top-k is {self.top_k}", "give 0 (keep all levels) or more")
        if not 0 < self.top_p <= 1:
            raise UsageError(f"top-p is {self.top_p}", "give a probability above 0 and at most 1")
        if not 0 <= self.min_p <= 1:
            raise UsageError(f"min-p is {self.min_p}", "give a ratio from 0 to 1")

    @property
    def is_identity(self) -> bool:
        """True if nothing is changed."""
        return self == UNCHANGED

    def __call__(self, logits: Tensor) -> Tensor:
        """Warped logits, [..., K]."""
        if self.temperature == 0:
            best = logits.argmax(-1, keepdim=True)
            return torch.full_like(logits, -torch.inf).scatter_(-1, best, 0.0)
        if self.temperature != 1:
            logits = (logits - logits.amax(-1, keepdim=True)) / self.temperature
        if 0 < self.top_k < logits.shape[-1]:
            logits = _keep_ranks(logits, _ranks(logits) < self.top_k)
        if self.top_p < 1:
            ordered, index = logits.sort(dim=-1, descending=True, stable=True)
            p = ordered.softmax(-1)
            before = p.cumsum(-1) - p  # probability of the levels ranked above
            keep = torch.empty_like(before, dtype=torch.bool).scatter_(-1, index, before < self.top_p)
            logits = _keep_ranks(logits, keep)
        if self.min_p > 0:
            p = logits.softmax(-1)
            logits = _keep_ranks(logits, p >= self.min_p * p.amax(-1, keepdim=True))
        return logits


UNCHANGED = Warp()
"""The warp that leaves every conditional as it is."""


def _ranks(logits: Tensor) -> Tensor:
    """Rank of every level, 0 the most probable; ties go to the lower level, so that exactly k are kept."""
    index = logits.argsort(dim=-1, descending=True, stable=True)
    return index.argsort(-1)


def _keep_ranks(logits: Tensor, keep: Tensor) -> Tensor:
    return logits.masked_fill(~keep, -torch.inf)
