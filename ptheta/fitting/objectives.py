"""Which objective a fit has, and its options among the settings that were given."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from ptheta.data import Data
from ptheta.errors import UsageError
from ptheta.fitting.means import limit_of
from ptheta.models import Model, family
from ptheta.training import OBJECTIVES, Budget, Objective, ReverseKL, Settings, Target, World, local_device


def check_numbers(
    given: Mapping[str, Any],
    settings: Mapping[str, Any],
    memory: float | None,
    device: Any,
    members: int | str | None = None,
) -> None:
    """Check what can be checked before data are loaded: budget, settings of learning, memory, device.

    Args:
        given: minutes, steps and epochs; all None: the default.
        settings: of learning and of objectives; None counts as not given.
        memory: GiB, or None.
        device: its name.
        members: their number, `auto` or None.

    Raises:
        PthetaError: a value makes no sense.
    """
    if isinstance(members, str) and members != "auto":
        raise UsageError(f"members is {members!r}", "give a whole number from 1, or auto")
    if isinstance(members, int) and members < 1:
        raise UsageError(f"members is {members}", "give a whole number from 1, or auto")
    if any(value is not None for value in given.values()):
        Budget(**given)
    Settings(**{name: value for name, value in settings.items() if value is not None and name in Settings.names()})
    limit_of(memory, local_device(device))


def objective_of(name: str | None, model: str | Model, target: Target | None) -> type[Objective]:
    """The objective of that name; without one that of the target, or of the family."""
    if target is not None:
        return ReverseKL
    return OBJECTIVES[name or (model if isinstance(model, Model) else family(model).load()).objective]


def divided(settings: Mapping[str, Any], kind: type[Objective]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Settings of learning, and options of an objective, with the defaults of those that were not given.

    Raises:
        UsageError: an option of another objective is given.
    """
    given = {name: value for name, value in settings.items() if value is not None}
    own = kind.options()
    for name in given:
        if name not in Settings.names() and name not in own:
            others = [other.name for other in OBJECTIVES.values() if name in other.options()]
            raise UsageError(f"{name} is an option of {', '.join(others)}, not of {kind.name}", "leave it out")
    options = {name: given.get(name, parameter.default) for name, parameter in own.items()}
    return {name: value for name, value in settings.items() if name not in own}, options


def objective_for(
    kind: type[Objective],
    data: Data,
    target: Target | None,
    settings: Settings,
    options: Mapping[str, Any],
    world: World,
    model: Model,
    seed: int,
) -> Objective:
    """What is minimised, of the training and validation events or of a target."""
    if target is not None:
        return ReverseKL(model, target, settings, seed=seed, world=world, **options)
    return kind.on(model, data, settings, seed=seed, world=world, **options)
