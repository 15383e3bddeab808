"""Maximum likelihood: forward KL from the data to the model, up to the entropy of the data."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from ptheta.data import Split
from ptheta.errors import FitError
from ptheta.evaluation.nats import affordable, evaluate
from ptheta.evaluation.results import KEYS
from ptheta.models import Autoregressive, Density, Model
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
        label_smoothing: part of every target that is spread over all levels; in training only, validation stays nats

    Raises:
        PthetaError: there are too few training events, or the family's targets cannot be smoothed.
    """

    name = "maximum_likelihood"
    anneals = True

    def __init__(
        self,
        model: Model,
        train: Split,
        validation: Split,
        settings: Settings,
        *,
        seed: int,
        world: World,
        label_smoothing: float = 0.0,
    ):
        super().__init__(model, train, validation, settings, seed=seed, world=world)
        if model.density is Density.IMPLICIT:
            name = type(model).__name__
            raise FitError(f"{name} has no density, and maximum likelihood needs one", "fit it with ptheta.fit")
        if not 0 <= label_smoothing < 1:
            raise FitError(f"label_smoothing is {label_smoothing}", "give a number from 0 to below 1")
        if label_smoothing:
            if not isinstance(model, Autoregressive) or model.any_order:
                what = f"{type(model).__name__} has no conditionals in one order, whose labels would be smoothed"
                raise FitError(what, "leave out --label-smoothing")
            x, context = (None if rows is None else rows[:1].to(world.device) for rows in self.events.rows(0))
            assert x is not None
            with torch.no_grad():  # a family whose conditionals cannot be smoothed refuses
                model.smoothed(x, context, label_smoothing)
        self.label_smoothing = label_smoothing

    @property
    def running(self) -> str:
        """Nats of training events, or their bound; smoothed ones are another number."""
        if self.label_smoothing:
            return "train_smoothed_nats"
        return f"train_{KEYS[self.model.density]}"

    def players(self) -> dict[str, Player]:
        """The model."""
        return {"model": Player(LikelihoodLoss(self.model, self.autocast, self.label_smoothing))}

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
        smoothing: of labels, of an autoregressive model in one order.
    """

    def __init__(self, model: Model, cast: Callable[[], Any] = contextlib.nullcontext, smoothing: float = 0.0):
        super().__init__()
        self.model, self.cast, self.smoothing = model, cast, smoothing

    def forward(self, x: Tensor, context: Tensor | None = None) -> Tensor:
        """Events [n, *space.shape] and contexts → a scalar."""
        with self.cast():
            shown = self.model.without_some(context)
            if self.smoothing:
                assert isinstance(self.model, Autoregressive)
                fitted = self.model.smoothed(x, shown, self.smoothing)
            else:
                fitted = self.model.fitted(x, shown)
            return -fitted.mean() / self.model.space.dimensions
