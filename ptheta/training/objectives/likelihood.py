"""What a fit minimises: what a step is made of, its loss, and how weights are judged. The loop knows nothing of it.

MaximumLikelihood    mean −log p of training events: forward KL from the data, up to their entropy
ReverseKL            E_q[log q − log f] for an unnormalised density f (`ptheta.training.objectives.reverse_kl`)
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.evaluation.nats import affordable, evaluate
from ptheta.models import Model
from ptheta.training.distributed import World
from ptheta.training.objectives.base import Objective, Verdict
from ptheta.training.randomness import generator
from ptheta.training.settings import Settings

PREPARE_EVENTS = 50_000
"""Training events from which data-dependent constants are set."""


class MaximumLikelihood(Objective):
    """The model's own loss, a mean negative log-likelihood (or its bound) for most, on training events.

    Args:
        model, settings, seed, world: see `Objective`.
        train, validation: events.

    Raises:
        FitError: there are too few training events.
    """

    name = "maximum_likelihood"
    running = "train_nats"
    dropout = True

    def __init__(self, model: Model, train: Split, validation: Split, settings: Settings, *, seed: int, world: World):
        super().__init__(model, settings, seed=seed, world=world)
        if len(train) < world.size:
            few = f"{len(train)} training events for {world.size} processes" if len(train) else "no training events"
            raise FitError(f"there are {few}", "give more data")
        self.train, self.validation = train, validation
        self.batch = min(settings.batch_size, len(train) // world.size * world.size)
        world.check(self.batch)
        self._order: tuple[int, Tensor] | None = None  # of the present epoch

    @property
    def steps_per_epoch(self) -> int:
        """Whole batches of the training events."""
        return max(1, len(self.train) // self.batch)

    def prepare(self) -> None:
        """Show the model some training events."""
        count = min(len(self.train), PREPARE_EVENTS)
        rows = torch.randperm(len(self.train), generator=generator(self.seed, 0))[:count]
        x, context = self.train.events(rows, generator(self.seed, 1))
        self.model.prepare(x.to(self.world.device))
        if context is not None:
            self.model.prepare_context(context.to(self.world.device))

    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """Events and contexts of this process's share of the batch."""
        epoch, at = divmod(step, self.steps_per_epoch)
        if self._order is None or self._order[0] != epoch:
            self._order = epoch, torch.randperm(len(self.train), generator=generator(self.seed, 2, epoch))
        rows = self._order[1][at * self.batch : (at + 1) * self.batch]
        x, context = self.train.events(rows, generator(self.seed, 3, step))
        mine = self.world.share(torch.arange(len(rows)))
        return x[mine], None if context is None else context[mine]

    def loss(self) -> nn.Module:
        """`Model.loss` as a module."""
        return _ModelLoss(self.model, self.autocast)

    def judge(self, model: Model, n: int) -> Verdict | None:
        """Mean −log p of validation events."""
        if not len(self.validation):
            return None
        score = evaluate(model, self.validation, limit=n)
        return Verdict(score.nats, {"validation_nats": score.nats, "validation_nats_se": score.nats_se})

    def affordable(self, model: Model, seconds: float) -> int:
        """By a measurement on a few of them."""
        return affordable(model, self.validation, seconds) if len(self.validation) else 0


class _ModelLoss(nn.Module):
    def __init__(self, model: Model, autocast: Callable[[], Any]):
        super().__init__()
        self.model, self.autocast = model, autocast

    def forward(self, x: Tensor, context: Tensor | None, player: str) -> Tensor:
        with self.autocast():
            return self.model.loss(x, context, player)
