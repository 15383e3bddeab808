"""Which objective a fit has, and its options among the settings that were given."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from ptheta.data import Data
from ptheta.errors import UsageError, nearest
from ptheta.models import Model, family
from ptheta.training import OBJECTIVES, Objective, ReverseKL, Settings, Target, World


def check_names(settings: Iterable[str]) -> None:
    """Check that every name is a setting of learning, or an option of some objective.

    Raises:
        UsageError: one is neither; the nearest is named.
    """
    known = [*Settings.names(), *(name for kind in OBJECTIVES.values() for name in kind.options())]
    if unknown := sorted(set(settings) - set(known)):
        raise UsageError(f"fit has no setting {unknown[0]!r}", nearest(unknown[0], known))


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
            what = "needs a target" if others == [ReverseKL.name] else f"is not one of {kind.name}"
            remedy = "leave it out, or give target=f" if others == [ReverseKL.name] else "leave it out"
            raise UsageError(f"{name} is an option of {', '.join(others)}, which {what}", remedy)
    options = {name: given.get(name, parameter.default) for name, parameter in own.items()}
    return {name: value for name, value in settings.items() if name not in own}, options


def objective_for(
    kind: type[Objective],
    model: Model,
    data: Data,
    target: Target | None,
    settings: Settings,
    options: Mapping[str, Any],
    seed: int,
    world: World,
) -> Objective:
    """What is minimised, of the training and validation events or of a target."""
    if target is not None:
        return ReverseKL(model, target, settings, seed=seed, world=world, **options)
    return kind.on(model, data, settings, seed=seed, world=world, **options)
