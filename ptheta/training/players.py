"""Who learns: the modules that an objective moves, each by its own loss and in its own turns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn


@dataclass(frozen=True)
class Player:
    """What is moved together, and by which loss.

    Args:
        loss: a module of (*rows of a step) → its mean loss, a scalar, that holds exactly this player's parameters;
            those of others it may use, but not register. Compilation, data parallelism, clipping and accumulation
            apply to it.
        learning_rate: peak rate; None: that of the settings.
        betas: of Adam's moments.
        every: it moves in one of every `every` steps.
        compiles: whether torch.compile takes its loss, which it does not if that needs second derivatives.
    """

    loss: nn.Module
    learning_rate: float | None = None
    betas: tuple[float, float] = (0.9, 0.99)
    every: int = 1
    compiles: bool = True


@contextmanager
def turn(name: str, players: Mapping[str, Player]) -> Iterator[None]:
    """The turn of a player: within, no gradient is kept for the parameters of the others."""
    own = {id(parameter) for parameter in players[name].loss.parameters()}
    others = [
        parameter
        for other, player in players.items()
        if other != name
        for parameter in player.loss.parameters()
        if parameter.requires_grad and id(parameter) not in own
    ]
    for parameter in others:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in others:
            parameter.requires_grad_(True)
