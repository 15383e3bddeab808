"""Events as one grid of pictures, those of a context together and beside its caption or picture."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from torch import Tensor

from ptheta.reporting.exhibits.given import Given, gathered, groups_of
from ptheta.reporting.pictures import fitted, grid

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

CAPTION = 32
"""Characters of a context beside its samples, at most."""


def gridded(draw: Callable[[Tensor], Sequence[Picture]], x: Tensor, given: Given | None, most: int | None) -> Picture:
    """One grid of events; given contexts, rows of each with its caption or picture.

    Args:
        draw: events [n, *space.shape] → pictures, n.
        x: events.
        given: their contexts, if there are any.
        most: contexts that are shown, the first ones; None: all.
    """
    if given is None:
        return grid([*draw(x)])
    order = gathered(given.rows[: len(x)])
    order = order[: sum(groups_of(given.rows[order])[:most])]
    x, given = x[order], given[order]
    names = given.names
    pictures: list[Picture | None] = [*draw(x)]
    groups = groups_of(given.rows)
    columns = _columns(groups)
    starts = np.cumsum([0, *groups])
    beside = given[starts[:-1]].pictures()
    cells: list[Picture | None] = []
    titles: list[str] = []
    for number, size in enumerate(groups):
        rows, start = math.ceil(size / columns), int(starts[number])
        padded = [*pictures[start : start + size], *[None] * (rows * columns - size)]
        titles += [shortened(names[start], CAPTION) if beside is None else "", *[""] * (rows - 1)]
        for row in range(rows):
            first = [] if beside is None else [None if row else fitted(beside[number], pictures[0])]
            cells += [*first, *padded[row * columns : (row + 1) * columns]]
    if beside is None:
        return grid(cells, columns, titles=titles)
    headers = ["given", *[""] * columns]
    return grid(cells, columns + 1, headers=headers)


def shortened(text: str, most: int) -> str:
    """A text of at most `most` characters.

    >>> shortened("hand, medium skin tone", 12)
    'hand, mediu…'
    """
    return text if len(text) <= most else text[: most - 1] + "…"


def _columns(groups: list[int]) -> int:
    """Columns of a grid that is about square, if every group begins a row and its rows are about equally long.

    >>> _columns([64]), _columns([22, 21, 21]), _columns([6] * 10)
    (8, 8, 6)
    """
    most = max(groups)
    columns = next(c for c in itertools.count(1) if sum(math.ceil(size / c) for size in groups) <= c or c == most)
    return math.ceil(most / math.ceil(most / columns))
