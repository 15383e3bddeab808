"""What a report looks at: a run, some events of every split, and as many samples, each drawn and scored once."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Data, Split
from ptheta.errors import PthetaError
from ptheta.evaluation.nats import elbos
from ptheta.models import Density
from ptheta.reporting.exhibits import exhibit_of
from ptheta.reporting.report.charts import Charts
from ptheta.runs import Run

if TYPE_CHECKING:
    import pandas as pd

EVENTS = 2**17
"""Dimensions of the events that are looked at in every split, about."""

FEWEST, MOST = 64, 1000
"""Events looked at in every split, unless another number is asked for."""

FAILURES = PthetaError, MemoryError, torch.OutOfMemoryError
"""What may go wrong in a part of the page without harm to the others."""


@dataclass
class Evidence:
    """A run and what it is judged by.

    Attributes:
        run: of the report.
        data: the run's own, or others read through its codec.
        own: whether they are the run's own.
        n: most events of each split, and samples.
        seed: of the choice of events, the samples, and every draw of the report.
        out: where the page will be.
        charts: draws the page's charts.
    """

    run: Run
    data: Data
    own: bool
    n: int
    seed: int
    out: Path | None = None
    charts: Charts = field(default_factory=Charts)

    @cached_property
    def splits(self) -> dict[str, Split]:
        """At most n events of each split of the run's own data; of other data the one split that is judged."""
        names = [n for n in ("train", "validation", "test") if n in self.data.splits] if self.own else [self.heldout]
        return {name: self.data.splits[name].subset(self.n, self.seed) for name in names}

    @property
    def heldout(self) -> str:
        """Name of the split that the model was not trained on."""
        names = list(self.data.splits)
        if not self.own:
            return "test" if "test" in names else names[0]
        return next(name for name in ("test", "validation", "train") if name in names)

    @property
    def heldout_text(self) -> str:
        """The split in words."""
        if not self.own:
            return f"events of {self.data.name}"
        return f"{self.heldout} events" + (" (nothing was held out)" if self.heldout == "train" else "")

    @property
    def real(self) -> Split:
        """Events that the model is compared with."""
        return self.splits[self.heldout]

    @property
    def drawn_text(self) -> str:
        """How many events were looked at, in words."""
        whole = self.data.splits[self.heldout]
        if len(self.real) == len(whole):
            return f"all {len(whole):,} {self.heldout_text}"
        return f"{len(self.real):,} of {len(whole):,} {self.heldout_text}, drawn with seed {self.seed}"

    @cached_property
    def rows(self) -> np.ndarray:
        """The index of each event that is judged, in the source, from 0 on."""
        return self.real.source_rows

    @cached_property
    def log_prob(self) -> dict[str, Tensor]:
        """log p of the events of every split, or a bound on it, nats float64; nothing if there is no density."""
        model = self.run.model
        if model.density is Density.IMPLICIT:
            return {}
        return {name: elbos(model, split, seed=self.seed) for name, split in self.splits.items()}

    @cached_property
    def samples(self) -> Tensor:
        """As many samples as events are judged, [n, *space.shape] on the CPU; given the contexts of those events."""
        return self.run.model.sample(len(self.real), self.real.events()[1], seed=self.seed).cpu()

    @property
    def context(self) -> Tensor | None:
        """Contexts of the events that are judged, and of the samples."""
        return self.real.events()[1]

    def frame(self, x: Tensor) -> pd.DataFrame | None:
        """Events as columns of the user's own values; None if they are not vectors of few numbers."""
        return exhibit_of(self.run.codec).frame(x)

    @cached_property
    def names(self) -> list[str] | None:
        """Names of the dimensions in their flat order, if they are columns."""
        frame = self.frame(self.real.events(slice(0, 1))[0])
        return None if frame is None else [str(name) for name in frame.columns]

    def name(self, dimension: int) -> str:
        """A dimension, by its flat index, in words."""
        if (names := self.names) is not None:
            return names[dimension]
        index = np.unravel_index(dimension, self.run.model.space.shape or (1,))
        return "x[" + ", ".join(map(str, index)) + "]"


def suited(dimensions: int) -> int:
    """How many events of this many dimensions to look at.

    >>> suited(64), suited(784), suited(2**22)
    (1000, 167, 64)
    """
    return max(FEWEST, min(MOST, EVENTS // dimensions))
