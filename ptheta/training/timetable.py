"""How the minutes of a budget are shared: what comes before learning, learning, and what comes after it.

A budget in minutes is that of the whole command. What is done before the first step has passed when learning begins;
what is done afterwards is reserved: the last validation, the final score, whose speed validations show, and a part for
samples and pictures. So every validation plans the time for learning anew, and it follows the load of the machine.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field

SCORING = 0.1
"""Part of a budget in minutes that the final score may take."""

LOOKING = 0.1
"""Part of it that is kept for samples, pictures and the search for copies."""

LEAST = 0.2
"""Part of it that learning has at least, whatever comes before and after."""

PATIENCE = 60.0
"""Seconds that the final score of a fit in steps or epochs may take, or as long as the fit took."""

LOOKED_AT = 20.0
"""Seconds that samples and pictures of such a fit may take, or half as long as the fit took."""


@dataclass
class Timetable:
    """The time of one command, on the clock of `time.perf_counter`.

    Attributes:
        whole: seconds of the budget; None: it is in steps or epochs.
        started: when they began to pass.
        heldout: events that the final score could take.
        pace: seconds in which one of them is scored, as the last validation showed; NaN before the first one.
        judging: seconds of the last validation.
        saving: seconds in which weights were saved last.
        before: seconds that passed before this command's first step.
        learns: whether that step has begun.
        members: models of which the final score is made, each as slow as the one that was judged last.
    """

    whole: float | None = None
    started: float = field(default_factory=time.perf_counter)
    heldout: int = 0
    pace: float = math.nan
    judging: float = 0.0
    saving: float = 0.0
    before: float = 0.0
    learns: bool = False
    members: int = 1

    @property
    def scored(self) -> float:
        """Seconds in which the final score takes an event; NaN before the first validation."""
        return self.members * self.pace

    @property
    def passed(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self.started

    @property
    def reserve(self) -> float:
        """Seconds of the budget that are kept for what comes after learning."""
        assert self.whole is not None
        score = SCORING * self.whole
        if not math.isnan(self.pace):
            score = min(score, self.heldout * self.scored)
        return score + LOOKING * self.whole + min(self.judging, SCORING * self.whole) + 2 * self.saving

    def learning(self, before: float) -> float:
        """Seconds that learning and validating may take.

        Args:
            before: seconds of the budget that passed before the first step.
        """
        assert self.whole is not None
        return max(self.whole - before - self.reserve, LEAST * self.whole)

    def expected(self) -> float | None:
        """Seconds that learning may take if it begins now; None: the budget is in steps or epochs."""
        return None if self.whole is None else self.learning(self.passed)

    def scoring(self, learned: float) -> float:
        """Seconds that the final score may take.

        Args:
            learned: seconds of the fit.
        """
        return max(learned, PATIENCE) if self.whole is None else SCORING * self.whole

    def looking(self, learned: float) -> float:
        """Seconds that samples and pictures may take, from now on: what is left of the budget, at least a part of what
        was kept for them.

        Args:
            learned: seconds of the fit.
        """
        if self.whole is None:
            return max(learned / 2, LOOKED_AT)
        return max(self.whole - self.passed, LOOKING * self.whole / 2)
