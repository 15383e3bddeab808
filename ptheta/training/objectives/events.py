"""Training events as objectives take them: batches of a step, and chunks by which a model is prepared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Self

import torch
from torch import Tensor

from ptheta.data import Data, Split
from ptheta.errors import FitError
from ptheta.models import Model
from ptheta.training.distributed import World
from ptheta.training.objectives.base import Objective
from ptheta.training.randomness import generator
from ptheta.training.settings import Settings

PREPARE_EVENTS = 50_000
"""Training events from which data-dependent constants are set."""

PREPARE_VALUES = 2**24
"""Values of them that are held at once."""


class Events:
    """Batches in an order that is a function of seed and step.

    Args:
        train: events.
        batch_size: of a step, over all processes; at most the whole split.
        seed: of the order and of drawn binarisation.
        world: processes that learn together.

    Raises:
        FitError: there are too few training events.
    """

    def __init__(self, train: Split, batch_size: int, seed: int, world: World):
        if len(train) < world.size:
            few = f"{len(train)} training events for {world.size} processes" if len(train) else "no training events"
            raise FitError(f"there are {few}", "give more data")
        self.train, self.seed, self.world = train, seed, world
        self.batch = min(batch_size, len(train) // world.size * world.size)
        world.check(self.batch)
        self._order: tuple[int, Tensor] | None = None  # of the present epoch

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the training events."""
        return max(1, len(self.train) // self.batch)

    def rows(self, step: int) -> tuple[Tensor, Tensor | None]:
        """Events and contexts of this process's share of a step's batch."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, torch.randperm(len(self.train), generator=generator(self.seed, 2, epoch))
        rows = self._order[1][at * self.batch : (at + 1) * self.batch]
        x, context = self.train.events(rows, generator(self.seed, 3, step))
        mine = self.world.share(torch.arange(len(rows)))
        return x[mine], None if context is None else context[mine]

    def show(self, model: Model) -> None:
        """Prepare a model by some training events and their contexts, a chunk at a time; by the same ones whatever the
        seed, so that members of an ensemble see numbers in the same units."""
        count = min(len(self.train), PREPARE_EVENTS)
        rows = torch.randperm(len(self.train), generator=generator(0, 0))[:count]
        model.prepare(Shown(self.train, rows, self.world.device))
        if self.train.context is not None:
            contexts = Shown(self.train, rows, self.world.device, contexts=True)
            model.prepare_context(contexts)
            model.prepare_pairs(Shown(self.train, rows, self.world.device), contexts)


class Shown(Iterable[Tensor]):
    """Training events, or their contexts, in chunks; the same ones every time they are gone through.

    Args:
        split: of the events.
        rows: numbers of them [n].
        device: of the model.
        contexts: give the contexts, not the events.
    """

    def __init__(self, split: Split, rows: Tensor, device: torch.device, *, contexts: bool = False):
        self.split, self.device, self.of_contexts = split, device, contexts
        dimensions = max(split.x[0].size, 1 if split.context is None else split.context[0].size, 1)
        self.parts = rows.split(max(1, PREPARE_VALUES // dimensions))

    def __iter__(self) -> Iterator[Tensor]:
        source = generator(0, 1)
        for rows in self.parts:
            x, context = self.split.events(rows, source)
            shown = context if self.of_contexts else x
            assert shown is not None
            yield shown.to(self.device)


class EventObjective(Objective):
    """Base of the objectives that learn from training events and are judged on validation events.

    Args:
        model, settings, seed, world: see `Objective`.
        train, validation: events.

    Raises:
        FitError: there are too few training events.
    """

    def __init__(self, model: Model, train: Split, validation: Split, settings: Settings, *, seed: int, world: World):
        super().__init__(model, settings, seed=seed, world=world)
        self.train, self.validation = train, validation
        self.events = Events(train, settings.batch_size, seed, world)

    @classmethod
    def on(cls, model: Model, data: Data, settings: Settings, *, seed: int, world: World, **options: Any) -> Self:
        """On the splits of data; without a validation split, judged on the training events."""
        validation = data.splits.get("validation", data.train)
        return cls(model, data.train, validation, settings, seed=seed, world=world, **options)

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the training events."""
        return self.events.steps_per_epoch

    def prepare(self) -> None:
        """Show the model some training events."""
        self.events.show(self.model)

    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """Events and contexts of this process's share of the batch."""
        return self.events.rows(step)
