"""Contexts of events, as captions, pictures or cells beside them."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ptheta.reporting.markup import Html, picture
from ptheta.reporting.pictures import enlarged

if TYPE_CHECKING:
    from PIL.Image import Image as Picture

LOOKED_AT = 48
"""Pixels across of a picture that was given, about."""


@dataclass(frozen=True)
class Given:
    """Contexts of n events.

    Attributes:
        rows: the contexts [n, …].
        captions_of: contexts [k, …] → a caption for each.
        pictures_of: contexts → the pictures that they are or contain; None if they are not, or not all are given.
        cells_of: contexts → columns of a table; None if they are or hold other things than cells.
        chosen: captions, if they were chosen already.
        writings: cells that are numbers which Python writes differently, see `Codec.writings`.
    """

    rows: Tensor
    captions_of: Callable[[Tensor], list[str]]
    pictures_of: Callable[[Tensor], list[Picture] | None]
    cells_of: Callable[[Tensor], dict[str, list[Any]] | None]
    chosen: list[str] | None = None
    writings: Mapping[str, dict[str, str]] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.rows)

    def __getitem__(self, index: Tensor | np.ndarray | Sequence[int]) -> Given:
        """The contexts of some of the events."""
        numbers = torch.as_tensor(index)
        chosen = None if self.chosen is None else [self.chosen[i] for i in numbers.tolist()]
        return dataclasses.replace(self, rows=self.rows[numbers], chosen=chosen)

    @property
    def names(self) -> list[str]:
        """A caption for each."""
        return self.captions_of(self.rows) if self.chosen is None else self.chosen

    def pictures(self) -> list[Picture] | None:
        """The pictures that they are or contain; None if they are not pictures, or not all are given."""
        return self.pictures_of(self.rows)

    def columns(self) -> dict[str, list[Any]]:
        """Columns of a table: their cells, or else one column of captions."""
        return self.cells_of(self.rows) or {"context": self.names}

    def marked(self) -> list[Html | str]:
        """As a page shows them: pictures, or captions."""
        names, pictures = self.names, self.pictures()
        if pictures is None:
            return [*names]
        return [picture(enlarged(one, LOOKED_AT), name) for one, name in zip(pictures, names)]


def gathered(context: Tensor) -> Tensor:
    """The order [n] in which equal contexts follow each other, in the order of their first.

    >>> gathered(torch.tensor([3, 1, 3, 2, 1])).tolist()
    [0, 2, 1, 4, 3]
    """
    firsts: dict[bytes, int] = {}
    keys = [firsts.setdefault(row.numpy().tobytes(), len(firsts)) for row in context]
    return torch.tensor(keys, dtype=torch.long).argsort(stable=True)


def groups_of(context: Tensor) -> list[int]:
    """Lengths of the runs of equal contexts that follow each other.

    >>> groups_of(torch.tensor([3, 3, 1, 3]))
    [2, 1, 1]
    >>> groups_of(torch.tensor([[torch.nan, 3.0], [torch.nan, 3.0], [torch.nan, 4.0]]))
    [2, 1]
    """
    flat = context.reshape(len(context), -1)
    missing = torch.isnan(flat)
    differs = (flat[1:] != flat[:-1]) & ~(missing[1:] & missing[:-1])  # NaN, which says nothing, differs from itself
    starts = [0, *(differs.any(1).nonzero().flatten() + 1).tolist(), len(context)]
    return [b - a for a, b in itertools.pairwise(starts)]
