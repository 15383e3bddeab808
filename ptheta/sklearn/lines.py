"""Progress of a fit without a run folder: lines on standard error."""

from __future__ import annotations

from typing import Any

from rich.console import Console

from ptheta.training.objectives.base import Verdict
from ptheta.training.state import Position

LINES = 10
"""Lines of a whole fit, about."""


class Lines:
    """Prints validations, about ten of them.

    Args:
        console: to print on.
        budget: of the fit, in words.
    """

    def __init__(self, console: Console, budget: str):
        self.console, self.budget = console, budget
        self.milestone, self.line = 0.0, ""

    def record(self, values: dict[str, Any], verdict: Verdict | None) -> None:
        """A validation was done."""
        average = next((f"train average {values[name]:.2f}" for name in values if name.startswith("train_")), "")
        judged = verdict.text if verdict else ""
        self.line = f"step {values['step']:,}: {', '.join(filter(None, [average, judged]))}"

    def advance(self, progress: float, position: Position) -> None:
        """A step was done."""
        if self.line and progress >= min(1.0, self.milestone):
            self.console.print(self.line, soft_wrap=True, markup=False)
            self.milestone, self.line = progress + 1 / LINES, ""

    def note(self, text: str) -> None:
        """Something was decided."""
        self.console.print(text, soft_wrap=True, markup=False)

    def stopping(self) -> None:
        """Ctrl-C was pressed."""
        self.console.print("stopping after this step")
