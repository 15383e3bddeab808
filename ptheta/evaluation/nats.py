"""How good a density is: nats per event and bits per dimension, each with a standard error over events."""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.evaluation.results import Score
from ptheta.models import Density, Model
from ptheta.numbers import rounded
from ptheta.spaces import Discrete

BATCH_DIMENSIONS = {"cpu": 2**14, "cuda": 2**18}
"""Dimensions scored together, by device: on a CPU, batches that stay in its caches are faster."""

BATCH_LOGITS = {"cpu": 2**26, "cuda": 2**30}
"""Logits held together, at most; for large vocabularies."""

PROBED = 64
"""Events by which the speed of scoring is measured."""


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

    Raises:
        DensityError: the density is not exact.
    """
    return _scored(model, split, lambda x, context, index: model.log_prob(x, context), batch_size, advance)


def elbos(
    model: Model,
    split: Split,
    *,
    draws: int = 1,
    seed: int = 0,
    batch_size: int | None = None,
    advance: Callable[[int], None] | None = None,
) -> Tensor:
    """log p(x | context) of every event of a split, or a lower bound on it, nats [n] float64 on the CPU.

    Args:
        model: with a density.
        split: events and contexts.
        draws, seed: of a bound, see `Model.elbo`; an event's index is its number in the whole split.
        batch_size: events scored together; None chooses by their size.
        advance: called with the number of events done after each batch.

    Raises:
        DensityError: there is no density.
    """

    def bound(x: Tensor, context: Tensor | None, index: Tensor) -> Tensor:
        numbers = index if split.numbers is None else torch.from_numpy(split.numbers)[index]
        return model.elbo(x, context, draws=draws, seed=seed, index=numbers)

    return _scored(model, split, bound, batch_size, advance)


def _scored(
    model: Model,
    split: Split,
    score: Callable[[Tensor, Tensor | None, Tensor], Tensor],
    batch_size: int | None,
    advance: Callable[[int], None] | None,
) -> Tensor:
    batch_size = batch_size or suited_batch(model)
    parts: list[Tensor] = []
    training = model.training
    model.eval()
    with torch.no_grad():
        for start in range(0, len(split), batch_size):
            index = torch.arange(start, min(start + batch_size, len(split)))
            x, context = split.events(index)
            parts.append(score(x, context, index).cpu())
            if advance:
                advance(len(index))
    model.train(training)
    return torch.cat(parts) if parts else torch.zeros(0, dtype=torch.float64)


def evaluate(
    model: Model,
    split: Split,
    *,
    limit: int | None = None,
    draws: int = 1,
    seed: int = 0,
    advance: Callable[[int], None] | None = None,
) -> Score:
    """Score a split, or a seeded random part of it.

    Args:
        model: any; of one without a density the score says so.
        split: events and contexts.
        limit: score at most this many events.
        draws, seed: of a bound, see `Model.elbo`.
        advance: called with the number of events done after each batch.
    """
    part = split if limit is None or limit >= len(split) else split.subset(limit, seed=0)
    if model.density is Density.IMPLICIT:
        return Score.none(len(part), model.space.dimensions)
    scored = elbos(model, part, draws=draws, seed=seed, advance=advance)
    return Score.of(scored, model.space.dimensions, model.density)


def affordable(model: Model, split: Split, seconds: float) -> int:
    """How many events of a split can be scored in about this many seconds, measured on a few; a round number.

    Args:
        model: with a density; all events are afforded without one, since none is scored.
        split: of the events.
        seconds: to be spent.
    """
    if model.density is Density.IMPLICIT:
        return len(split)
    probe = split.subset(PROBED)
    size, done, clock = suited_batch(model), 0, time.perf_counter()
    while done < len(probe) and (done == 0 or time.perf_counter() - clock < seconds / 2):
        rows = np.arange(done, min(done + size, len(probe)))
        elbos(model, Split(probe.x[rows], None if probe.context is None else probe.context[rows]))
        done += len(rows)
    rate = done / (time.perf_counter() - clock)
    return rounded(max(done, rate * seconds), len(split))
