"""The size of pictures that are given none: one that suits the budget."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch

from ptheta.data.codecs.sizes import MODEST
from ptheta.data.finding.pictures import Survey
from ptheta.models import Model
from ptheta.models.limits import Exceeded
from ptheta.spaces import Space
from ptheta.training import Settings
from ptheta.training.cost import Estimate

STEPS = 150
"""Steps that a budget in minutes must have, with the batch of the recipe, for larger pictures."""

PHOTOS = 2**30
"""Bytes that a fit to pictures of a size that was not asked for may take."""

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
