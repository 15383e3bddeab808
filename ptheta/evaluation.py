"""How good a density is: nats per event and bits per dimension, each with a standard error over events."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.errors import DensityError
from ptheta.models import Model
from ptheta.numbers import count
from ptheta.spaces import Discrete, Space, Table

BATCH_DIMENSIONS = {"cpu": 2**14, "cuda": 2**18}
"""Dimensions scored together, by device: on a CPU, batches that stay in its caches are faster."""

BATCH_LOGITS = {"cpu": 2**26, "cuda": 2**30}
"""Logits held together, at most; for large vocabularies."""

PROBED = 64
"""Events by which the speed of scoring is measured."""

MAX_ENUMERATED = 2**22
"""Most events that are listed one by one."""


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


def suited_batch(model: Model) -> int:
    """How many events to score together on the model's device."""
    kind, space = model.device.type, model.space
    levels = space.levels if isinstance(space, Discrete) else 1
    together = min(BATCH_DIMENSIONS.get(kind, 2**17), BATCH_LOGITS.get(kind, 2**28) // levels)
    return max(1, together // space.dimensions)


def log_probs(
    model: Model, split: Split, *, batch_size: int | None = None, advance: Callable[[int], None] | None = None
) -> Tensor:
    """log p(x | context) of every event of a split, nats [n] float64 on the CPU.

    Args:
        model: with an exact density.
        split: events and contexts.
        batch_size: events scored together; None chooses by their size.
        advance: called with the number of events done after each batch.
    """
    batch_size = batch_size or suited_batch(model)
    parts: list[Tensor] = []
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(split), batch_size):
            index = torch.arange(start, min(start + batch_size, len(split)))
            x, context = split.events(index)
            parts.append(model.log_prob(x, context).cpu())
            if advance:
                advance(len(index))
    model.train(training)
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def evaluate(
    model: Model, split: Split, *, limit: int | None = None, advance: Callable[[int], None] | None = None
) -> Score:
    """Score a split, or a seeded random part of it.

    Args:
        model: with an exact density.
        split: events and contexts.
        limit: score at most so many events.
        advance: called with the number of events done after each batch.
    """
    part = split if limit is None or limit >= len(split) else split.subset(limit, seed=0)
    return Score.of(log_probs(model, part, advance=advance), model.space.dimensions)


def affordable(model: Model, split: Split, seconds: float) -> int:
    """How many events of a split can be scored in about so many seconds, measured on a few of them.

    Args:
        model: with an exact density.
        split: at least `PROBED` events are afforded, if there are so many and they do not take longer by themselves.
        seconds: to be spent.
    """
    probe = split.subset(PROBED)
    size, done, clock = suited_batch(model), 0, time.perf_counter()
    while done < len(probe) and (done == 0 or time.perf_counter() - clock < seconds / 2):
        rows = np.arange(done, min(done + size, len(probe)))
        log_probs(model, Split(probe.x[rows], None if probe.context is None else probe.context[rows]))
        done += len(rows)
    rate = done / (time.perf_counter() - clock)
    return min(len(split), max(done, int(rate * seconds)))


def enumerate_events(space: Space) -> Tensor:
    """All events of a small discrete space or table of categories, [N, *shape], the last dimension varying fastest.

    Raises:
        DensityError: there are more than 2^22 of them, or uncountably many.
    """
    return next(enumerated(space, MAX_ENUMERATED))


def enumerated(space: Space, size: int) -> Iterator[Tensor]:
    """The events of `enumerate_events` in their order, at most `size` of them at a time, [n, *shape].

    Raises:
        DensityError: there are more than 2^22 of them, or uncountably many.
    """
    events_in_all = space.event_count
    if not isinstance(space, Discrete | Table) or events_in_all is None:
        raise DensityError(f"{space} has uncountably many events", "integrate instead, or use a discrete space")
    if events_in_all > MAX_ENUMERATED:
        raise DensityError(
            f"{space} has {count(events_in_all)} events, too many to list",
            f"at most {MAX_ENUMERATED:,} are listed; score samples instead",
        )
    discrete = isinstance(space, Discrete)
    sizes = torch.tensor(
        (space.sizes or (space.levels,) * space.dimensions) if discrete else [c.codes for c in space.columns]
    )
    places = sizes.flip(0).cumprod(0).flip(0) // sizes  # [m], how many events share a value and all before it
    listed = (
        torch.arange(start, min(start + size, events_in_all))[:, None] // places % sizes
        for start in range(0, events_in_all, size)
    )
    if discrete:
        return (x.reshape(-1, *space.shape) for x in listed)
    levels = torch.tensor([column.levels for column in space.columns])
    return (torch.where(x < levels, x.double(), torch.nan) for x in listed)
