"""The state of an unfinished fit, and its file: everything that exact resumption needs, in one rename."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.optim import Optimizer

from ptheta.errors import RunError
from ptheta.training.annealing import Annealing
from ptheta.weights import read_tensors, write_tensors


@dataclass
class Position:
    """Where a fit stands. The randomness of a step is a function of (seed, step), so no generator state is kept.

    Attributes:
        seed: of shuffling, dropout and drawn binarisation.
        fingerprint: of the data.
        step: optimiser steps done.
        seconds: learned so far.
        next_validation: progress (fraction of the budget) at which the next validation is due.
        best: lowest value of validation so far, as the objective judges.
        best_step: the step it belongs to.
        validated: validation events by which weights are judged; 0 until the first validation.
        finished: the budget was used up.
        mean: running mean of the loss, as the objective reports it.
        before: seconds of a budget in minutes that passed before learning, in all commands of the fit.
        since: validations since the best one, in their order.
        annealing: the end of a fit that no longer improved; None: it has not begun.
        member: number of the member that learns; step, seconds and all before `before` are its own.
        length: steps that this member takes; 0: what the budget gives.
        earlier_steps, earlier_seconds: of the members before it.
        together: validation of the mixture of the members before it.
    """

    seed: int
    fingerprint: str
    step: int = 0
    seconds: float = 0.0
    next_validation: float = 0.0
    best: float = float("inf")
    best_step: int = -1
    validated: int = 0
    finished: bool = False
    mean: float = float("nan")
    before: float = 0.0
    since: list[float] = field(default_factory=list)
    annealing: Annealing | None = None
    member: int = 0
    length: int = 0
    earlier_steps: int = 0
    earlier_seconds: float = 0.0
    together: float = float("inf")

    @property
    def is_settled(self) -> bool:
        """Whether learning has come to its own end before that of the budget."""
        return self.annealing is not None and self.step >= self.annealing.start + self.annealing.steps

    @property
    def effective_steps(self) -> int:
        """Steps that led to these weights: those up to the best ones, and the annealing."""
        return self.step if self.annealing is None else self.annealing.source + self.annealing.steps

    @property
    def all_steps(self) -> int:
        """Steps of this member and of those before it."""
        return self.earlier_steps + self.step


LATER = {
    *("mean", "before", "since", "annealing"),
    *("member", "length", "earlier_steps", "earlier_seconds", "together"),
}
"""Fields that checkpoints of older runs lack."""


State = tuple[Position, dict[str, dict[str, Tensor]]]
"""What a checkpoint holds: the position, and tensors by what they are of."""


def save_state(
    path: Path,
    position: Position,
    modules: Mapping[str, nn.Module | Mapping[str, Tensor]],
    many: list[Optimizer],
) -> None:
    """Write the whole state to one file.

    Args:
        path: of the file.
        position: where the fit stands.
        modules: name → module, or name → tensors (weights being learned, their average, the best so far).
        many: optimisers.
    """
    tensors: dict[str, Tensor] = {}
    for name, module in modules.items():
        state = module.state_dict() if isinstance(module, nn.Module) else module
        tensors |= {f"{name}/{k}": v for k, v in state.items()}
    for number, optimiser in enumerate(many):
        for parameter, slots in optimiser.state_dict()["state"].items():
            tensors |= {f"optimiser.{number}/{parameter}/{slot}": torch.as_tensor(v) for slot, v in slots.items()}
    numbers = {k: repr(v) if isinstance(v, float) else v for k, v in asdict(position).items()}
    write_tensors(path, tensors, {"position": json.dumps(numbers)})


def load_state(path: Path, *, inexact: bool = False) -> State:
    """Read what `save_state` wrote.

    Args:
        path: of the file.
        inexact: where the position is missing, begin at step 0 with the weights and optimisers of the file.

    Returns:
        the position, and the tensors grouped by the name before the slash.

    Raises:
        RunError: the file is missing or damaged, or the position in it is incomplete.
    """
    tensors, metadata = read_tensors(path)
    try:
        values: dict[str, Any] = json.loads(metadata.get("position", "{}"))
        if "best_nats" in values:  # of older runs
            values["best"] = values.pop("best_nats")
        if inexact:
            values = asdict(Position(0, "")) | {k: v for k, v in values.items() if k in Position.__dataclass_fields__}
        real = ("seconds", "next_validation", "best", "mean", "before", "earlier_seconds", "together")
        missing = sorted(Position.__dataclass_fields__.keys() - values.keys() - LATER)
        if missing:
            raise ValueError(", ".join(missing))
        values |= {k: float(values[k]) for k in real if k in values}
        if values.get("annealing") is not None:
            values["annealing"] = Annealing(**values["annealing"])
        position = Position(**values)
    except (KeyError, TypeError, ValueError) as error:
        raise RunError(
            f"{path} lacks the position of the fit ({error})",
            "fit again with --force, or continue from its weights with --resume-inexact",
        ) from error
    groups: dict[str, dict[str, Tensor]] = {}
    for key, tensor in tensors.items():
        group, _, name = key.partition("/")
        groups.setdefault(group, {})[name] = tensor
    return position, groups


def load_optimisers(many: list[Optimizer], groups: Mapping[str, Mapping[str, Tensor]]) -> None:
    """Put saved optimiser states back."""
    for number, optimiser in enumerate(many):
        slots: dict[int, dict[str, Tensor]] = {}
        for key, tensor in groups.get(f"optimiser.{number}", {}).items():
            parameter, _, slot = key.partition("/")
            slots.setdefault(int(parameter), {})[slot] = tensor
        optimiser.load_state_dict({"state": slots, "param_groups": optimiser.state_dict()["param_groups"]})
