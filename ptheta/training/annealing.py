"""The end of a fit whose validation becomes worse: when it has come, and how the rate falls."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import linear_regression

LARGE = 1e100
"""Nats that say nothing of a trend."""

RISING, TREND = 4, 3.0
"""Validations after the best one that show that it becomes worse, at least, and the slope of a line through them in
units of its standard error; where they only scatter, the rate that falls by plan does as well."""


@dataclass(frozen=True)
class Annealing:
    """The end of a fit that no longer improved: from the best weights the rate falls to 0, linearly.

    Attributes:
        source: the step at which the best weights were found.
        start: the step at which annealing began.
        steps: that it takes.
        progress: fraction of the budget that was used at its start.
        height: rate at its start, as a fraction of its peak.
    """

    source: int
    start: int
    steps: int
    progress: float
    height: float

    def rate(self, step: int, progress: float) -> float:
        """Learning rate as a fraction of its peak, in the middle of a step.

        Args:
            step: its number.
            progress: fraction of the budget that is used; the rate is 0 when that ends, too.
        """
        done = (step - self.start + 0.5) / self.steps
        spent = (progress - self.progress) / (1.0 - self.progress)
        return self.height * max(0.0, 1.0 - max(done, spent))


def rises(values: Sequence[float]) -> bool:
    """Whether values have a trend upwards that is no accident, by least squares.

    >>> rises([1.0, 1.1, 1.2, 1.3]), rises([1.0, 1.3, 1.0, 1.3]), rises([1.0, 1.1, 1.2]), rises([1.0] * 9)
    (True, False, False, False)
    """
    n = len(values)
    if n < RISING or not all(abs(value) < LARGE for value in values):
        return False
    slope, intercept = linear_regression(range(n), values)
    squares = sum((value - slope * k - intercept) ** 2 for k, value in enumerate(values))
    error = math.sqrt(squares / (n - 2) / (n * (n**2 - 1) / 12))
    return slope > TREND * error and slope > 0
