"""The size of pictures that are given none: one that suits the budget, also where all have the same one."""

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

STEPS = 200
"""Steps that a budget in minutes must have, with the batch of the recipe, for larger pictures."""

PHOTOS = 2**30
"""Bytes that a fit to pictures of a size that was not asked for may take."""

SIDES = (16, 24, 32, 48, 64, 96, 128)
"""Sides of squares of as many pixels as pictures are brought to, if no size is asked for."""


def size_chooser(
    build: Callable[[Space], Model], settings: dict[str, Any], seconds: float | None, device: torch.device, limit: float
) -> Callable[[Survey], tuple[int, int]]:
    """Chooses the size of pictures: the largest of which enough steps fit into the budget, at most their own.

    Args:
        build: space → a model with random weights.
        settings: given beside the family's recipe.
        seconds: that learning may take; None: the budget is in steps, and the size is their own, or a modest one if
            they need one.
        device: of the fit.
        limit: bytes that it may take.
    """

    def choose(found: Survey) -> tuple[int, int]:
        own = None if found.needs_size else found.own
        if seconds is None:
            return own or found.about(MODEST)
        size = found.about(SIDES[0] ** 2)
        if own is not None and (size == own or not found.keeps_shape):
            return own
        room, budget = min(limit, PHOTOS), seconds
        given = {name: value for name, value in settings.items() if value is not None}
        estimate = Estimate(build, of_passes(given), None, device, room)
        batch = Settings.of(build(found.space(*size).reduced(4) or found.space(*size)), **given).batch_size

        def suits(tried: tuple[int, int]) -> bool:
            try:
                cost = estimate.at(found.space(*tried))
            except Exceeded:
                return False
            return cost.memory(batch) <= room and STEPS * cost.seconds(batch) <= budget

        if own is not None and suits(own):
            return own
        for side in SIDES:
            tried = found.about(side**2)
            if (side != SIDES[0] and tried == size) or tried == own or not suits(tried):
                break
            size = tried
        return size

    return choose


def of_passes(settings: dict[str, Any]) -> dict[str, Any]:
    """The settings that an estimate depends on."""
    return {name: value for name, value in settings.items() if name in ("precision", "optimizer") and value is not None}
