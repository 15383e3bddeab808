"""Results of an evaluation."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Score:
    """Mean negative log-likelihood of events; lower is better.

    Attributes:
        nats: mean −log p(x) per event; infinite if an event has probability 0.
        nats_se: standard error of `nats` over events.
        dimensions: m.
        n: events scored.
        zero: events of probability 0.
    """

    nats: float
    nats_se: float
    dimensions: int
    n: int
    zero: int

    @property
    def bits_per_dim(self) -> float:
        """Bits per dimension: nats / (m log 2)."""
        return self.nats / (self.dimensions * math.log(2))

    @classmethod
    def of(cls, log_prob: Tensor, dimensions: int) -> Score:
        """From log-probabilities [n] in nats."""
        n = len(log_prob)
        nll = -log_prob.double()
        deviation = float(nll.std()) if n > 1 else math.nan
        zero = int(torch.isposinf(nll).sum())
        return cls(
            float(nll.mean()),
            math.inf if zero else deviation / math.sqrt(n),
            dimensions,
            n,
            zero,
        )
