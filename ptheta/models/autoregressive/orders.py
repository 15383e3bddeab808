"""Visiting orders: in which order an autoregressive model walks through the dimensions of an event."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterable
from typing import Literal

import torch
from torch import Tensor

from ptheta.errors import UsageError, nearest
from ptheta.spaces import Space

Order = Literal["raster", "column", "spiral"] | tuple[int, ...] | None
"""A named order, a permutation of the flat indices 0 … m − 1, or None for the space's own."""


def as_order(order: object) -> Order:
    """An order as it is kept and written: None, a name, or a tuple of integers.

    Raises:
        UsageError: it is not one of these.
    """
    if order is None:
        return None
    if isinstance(order, str):
        if order == "raster" or order == "column" or order == "spiral":
            return order
        raise UsageError(f"no order is called {order!r}", nearest(order, ["raster", *NAMED]))
    try:
        if isinstance(order, Iterable):
            return tuple(operator.index(i) for i in order)
    except TypeError:  # not of integers
        pass
    raise UsageError(f"{order!r} is not an order", "give raster, column, spiral or a permutation")


def visiting_order(space: Space, order: Order) -> Tensor:
    """Flat indices [m] into an event, first to last.

    Args:
        space: of the events.
        order: `raster` or None: the space's own (row by row, channels of a pixel together); `column`: column by
            column; `spiral`: clockwise from the upper left corner inwards; or a permutation.

    Raises:
        UsageError: no order has that name, the space has no rows and columns, or it is not a permutation.
    """
    m, order = space.dimensions, as_order(order)
    if order is None or order == "raster":
        return space.order()
    if isinstance(order, str):
        coordinates = space.coordinates()
        if coordinates.shape[1] < 2:
            raise UsageError(f"{space} has no rows and columns to visit in {order} order", "leave the order out")
        pixels = NAMED[order](int(coordinates[:, 0].max()) + 1, int(coordinates[:, 1].max()) + 1)
        rank = {pixel: number for number, pixel in enumerate(pixels)}
        return torch.tensor(sorted(range(m), key=lambda i: (rank[tuple(coordinates[i, :2].tolist())], i)))
    visit = torch.tensor(order, dtype=torch.long)
    if sorted(visit.tolist()) != list(range(m)):
        raise UsageError(f"order is not a permutation of 0 to {m - 1}", "name every dimension once")
    return visit


def _columns(height: int, width: int) -> list[tuple[int, int]]:
    """(row, column) of all pixels, column by column."""
    return [(row, column) for column in range(width) for row in range(height)]


def _spiral(height: int, width: int) -> list[tuple[int, int]]:
    """(row, column) of all pixels along the border clockwise, then along what is left, and so on inwards."""
    top, left, bottom, right = 0, 0, height - 1, width - 1
    path: list[tuple[int, int]] = []
    while top <= bottom and left <= right:
        path += [(top, column) for column in range(left, right + 1)]
        path += [(row, right) for row in range(top + 1, bottom + 1)]
        if top < bottom:
            path += [(bottom, column) for column in range(right - 1, left - 1, -1)]
        if left < right:
            path += [(row, left) for row in range(bottom - 1, top, -1)]
        top, left, bottom, right = top + 1, left + 1, bottom - 1, right - 1
    return path


NAMED: dict[str, Callable[[int, int], list[tuple[int, int]]]] = {"column": _columns, "spiral": _spiral}
"""Named orders of pixels, apart from the space's own."""


def random_orders(n: int, coordinates: Tensor, generator: torch.Generator | None = None) -> Tensor:
    """Orders of slots to learn from, [n, m], each row a permutation.

    A third are uniform permutations. The others visit a random part first and then the rest, both in the given order,
    as completing does: a part of independent slots, or a box of the coordinates or all but a box.

    Args:
        n: rows.
        coordinates: of the slots [m, axes], in the order in which parts are visited.
        generator: None: the global one of the coordinates' device.
    """
    m, device = len(coordinates), coordinates.device

    def uniform(*shape: int) -> Tensor:
        where = device if generator is None else generator.device
        return torch.rand(shape, generator=generator, device=where, dtype=torch.float64).to(device)

    axes = coordinates[:, :2]
    sides = axes.amax(0) + 1
    ends = (uniform(n, 2, 1, axes.shape[1]) * (sides + 1)).long()
    box = ((axes >= ends.amin(1)) & (axes < ends.amax(1))).all(-1)  # [n, m]
    box ^= uniform(n, 1) < 0.5
    scattered = uniform(n, m) < uniform(n, 1)
    kind = (3 * uniform(n, 1)).long()
    place = torch.arange(m, device=device)
    part_first = torch.where(torch.where(kind == 1, scattered, box), place, place + m)
    return torch.where(kind == 0, uniform(n, m), part_first.double()).argsort(1)
