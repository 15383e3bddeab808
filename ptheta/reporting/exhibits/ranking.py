"""Events in the order of their surprise, for a report, and a table of the most surprising ones."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.models import Autoregressive
from ptheta.numbers import nats
from ptheta.reporting.exhibits.given import Given
from ptheta.reporting.exhibits.rows import cell
from ptheta.reporting.markup import Html, joined, paragraph, table, tag
from ptheta.runs import Run

if TYPE_CHECKING:
    import pandas as pd

RANKED, REASONS = 10, 3
"""Most surprising events that are listed, and the dimensions named of each."""

SHOWN = 6
"""Values of a listed event whose dimensions have no surprise of their own, at most."""


@dataclass(frozen=True)
class Ranking:
    """Scored events.

    Attributes:
        run: that scored them.
        split: the events, n.
        title: what they are called.
        surprise: −log p of each, nats [n].
        rows: their numbers in the data [n].
        given: their contexts, if there are any.
        name: flat index of a dimension → what it is called.
        frame: events → columns of the user's values; None if they have none.
    """

    run: Run
    split: Split
    title: str
    surprise: Tensor
    rows: np.ndarray
    given: Given | None
    name: Callable[[int], str]
    frame: Callable[[Tensor], pd.DataFrame | None]

    @property
    def order(self) -> Tensor:
        """Numbers of the events, the most surprising first."""
        return self.surprise.argsort(descending=True, stable=True)

    def pieces(self, rows: Tensor) -> Tensor:
        """log p of every dimension of some of the events, nats [k, *space.shape]."""
        model = self.run.model
        assert isinstance(model, Autoregressive)
        parts = []
        for some in rows.split(64):
            with torch.no_grad():
                parts.append(model.log_prob_per_dimension(*self.split.events(some)).cpu())
        return torch.cat(parts)

    def as_table(self) -> Html:
        """The most surprising events, with what surprises most in each."""
        rows = self.order[:RANKED]
        if isinstance(self.run.model, Autoregressive):
            reasons = self._excesses(rows)
            words = (
                "The least probable events, and in each the values that cost most above what that dimension costs on "
                "average "
                "(nats, given the dimensions before it)."
            )
        else:
            reasons = self._values(rows)
            words = "The least probable events. The model does not say which of their values are responsible."
        ranked = [
            (f"{self.rows[row]:,}", nats(float(self.surprise[row])), "; ".join(several))
            for row, several in zip(rows.tolist(), reasons)
        ]
        found = table(f"Most surprising {self.title}", ("row", "−log p", "values"), ranked, text=[2])
        return joined([tag("h3", "Ranked anomalies"), paragraph(words, cls="how"), found])

    def _excesses(self, rows: Tensor) -> list[list[str]]:
        """The dimensions of each event that cost most above their average."""
        usual = self.pieces(torch.arange(len(self.split))).flatten(1)
        usual = torch.where(usual.isfinite(), usual, torch.nan).nanmean(0)
        excess = usual - self.pieces(rows).flatten(1)
        x = self.split.events(rows)[0]
        values = self.frame(x)
        found = []
        for i in range(len(rows)):
            reasons = []
            for j in excess[i].argsort(descending=True, stable=True)[:REASONS].tolist():
                value = values.iat[i, j] if values is not None else x[i].flatten()[j].item()
                reasons.append(f"{self.name(j)} = {cell(value) or 'missing'} (+{nats(float(excess[i, j]))})")
            found.append(reasons)
        return found

    def _values(self, rows: Tensor) -> list[list[str]]:
        """The first values of each event, if they have names."""
        values = self.frame(self.split.events(rows)[0])
        if values is None:
            return [[] for _ in rows]
        few = range(min(SHOWN, values.shape[1]))
        return [[f"{self.name(j)} = {cell(values.iat[i, j])}" for j in few] for i in range(len(rows))]
