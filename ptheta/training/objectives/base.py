"""What a fit minimises: who learns, what a step is made of, and how weights are judged. The loop knows nothing of it.

MaximumLikelihood    mean −log p of training events, or its bound: forward KL from the data, up to their entropy
ReverseKL            E_q[log q − log f] for an unnormalised density f
Adversarial          a game against an opponent that learns to tell samples from training events
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Self

from torch import Tensor, nn

from ptheta.data import Data, Split
from ptheta.models import Model
from ptheta.training.distributed import World
from ptheta.training.players import Player
from ptheta.training.precision import autocast
from ptheta.training.settings import Settings


@dataclass(frozen=True)
class Verdict:
    """How good weights are.

    Attributes:
        value: what is compared, lower is better.
        text: the value with its name and unit, for a person.
        record: what the metrics keep, by name.
        nats: the value where it is nats of an event, so that it can be reported in bits, too.
    """

    value: float
    text: str
    record: dict[str, Any]
    nats: float | None = None


class Objective(ABC):
    """What is minimised.

    Keyword arguments of a subclass's constructor, with defaults, beside those below are its options, and flags of
    `ptheta fit`; `Args:` in its docstring is their help.

    Args:
        model: on the world's device.
        settings: of learning.
        seed: of all randomness.
        world: processes that learn together.
    """

    name: ClassVar[str]
    dropout: ClassVar[bool] = True
    """Whether a step's loss is computed in training mode."""
    anneals: ClassVar[bool] = False
    """Whether a fit may come to an early end where validation no longer improves."""

    def __init__(self, model: Model, settings: Settings, *, seed: int, world: World):
        self.model, self.settings, self.seed, self.world = model, settings, seed, world
        self.autocast = autocast(settings.precision, world.device.type, model.dtype)
        self.scaffolding: dict[str, nn.Module] = {}
        """What is learned beside the model and is not part of it: kept in checkpoints, never among the weights."""

    @classmethod
    def options(cls) -> dict[str, inspect.Parameter]:
        """Name → parameter (type, default) of every option."""
        parameters = inspect.signature(cls.__init__, eval_str=True).parameters
        common = ("seed", "world")
        return {k: v for k, v in parameters.items() if v.kind is v.KEYWORD_ONLY and k not in common}

    @classmethod
    @abstractmethod
    def on(cls, model: Model, data: Data, settings: Settings, *, seed: int, world: World, **options: Any) -> Self:
        """The objective on training events, judged on validation events."""

    @classmethod
    @abstractmethod
    def trial(cls, model: Model, cast: Callable[[], Any]) -> dict[str, nn.Module]:
        """Loss modules of (x, context) that cost what those of the players do, for a throw-away model."""

    @abstractmethod
    def players(self) -> dict[str, Player]:
        """Who learns, in the order of their turns; the same players every time."""

    @property
    @abstractmethod
    def running(self) -> str:
        """What the running mean of the loss is called in the metrics."""

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Steps in which every training event is seen once."""

    @abstractmethod
    def prepare(self) -> None:
        """Set data-dependent constants of the model, once, before learning."""

    @abstractmethod
    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """What this process's losses of a step are made of: tensors [n, …] that may be cut into parts, or None.

        Args:
            step: number of the step.
            progress: fraction of the budget used.
        """

    def reported(self, losses: Mapping[str, float]) -> float | None:
        """The losses of a step as one number, whose running mean is kept: that of the player `model`, of an event.

        Args:
            losses: of the players that moved.
        """
        value = losses.get("model")
        return None if value is None else value * self.model.space.dimensions

    @abstractmethod
    def judge(self, model: Model, n: int) -> Verdict | None:
        """Judge weights by at most n events; None if there are none to judge by."""

    def conclude(self, model: Model, events: Split) -> dict[str, Any]:
        """What the results of a fit get beside the score of the events that were held out, by name."""
        return {}

    @abstractmethod
    def affordable(self, model: Model, seconds: float) -> int:
        """How many events can be judged by in about this many seconds."""
