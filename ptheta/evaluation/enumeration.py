"""Listing all events of a small space."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from ptheta.errors import DensityError
from ptheta.numbers import count
from ptheta.spaces import Discrete, Space, Table

MAX_ENUMERATED = 2**22
"""Most events that are listed one by one."""


def enumerate_events(space: Space) -> Tensor:
    """All events of a small discrete space or table of categories, [N, *shape], the last dimension varying fastest.

    Raises:
        DensityError: there are more than 2^22 of them, or uncountably many.
    """
    return next(enumerated(space, MAX_ENUMERATED))


def enumerated(space: Space, size: int) -> Iterator[Tensor]:
    """The events of `enumerate_events` in their order, at most `size` of them at a time, [n, *shape].

    Raises:
        DensityError: there are more than 2^22 of them, or uncountably many.
    """
    events_in_all = space.event_count
    if not isinstance(space, Discrete | Table) or events_in_all is None:
        raise DensityError(f"{space} has uncountably many events", "integrate instead, or use a discrete space")
    if events_in_all > MAX_ENUMERATED:
        raise DensityError(
            f"{space} has {count(events_in_all)} events, too many to list",
            f"at most {MAX_ENUMERATED:,} are listed; score samples instead",
        )
    discrete = isinstance(space, Discrete)
    sizes = torch.tensor(
        (space.sizes or (space.levels,) * space.dimensions) if discrete else [c.codes for c in space.columns]
    )
    places = sizes.flip(0).cumprod(0).flip(0) // sizes  # [m], how many events share a value and all before it
    listed = (
        torch.arange(start, min(start + size, events_in_all))[:, None] // places % sizes
        for start in range(0, events_in_all, size)
    )
    if discrete:
        return (x.reshape(-1, *space.shape) for x in listed)
    levels = torch.tensor([column.levels for column in space.columns])
    return (torch.where(x < levels, x.double(), torch.nan) for x in listed)
