"""Results of an evaluation, which cannot pass a bound off as a likelihood."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import DensityError
from ptheta.models import Density
from ptheta.numbers import nats

KEYS = {Density.EXACT: "nats", Density.LOWER_BOUND: "nats_bound"}
"""What a value is called in JSON."""


@dataclass(frozen=True)
class Score:
    """Mean negative log-likelihood of events, or an upper bound on it; lower is better.

    Attributes:
        value: mean −log p(x) per event in nats, infinite if an event has probability 0; of a model with a lower bound
            on log p, the mean negative bound; NaN if there is no density.
        se: standard error of `value` over events.
        n: events scored.
        dimensions: m.
        density: what `value` is.
        zero: events of probability 0.

    >>> print(Score(81.8, 0.2, 100, 64, Density.LOWER_BOUND))
    ≤ 81.80 ± 0.20
    """

    value: float
    se: float
    n: int
    dimensions: int
    density: Density = Density.EXACT
    zero: int = 0

    def __str__(self) -> str:
        if self.density is Density.IMPLICIT:
            return "no density"
        return "≤ " * self.is_bound + nats(self.value, self.se)

    @property
    def is_bound(self) -> bool:
        """Whether the mean negative log-likelihood is at most `value`, and not `value` itself."""
        return self.density is Density.LOWER_BOUND

    @property
    def nats(self) -> float:
        """`value`, of an exact density.

        Raises:
            DensityError: it is a bound, or there is none.
        """
        self._exact()
        return self.value

    @property
    def nats_se(self) -> float:
        """`se`, of an exact density; raises as `nats` does."""
        self._exact()
        return self.se

    @property
    def bits_per_dim(self) -> float:
        """`value` in bits per dimension: nats / (m log 2)."""
        return self.value / (self.dimensions * math.log(2))

    def _exact(self) -> None:
        if self.density is not Density.EXACT:
            instead = "use `value`, which is an upper bound" if self.is_bound else "judge the model by its samples"
            raise DensityError(f"the density is {self.density.value}, so there are no exact nats", instead)

    @classmethod
    def of(cls, log_prob: Tensor, dimensions: int, density: Density = Density.EXACT) -> Score:
        """From log-probabilities, or bounds on them, [n] in nats."""
        n = len(log_prob)
        nll = -log_prob.double()
        deviation = float(nll.std()) if n > 1 else math.nan
        zero = int(torch.isposinf(nll).sum())
        return cls(
            float(nll.mean()),
            math.inf if zero else deviation / math.sqrt(max(n, 1)),
            n,
            dimensions,
            density,
            zero,
        )

    @classmethod
    def none(cls, n: int, dimensions: int) -> Score:
        """Of a model without a density."""
        return cls(math.nan, math.nan, n, dimensions, Density.IMPLICIT)

    def to_json(self, bits_key: str | None = None) -> dict[str, Any]:
        """`nats` and `nats_se` of an exact density, `nats_bound` and `nats_bound_se` of a bound, nothing without.

        Args:
            bits_key: name of the value in bits, which gets the same ending; None: it is left out.
        """
        if self.density is Density.IMPLICIT:
            return {}
        key = KEYS[self.density]
        bits = {} if bits_key is None else {bits_key + "_bound" * self.is_bound: self.bits_per_dim}
        return {key: self.value, f"{key}_se": self.se, **bits}

    @classmethod
    def from_json(cls, results: Mapping[str, Any], dimensions: int) -> Score:
        """From results of a fit, of this format or an older one."""
        n, zero = results.get("n", 0), results.get("zero_probability", 0)
        for density, key in KEYS.items():
            if key in results:
                return cls(results[key], results[f"{key}_se"], n, dimensions, density, zero)
        return cls.none(n, dimensions)
