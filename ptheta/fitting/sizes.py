"""The size of pictures that are given none: one that suits the budget."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import torch

from ptheta.data.codecs.sizes import MODEST
from ptheta.data.finding.pictures import Survey
from ptheta.fitting.defaults import default_model
from ptheta.fitting.means import limit_of
from ptheta.models import Counting, Model, family
from ptheta.models.building import build
from ptheta.models.limits import Exceeded
from ptheta.presets import preset as find_preset
from ptheta.spaces import Space
from ptheta.training import Settings, Timetable, local_device, numbers
from ptheta.training.cost import Estimate

STEPS = 150
"""Steps that a budget in minutes must have, with the batch of the recipe, for larger pictures."""

PHOTOS = 2**30
"""Bytes that a fit to pictures of a size that was not asked for may take."""

DEFAULT_MINUTES = 1.0
"""Budget of a gradient fit when none is given."""

SIDES = (16, 24, 32, 48, 64, 96, 128)
"""Sides of squares of as many pixels as pictures are brought to, if no size is asked for."""


def size_chooser(
    build: Callable[[Space], Model], settings: dict[str, Any], seconds: float | None, device: torch.device, limit: float
) -> Callable[[Survey], tuple[int, int]]:
    """Chooses the size of pictures that need one: the largest of which enough steps fit into the budget.

    Args:
        build: space → a model with random weights.
        settings: given beside the family's recipe.
        seconds: that learning may take; None: the budget is in steps, and the size is a modest one.
        device: of the fit.
        limit: bytes that it may take.
    """

    def choose(found: Survey) -> tuple[int, int]:
        if seconds is None:
            return found.about(MODEST)
        room = min(limit, PHOTOS)
        given = {name: value for name, value in settings.items() if value is not None}
        estimate = Estimate(build, of_passes(given), None, device, room)
        size = found.about(SIDES[0] ** 2)
        batch = Settings.of(build(found.space(*size).reduced(4) or found.space(*size)), **given).batch_size
        for side in SIDES:
            tried = found.about(side**2)
            if side != SIDES[0] and tried == size:
                break
            try:
                cost = estimate.at(found.space(*tried))
            except Exceeded:
                break
            if cost.memory(batch) > room or STEPS * cost.seconds(batch) > seconds:
                break
            size = tried
        return size

    return choose


def of_passes(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that an estimate depends on."""
    return {name: value for name, value in settings.items() if name in ("precision", "optimizer") and value is not None}


def photo_size(
    model: str | Model | None,
    preset: str | None,
    hyperparameters: dict[str, Any] | Callable[[str], dict[str, Any]] | None,
    settings: dict[str, Any],
    given: dict[str, Any],
    device: str | torch.device,
    memory: float | None,
    since: float | None = None,
) -> Callable[[Survey], tuple[int, int]] | None:
    """What `load` is given as the size of pictures that need one, so that the fit suits its budget.

    Args:
        model, preset, settings, device, memory, since: as for `fit`.
        hyperparameters: as for `fit`, or a function of the family that is chosen from the data.
        given: minutes, steps and epochs.
    """
    if isinstance(model, Model):
        return None
    recipe = None if preset is None else find_preset(preset)
    minutes, started = given["minutes"], time.perf_counter() if since is None else since
    if not any(value is not None for value in given.values()):
        minutes = DEFAULT_MINUTES if recipe is None else recipe.minutes
    settings = {**(recipe.settings if recipe else {}), **{k: v for k, v in settings.items() if v is not None}}

    def built(space: Space) -> Model:
        name = model or (recipe.model if recipe else default_model(space))
        own = hyperparameters(name) if callable(hyperparameters) else hyperparameters or {}
        return build(name, space, None, {**(recipe.hyperparameters if recipe else {}), **own}, seed=0)

    def choose(found: Survey) -> tuple[int, int]:
        place = local_device(device)
        counts = learns_by_counting(model or (recipe.model if recipe else default_model(found.space(1, 1))))
        alone = numbers()[1] == 1  # several would not measure alike
        times = Timetable(60 * minutes, started) if minutes and alone and not counts else Timetable()
        return size_chooser(built, settings, times.expected(), place, limit_of(memory, place))(found)

    return choose


def learns_by_counting(model: str | Model | None) -> bool:
    """Whether a family learns by counting."""
    if isinstance(model, Model):
        return isinstance(model, Counting)
    return model is not None and issubclass(family(model).load(), Counting)
