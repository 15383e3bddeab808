"""The two sides of a divergence: what they must have in common, and log p and log q of the same events."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from ptheta.errors import ContextError, DensityError, SpaceError
from ptheta.evaluation.enumeration import MAX_ENUMERATED, enumerated
from ptheta.evaluation.nats import suited_batch
from ptheta.models import Density, Model
from ptheta.spaces import Space

MOST_ENUMERATED = MAX_ENUMERATED
"""Events times rows of context up to which they are listed unless asked otherwise."""

CHUNK = 2**16
"""Events listed at once."""


@dataclass(frozen=True)
class Sides:
    """Two models over one space, and the rows of context at which they are compared.

    Attributes:
        p, q: models.
        context: [k, *context_space.shape], or None.
    """

    p: Model
    q: Model
    context: Tensor | None

    @property
    def space(self) -> Space:
        """Of the events."""
        return self.p.space

    @property
    def rows(self) -> int:
        """k, rows of context; 1 without a context."""
        return 1 if self.context is None else len(self.context)

    def scored(self, x: Tensor, row: int) -> tuple[Tensor, Tensor]:
        """log p(x | y) and log q(x | y) of events [n, …] at a row of the context: nats [n], float64, on the CPU."""
        log_p, log_q = (_log_prob(model, x, self._context_of(model, row)) for model in (self.p, self.q))
        return log_p, log_q

    def drawn(self, model: Model, n: int, row: int, generator: torch.Generator) -> Tensor:
        """n events of one side at a row of the context."""
        return model.sample(n, self._context_of(model, row), generator=generator)

    def _context_of(self, model: Model, row: int) -> Tensor | None:
        return None if model.context_space is None or self.context is None else self.context[row : row + 1]


def both_sides(p: Any, q: Any, context: Any) -> Sides:
    """Check that two models can be compared.

    Raises:
        DensityError: a side has no exact density.
        SpaceError: they are over different spaces.
        ContextError: the context is missing, unwanted, or of another space than a model's.
    """
    for name, side in (("p", p), ("q", q)):
        if not isinstance(side, Model):
            raise DensityError(
                f"{name} is a {type(side).__name__}, and samples have no density",
                "score them with the model, which gives the cross-entropy, or fit a model to them and compare",
            )
        if side.density is not Density.EXACT:
            raise DensityError(
                f"{name} is a {type(side).__name__}, which has {side.density.phrase}, and divergences need log p",
                "compare models with an exact density, see `ptheta zoo`; or samples: ptheta compare",
            )
    if p.space != q.space:
        what = f"p is a {type(p).__name__} over {p.space}, q a {type(q).__name__} over {q.space}"
        raise SpaceError(what, "compare models of the same events")
    spaces = [model.context_space for model in (p, q) if model.context_space is not None]
    if not spaces:
        if context is not None:
            raise ContextError("neither model has a context", "leave the context out")
        return Sides(p, q, None)
    if spaces[0] != spaces[-1]:
        raise ContextError(f"p is given {spaces[0]}, q {spaces[1]}", "compare models of the same context")
    if context is None:
        if all(model.context_dropout > 0 for model in (p, q) if model.context_space is not None):
            return Sides(p, q, None)
        raise ContextError(f"the models need a context in {spaces[0]}", "give one row, or rows to average over")
    try:
        rows = spaces[0].validate(context)
    except SpaceError as error:
        raise ContextError(f"the context does not match: {error.problem}", error.remedy) from error
    if not len(rows):
        raise ContextError("the context has no rows", "give one row, or rows to average over")
    return Sides(p, q, rows)


def listed_pairs(sides: Sides) -> Iterator[tuple[Tensor, Tensor, float]]:
    """log p and log q [n] of all events at all rows of the context, in chunks, and the weight 1/k of a row."""
    for row in range(sides.rows):
        for x in enumerated(sides.space, CHUNK):
            yield *sides.scored(x, row), 1.0 / sides.rows


def drawn_pairs(sides: Sides, n: int, seed: int) -> tuple[tuple[Tensor, Tensor], tuple[Tensor, Tensor]]:
    """log p and log q [k, n // k] of events drawn from p, and of events drawn from q.

    Raises:
        DensityError: an event has probability 0 for the model that drew it.
    """
    generator = torch.Generator().manual_seed(seed)
    found = []
    for number, model in enumerate((sides.p, sides.q)):
        pairs = []
        for row in range(sides.rows):
            pair = sides.scored(sides.drawn(model, n // sides.rows, row, generator), row)
            if bool(torch.isinf(pair[number]).any()):
                raise DensityError(
                    f"{type(model).__name__} drew an event to which it assigns probability 0",
                    "its density and its samples disagree; compare in float64: model.double()",
                )
            pairs.append(pair)
        found.append((torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])))
    return found[0], found[1]


def _log_prob(model: Model, x: Tensor, context: Tensor | None) -> Tensor:
    """log p(x | context) [n], float64 on the CPU.

    Raises:
        DensityError: one is not a number.
    """
    with torch.no_grad():
        parts = [model.log_prob(part, context).cpu() for part in x.split(suited_batch(model))]
    log_prob = torch.cat(parts)
    if bool((torch.isnan(log_prob) | (log_prob == torch.inf)).any()):
        raise DensityError(f"{type(model).__name__} gives a log-density that is not a finite number", "fit it again")
    return log_prob
