"""What a fit minimises."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any, ClassVar

from torch import Tensor, nn

from ptheta.models import Model
from ptheta.training.distributed import World
from ptheta.training.precision import autocast
from ptheta.training.settings import Settings


@dataclass(frozen=True)
class Verdict:
    """How good weights are.

    Attributes:
        nats: what is compared, lower is better.
        record: what the metrics are told of it, by name.
    """

    nats: float
    record: dict[str, Any]


class Objective(ABC):
    """What is minimised.

    Args:
        model: on the world's device.
        settings: of learning.
        seed: of all randomness.
        world: processes that learn together.
    """

    name: ClassVar[str]
    running: ClassVar[str]
    """What the running mean of the loss is called in the metrics."""
    dropout: ClassVar[bool]
    """Whether a step's loss is computed with dropout."""

    def __init__(self, model: Model, settings: Settings, *, seed: int, world: World):
        self.model, self.settings, self.seed, self.world = model, settings, seed, world
        self.autocast = autocast(settings.precision, world.device.type, model.dtype)

    @property
    @abstractmethod
    def steps_per_epoch(self) -> int:
        """Steps in which every training event is seen once."""

    @abstractmethod
    def prepare(self) -> None:
        """Set data-dependent constants of the model, once, before learning."""

    @abstractmethod
    def rows(self, step: int, progress: float) -> tuple[Tensor | None, ...]:
        """What this process's loss of a step is made of: tensors [n, …] that may be cut into parts, or None.

        Args:
            step: number of the step.
            progress: fraction of the budget used.
        """

    @abstractmethod
    def loss(self) -> nn.Module:
        """A module of (*rows, player) → mean loss, nats per dimension, which compilation and data parallelism wrap."""

    @abstractmethod
    def judge(self, model: Model, n: int) -> Verdict | None:
        """Judge weights by at most n events; None if there are none to judge by."""

    @abstractmethod
    def affordable(self, model: Model, seconds: float) -> int:
        """How many events can be judged by in about so many seconds."""
