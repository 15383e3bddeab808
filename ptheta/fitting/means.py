"""What a fit may take of the machine and of its budget, and the step that this leaves room for."""

from __future__ import annotations

from dataclasses import dataclass

import torch

from ptheta.errors import FitError
from ptheta.fitting.scale import FEWEST, SMALL_BATCH, enough_steps, fewest_events
from ptheta.training import Objective, ReverseKL
from ptheta.training.cost import Cost
from ptheta.training.memory import available

SHARE = 0.7
"""Part of the memory available that a fit may take."""

WANTED = 64
"""Steps that a budget in minutes should have; a batch that was not asked for is made smaller for them."""

BULK = 0.25
"""Part of a step's time that its events must take for a smaller batch to be worth it."""

ENOUGH = 20
"""Steps that a budget in minutes should have with what is proposed."""


def limit_of(memory: float | None, device: torch.device, processes: int = 1) -> float:
    """Bytes that a fit may take.

    Args:
        memory: GiB that were allowed; None: what is available, less a margin.
        device: of the fit.
        processes: on this machine, which share its memory; on GPUs each has its own.

    Raises:
        FitError: the number makes no sense.
    """
    if memory is not None and not memory > 0:
        raise FitError(f"memory is {memory}", "give a number of GiB above 0")
    whole = SHARE * available(device) if memory is None else memory * 2**30
    return whole / (processes if device.type == "cpu" else 1)


@dataclass(frozen=True)
class Step:
    """A step that was planned.

    Attributes:
        batch: its events, over all processes.
        parts: into which it is cut to save memory.
        memory, seconds: that it takes.
        fits: whether these are within limit and budget.
    """

    batch: int
    parts: int
    memory: float
    seconds: float
    fits: bool


@dataclass(frozen=True)
class Means:
    """What a fit may take.

    Attributes:
        limit: bytes.
        seconds: of the budget; None: it is in steps.
        shrinks: whether the batch may be made smaller.
        parts: whether it may be cut into more parts.
        processes: that share a batch.
        wanted: steps that a budget in minutes should have.
        fewest: events that a batch is made smaller to, unless next to no steps fit.
    """

    limit: float
    seconds: float | None = None
    shrinks: bool = True
    parts: bool = True
    processes: int = 1
    wanted: float = WANTED
    fewest: int = FEWEST

    def plan(self, cost: Cost, batch: int, parts: int = 1) -> Step:
        """A step of at most this many events in at least this many parts that fits, as far as one does."""
        size = self.processes
        while self.shrinks and self.seconds and batch >= 2 * size:
            seconds = cost.seconds(batch // size, parts)
            wanted = self.wanted if batch > SMALL_BATCH * size else self.wanted / 2
            if wanted * seconds <= self.seconds or batch // size * cost.pace < BULK * seconds:
                break
            if batch // 2 < max(self.fewest, size) and ENOUGH * seconds <= self.seconds:
                break
            batch = batch // 2 // size * size
        share = batch // size
        parts = min(parts, share)
        while self.parts and parts < share and cost.memory(-(-share // parts)) > self.limit:
            parts = min(share, 2 * parts)
        memory, seconds = cost.memory(-(-share // parts)), cost.seconds(share, parts)
        fits = memory <= self.limit and (self.seconds is None or seconds <= self.seconds)
        return Step(batch, parts, memory, seconds, fits)


def means_of(
    seconds: float | None,
    batch: int | None,
    limit: float,
    objective: type[Objective],
    *,
    dimensions: int,
    resuming: bool,
    processes: int,
) -> Means:
    """What a fit may take, and what may be changed of what was asked for.

    Args:
        seconds: of learning; None: the budget is in steps.
        batch: that was asked for.
        limit: bytes.
        objective: of the fit.
        dimensions: of an event.
        resuming: whether it began earlier.
        processes: that share a batch.
    """
    free = objective is not ReverseKL and not resuming
    wanted = enough_steps(seconds) if seconds and objective.anneals else WANTED
    return Means(
        limit,
        seconds,
        free and batch is None,
        free,
        processes,
        max(WANTED, wanted),
        fewest_events(dimensions),
    )
