"""Point masses on the training events: the memoriser, and the test of whether a sample is a copy."""

from __future__ import annotations

from typing import Any, Literal

import numpy as np
import torch
from torch import Tensor

from ptheta.errors import ContextError, SpaceError, UsageError
from ptheta.models.counting.histogram import Histogram, sortable
from ptheta.spaces import Discrete, Label, Real

COMPARISONS = 2**24
"""Values compared at a time when the nearest training event is sought; bounds memory."""


class Empirical(Histogram):
    """p(x) = (1/N) Σ_i δ(x, x_i): a mixture of Dirac deltas at the training events.

    It samples perfectly and knows nothing: an event that was not seen has log-probability −∞. Every model must beat
    it on new data, and a model that returns its events copies.

    Args:
        space: discrete events. On real vectors a Dirac delta has mass but no density, so its log-density could not be
            compared with that of any other model.
        context_space: labels; p(x | y) is a mixture of the training events labelled y.

    >>> import torch
    >>> model = Empirical(Discrete((2,), 3))
    >>> model.observe(torch.tensor([[0, 2], [0, 2], [1, 1]]))
    >>> model.log_prob([[0, 2], [2, 0]]).exp()
    tensor([0.6667, 0.0000], dtype=torch.float64)
    >>> model.is_copy([[0, 2], [2, 0]])
    tensor([ True, False])
    """

    def __init__(self, space: Discrete, context_space: Label | None = None):
        if isinstance(space, Real):
            raise SpaceError(
                f"Empirical cannot model real numbers, {space}: a point mass has no density there",
                "round the data to levels, or use a model with a density",
            )
        super().__init__(space, context_space, concentration=0.0)

    def _own_parameters(self) -> int:
        """Weights of the point masses that can be chosen: distinct events − 1, for each label seen.

        Where they lie is data and not counted.
        """
        self._merge()
        return len(self.rows) - len(self.rows[:, 0].unique())

    def nearest(self, x: Any, metric: Literal["hamming", "euclidean"] = "hamming") -> tuple[Tensor, Tensor]:
        """The training event nearest to each event, whatever its label; the first in visiting order of several.

        Args:
            x: events [n, *space.shape].
            metric: `hamming`, the number of dimensions that differ, or `euclidean`, √ Σ (difference of levels)².

        Returns:
            Training events [n, *space.shape] and their distances, float64 [n].

        Raises:
            UsageError: no events were observed.
        """
        p = {"hamming": 0.0, "euclidean": 2.0}.get(metric)
        if p is None:
            raise UsageError(f"no metric is called {metric!r}", "use hamming or euclidean")
        self._counts_before()
        z = self.flatten(self.space.validate(x).to(self.device))
        m = z.shape[1]
        events = max(1, min(len(z), COMPARISONS // m, 256))
        rows = max(1, COMPARISONS // (m * events))
        index, distance = [z.new_zeros(0)], [torch.zeros(0, dtype=torch.float64, device=self.device)]
        for part in z.split(events):
            best = torch.full((len(part),), torch.inf, device=self.device)
            at = torch.zeros_like(part[:, 0])
            for i, stored in enumerate(self.rows[:, 1:].split(rows)):
                d = torch.cdist(part.float(), stored.float(), p, "donot_use_mm_for_euclid_dist")  # [events, rows]
                least, where = d.min(1)
                at = torch.where(least < best, where + i * rows, at)
                best = torch.minimum(least, best)
            index.append(at)
            distance.append(best.double())
        return self.unflatten(self.rows[torch.cat(index), 1:].long()), torch.cat(distance)

    def is_copy(self, x: Any, tolerance: float = 0, metric: Literal["hamming", "euclidean"] = "hamming") -> Tensor:
        """Whether each event is within `tolerance` of a training event, bool [n]; 0 means equal to one."""
        if tolerance > 0:
            return self.nearest(x, metric)[1] <= tolerance
        self._counts_before()
        z = self.flatten(self.space.validate(x).to(self.device)).to(self.rows.dtype)
        return torch.from_numpy(np.isin(sortable(z), sortable(self.rows[:, 1:]))).to(self.device)

    def _counts_before(self) -> Tensor:
        cumulative = super()._counts_before()
        if len(cumulative) == 1:
            raise UsageError("this Empirical has seen no events", "fit it, or observe training events, first")
        return cumulative

    def _label_ranges(self, n: int, context: Tensor | None) -> tuple[Tensor, Tensor]:
        begin, end = super()._label_ranges(n, context)
        if context is not None and bool((begin == end).any()):
            label = int(context[begin == end][0])
            assert isinstance(self.context_space, Label)
            raise ContextError(
                f"no training event is labelled {self.context_space.names[label]}", "choose a label that was seen"
            )
        return begin, end
