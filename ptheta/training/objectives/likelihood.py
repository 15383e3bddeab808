"""Maximum likelihood: forward KL from the data to the model, up to the entropy of the data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from torch import Tensor, nn

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.evaluation.nats import affordable, evaluate
from ptheta.evaluation.results import KEYS
from ptheta.models import Density, Model
from ptheta.training.distributed import World
from ptheta.training.objectives.base import Verdict
from ptheta.training.objectives.events import EventObjective
from ptheta.training.players import Player
from ptheta.training.settings import Settings


class MaximumLikelihood(EventObjective):
    """The model's own loss, a mean negative log-likelihood (or its bound) for most, on training events.

    Args:
        model, settings, seed, world: see `Objective`.
        train, validation: events.

    Raises:
        FitError: there are too few training events.
    """

    name = "maximum_likelihood"

    def __init__(self, model: Model, train: Split, validation: Split, settings: Settings, *, seed: int, world: World):
        super().__init__(model, train, validation, settings, seed=seed, world=world)
        if model.density is Density.IMPLICIT:
            name = type(model).__name__
            raise FitError(f"{name} has no density, and maximum likelihood needs one", "fit it with ptheta.fit")

    @property
    def running(self) -> str:
        """Nats of training events, or their bound."""
        return f"train_{KEYS[self.model.density]}"

    def players(self) -> dict[str, Player]:
        """The model."""
        return {"model": Player(LikelihoodLoss(self.model, self.autocast))}

    @classmethod
    def trial(cls, model: Model, cast: Callable[[], Any]) -> dict[str, nn.Module]:
        """The loss itself."""
        return {"model": LikelihoodLoss(model, cast)}

    def judge(self, model: Model, n: int) -> Verdict | None:
        """Mean −log p of validation events, or of its bound."""
        if not len(self.validation):
            return None
        score = evaluate(model, self.validation, limit=n)
        key = f"validation_{KEYS[score.density]}"
        text = f"validation {'≤ ' * score.is_bound}{score.value:.2f} nats"
        return Verdict(score.value, text, {key: score.value, f"{key}_se": score.se}, score.value)

    def affordable(self, model: Model, seconds: float) -> int:
        """By a measurement on a few of them."""
        return affordable(model, self.validation, seconds) if len(self.validation) else 0


class LikelihoodLoss(nn.Module):
    """Mean −log p of events, or of its bound, in nats a dimension.

    Args:
        model: that learns.
        cast: context manager of the arithmetic.
    """

    def __init__(self, model: Model, cast: Callable[[], Any] = contextlib.nullcontext):
        super().__init__()
        self.model, self.cast = model, cast

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Events [n, *space.shape] and contexts → a scalar."""
        with self.cast():
            fitted = self.model.fitted(x, self.model.without_some(context))
            return -fitted.mean() / self.model.space.dimensions
