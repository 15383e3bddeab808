"""A game: the model draws events, and an opponent learns to tell them from training events.

    opponent  minimises  E softplus(−D(x)) + E softplus(D(G(z))) + γ/2 E |∇D(x)|²
    model     minimises  E softplus(−D(G(z)))

the non-saturating loss (Goodfellow et al. 2014, arXiv:1406.2661) with the gradient penalty R1 on training events
(Mescheder et al. 2018, arXiv:1801.04406). The opponent is scaffolding: checkpoints hold it, the weights do not.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.evaluation.samples import energy_distance
from ptheta.models import Model
from ptheta.models.adversarial.base import Adversarial as Implicit
from ptheta.models.conditions import left_out
from ptheta.training.distributed import World
from ptheta.training.objectives.base import Verdict
from ptheta.training.objectives.events import EventObjective
from ptheta.training.players import Player
from ptheta.training.randomness import generator, mix
from ptheta.training.settings import Settings

BETAS = (0.5, 0.99)
"""Of both players: little momentum, since each is a moving target for the other."""

JUDGED = 1_000
"""Events that weights are judged by, at most; the time grows with their square."""


class Adversarial(EventObjective):
    """The model against an opponent.

    Args:
        model, settings, seed, world: see `Objective`.
        train, validation: events.
        r1: γ, strength of the gradient penalty on training events
        opponent_learning_rate: peak rate of the opponent; that of the model if left out

    Raises:
        FitError: the model has no opponent, or there are too few training events.
    """

    name = "adversarial"

    def __init__(
        self,
        model: Model,
        train: Split,
        validation: Split,
        settings: Settings,
        *,
        seed: int,
        world: World,
        r1: float = 0.1,
        opponent_learning_rate: float | None = None,
    ):
        super().__init__(model, train, validation, settings, seed=seed, world=world)
        if not isinstance(model, Implicit):
            raise FitError(f"{type(model).__name__} has no opponent", "leave out objective=")
        if not 0 <= r1 < math.inf:
            raise FitError(f"r1 is {r1}", "give a finite number of at least 0")
        if opponent_learning_rate is not None and not 0 < opponent_learning_rate < math.inf:
            raise FitError(f"opponent_learning_rate is {opponent_learning_rate}", "give a finite number above 0")
        if len(train) < 2 * world.size * settings.accumulate:
            raise FitError(f"{len(train)} training events are too few for an opponent", "give more data")
        self.generator = model
        self.r1, self.opponent_learning_rate = r1, opponent_learning_rate
        self.opponent = model.opponent(mix(seed, 6))
        self.scaffolding = {"opponent": self.opponent}

    @property
    def running(self) -> str:
        """The model's own loss."""
        return "train_loss"

    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """Events and contexts of this process's share of the batch; some contexts are left out, for both players."""
        x, context = self.events.rows(step)
        space, part = self.model.context_space, self.model.context_dropout
        if context is not None and space is not None and part:
            context = left_out(context, space, part, generator(self.seed, 7, step, self.world.rank))
        return x, context

    def players(self) -> dict[str, Player]:
        """The opponent, and then the model."""
        return {
            "opponent": Player(
                OpponentLoss(self.generator, self.opponent, self.autocast, self.r1),
                self.opponent_learning_rate,
                BETAS,
                compiles=self.r1 == 0,
            ),
            "model": Player(GeneratorLoss(self.generator, self.opponent, self.autocast), None, BETAS),
        }

    @classmethod
    def trial(cls, model: Model, cast: Callable[[], Any]) -> dict[str, nn.Module]:
        """Both losses, with a throw-away opponent."""
        assert isinstance(model, Implicit)
        opponent = model.opponent(0)
        return {
            "opponent": OpponentLoss(model, opponent, cast, 0.1),
            "model": GeneratorLoss(model, opponent, cast),
        }

    def reported(self, losses: Mapping[str, float]) -> float | None:
        """The model's loss."""
        return losses.get("model")

    def judge(self, model: Model, n: int) -> Verdict | None:
        """Energy distance of samples from validation events, as signals."""
        if len(self.validation) < 2:
            return None
        found = self._distance(model, self.validation.subset(min(n, JUDGED)))
        return Verdict(found, f"energy distance {found:.4f}", {"validation_energy_distance": found})

    def conclude(self, model: Model, events: Split) -> dict[str, Any]:
        """The same of at most `JUDGED` events that were held out, and how many they are."""
        if len(events) < 2:
            return {}
        part = events.subset(JUDGED)
        return {"energy_distance": self._distance(model, part), "n": len(part)}

    def _distance(self, model: Model, events: Split) -> float:
        """Energy distance of samples, given the events' contexts, from the events, as signals."""
        assert isinstance(model, Implicit)
        x, context = events.events()
        context = None if context is None else context.to(model.device)
        drawn = model.sample(len(x), context, seed=mix(self.seed, 5))
        return energy_distance(
            *(model.signal(part.to(model.device)).reshape(len(part), -1).cpu() for part in (x, drawn))
        )

    def affordable(self, model: Model, seconds: float) -> int:
        """All that are judged by at most."""
        return min(JUDGED, len(self.validation))


class OpponentLoss(nn.Module):
    """How badly the opponent distinguishes samples from training events.

    Args:
        model: draws the samples.
        opponent: that learns.
        cast: context manager of the arithmetic.
        r1: strength of the gradient penalty.
    """

    def __init__(self, model: Implicit, opponent: nn.Module, cast: Callable[[], Any], r1: float):
        super().__init__()
        self.opponent, self.cast, self.r1 = opponent, cast, r1
        self._model = (model,)  # used, and not registered: it is not this player's

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """Events [n, *space.shape] and contexts → a scalar."""
        (model,) = self._model
        with self.cast():
            with torch.no_grad():
                drawn = model.generate(len(x), context)
            real = model.signal(x).requires_grad_(self.r1 > 0)
            scores = self.opponent(real, context)
            loss = F.softplus(-scores).mean() + F.softplus(self.opponent(drawn, context)).mean()
        if self.r1 > 0:
            (slope,) = torch.autograd.grad(scores.sum(), real, create_graph=True)
            loss = loss + 0.5 * self.r1 * slope.reshape(len(x), -1).square().sum(1).mean()
        return loss


class GeneratorLoss(nn.Module):
    """How well the opponent recognises the model's samples.

    Args:
        model: that learns.
        opponent: scores the samples.
        cast: context manager of the arithmetic.
    """

    def __init__(self, model: Implicit, opponent: nn.Module, cast: Callable[[], Any]):
        super().__init__()
        self.model, self.cast = model, cast
        self._opponent = (opponent,)  # used, and not registered: it is not this player's

    def forward(self, x: Tensor, context: Tensor | None) -> Tensor:
        """As many samples as there are events → a scalar."""
        (opponent,) = self._opponent
        with self.cast():
            return F.softplus(-opponent(self.model.generate(len(x), context), context)).mean()
