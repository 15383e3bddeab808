"""How long to learn, and the learning rate planned for it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_type_hints

from ptheta.errors import FitError
from ptheta.numbers import joined, plural
from ptheta.typed import checked


@dataclass(frozen=True)
class Budget:
    """Exactly one of minutes, steps and epochs.

    A budget in steps or epochs is reproducible to the bit; one in minutes depends on the machine.

    Attributes:
        minutes: of the whole command on this machine, see `Timetable`.
        steps: optimiser steps.
        epochs: passes over the training events.
    """

    minutes: float | None = None
    steps: int | None = None
    epochs: float | None = None

    def __post_init__(self):
        for name, kind in get_type_hints(type(self)).items():
            object.__setattr__(self, name, checked(name, getattr(self, name), kind))
        given = {k: v for k, v in vars(self).items() if v is not None}
        for name, value in given.items():
            if not 0 < value < math.inf:
                raise FitError(f"--{name} is {value:g}", "give a number above 0")
        if len(given) != 1:
            flags = joined([f"--{name}" for name in given])
            problem = f"{flags} are given together" if given else "there is no budget"
            raise FitError(problem, "give one of --minutes, --steps and --epochs")

    def total_steps(self, steps_per_epoch: int) -> int | None:
        """Number of steps, or None for a budget in minutes."""
        if self.steps is not None:
            return self.steps
        return None if self.epochs is None else max(1, round(self.epochs * steps_per_epoch))

    @property
    def seconds(self) -> float | None:
        """Of a budget in minutes; None of any other."""
        return None if self.minutes is None else 60.0 * self.minutes

    def __str__(self) -> str:
        if self.minutes is not None:
            return f"{self.minutes:g} min"
        if self.steps is not None:
            return plural(self.steps, "step")
        return f"{self.epochs:g} {'epoch' if self.epochs == 1 else 'epochs'}"


def rate(progress: float, warmup: float, hold: float) -> float:
    """Learning rate as a fraction of its peak: linear warm-up, constant, linear decay to 0 (Hu et al. 2024, WSD).

    Args:
        progress: fraction of the budget used.
        warmup: fraction of the budget spent warming up.
        hold: fraction of the budget at which decay begins.

    >>> [rate(p, 0.1, 0.5) for p in (0.05, 0.3, 0.75, 1.0)]
    [0.5, 1.0, 0.5, 0.0]
    """
    if progress < warmup:
        return progress / warmup
    return min(1.0, max(0.0, (1.0 - progress) / (1.0 - hold)))
