"""What can be chosen about learning; a family's `recipe` gives its defaults."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields, replace
from typing import Any, Literal, get_args, get_type_hints

from ptheta.errors import FitError, nearest
from ptheta.models import Model
from ptheta.typed import checked

Optimizer = Literal["adamw", "muon"]
Precision = Literal["auto", "float32", "bfloat16", "native"]
OPTIMIZERS, PRECISIONS = get_args(Optimizer), get_args(Precision)


@dataclass(frozen=True)
class Settings:
    """Settings of a gradient fit.

    Attributes:
        batch_size: events of one optimiser step, over all processes.
        optimizer: `adamw`, or `muon` (Muon on hidden matrices, AdamW on the rest).
        learning_rate: peak rate; planned over the budget.
        weight_decay: decoupled, on matrices only.
        average: decay of the exponential moving average of weights that is validated and kept; 0 for none.
        accumulate: parts into which a batch is cut to save memory; the step is the same.
        clip: largest norm of the gradient.
        warmup: fraction of the budget spent raising the learning rate.
        hold: fraction of the budget at which it begins to fall.
        patience: fraction of the steps up to the best weights after which, if validation has become worse since, the
            fit goes back to them and lowers the rate to 0 in as many steps; 0: never.
        precision: `float32`; `bfloat16` (autocast); `native`: bfloat16 where the processor or GPU computes in it, else
            float32; `auto`: bfloat16 on a GPU.
        compile: compile the loss with torch.compile; None: only on a GPU and for budgets of 5 minutes or more.
        validation_events: at most this many validation events decide which weights are best.
        checkpoint_seconds: time between checkpoints.
    """

    batch_size: int = 64
    optimizer: Optimizer = "adamw"
    learning_rate: float = 1e-3
    weight_decay: float = 0.01
    average: float = 0.0
    accumulate: int = 1
    clip: float = 1.0
    warmup: float = 0.02
    hold: float = 0.4
    patience: float = 0.3
    precision: Precision = "auto"
    compile: bool | None = None
    validation_events: int = 2000
    checkpoint_seconds: float = 60.0

    def __post_init__(self):
        for name, kind in get_type_hints(type(self)).items():
            object.__setattr__(self, name, checked(name, getattr(self, name), kind))
        for name in ("batch_size", "accumulate", "validation_events"):
            if getattr(self, name) < 1:
                raise FitError(f"{name} is {getattr(self, name)}", "give at least 1")
        if not 0 < self.learning_rate < math.inf:
            raise FitError(f"learning_rate is {self.learning_rate}", "give a number above 0")
        for name in ("average", "warmup", "hold"):
            if not 0 <= getattr(self, name) < 1:
                raise FitError(f"{name} is {getattr(self, name)}", "give a number from 0 to below 1")
        if not 0 <= self.patience < math.inf:
            raise FitError(f"patience is {self.patience}", "give a finite number of at least 0")
        for name in ("weight_decay", "clip", "checkpoint_seconds"):
            if not getattr(self, name) >= 0:
                raise FitError(f"{name} is {getattr(self, name)}", "give a number of at least 0")
        for name, known in (("optimizer", OPTIMIZERS), ("precision", PRECISIONS)):
            if (value := getattr(self, name)) not in known:
                raise FitError(f"no {name} is called {value!r}", nearest(str(value), list(known)))

    @classmethod
    def of(cls, model: Model, **overrides: Any) -> Settings:
        """The family's recipe with overrides; an override that is None counts as not given."""
        chosen = {k: v for k, v in overrides.items() if v is not None}
        return replace(cls(**model.recipe), **chosen)

    @classmethod
    def names(cls) -> list[str]:
        """Names of all settings."""
        return [f.name for f in fields(cls)]
