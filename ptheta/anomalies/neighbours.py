"""How far events are from the training events: mean distance to the k nearest, of numbers and categories alike.

Events are compared by coordinates that need no model: levels of pictures as they are, numbers in standard deviations of
the training events, and categories by equality. Two draws from one column differ by 2 on average if their squared
difference is taken in standard deviations, so unequal categories differ by 2 as well.

k-nearest neighbours as a detector: Ramaswamy, Rastogi and Shim 2000; the mean over k: Angiulli and Pizzuti 2002.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from ptheta.data import Split
from ptheta.data.codecs import Codec
from ptheta.errors import UsageError
from ptheta.spaces import Discrete, Grid, Label, Real, Sequence, Space, Table, Waveform

NEAREST = 10
"""Neighbours whose distances are averaged: between the 5 and 20 that common detectors take."""

REFERENCES = 10_000
"""Training events that neighbours are looked for among, at most."""

REFERENCE_NUMBERS = 2**26
"""Numbers of training events held together, at most: of large events there are fewer."""

TOGETHER = 128
"""Events whose distances are computed together."""

UNEQUAL = 2.0
"""Squared distance of two unequal categories."""

FAR = 1e6
"""Standard deviations beyond which numbers are equally far, so that squares stay finite."""


class Coordinates(NamedTuple):
    """Events as points.

    Attributes:
        numbers: [n, d] float32, compared by differences.
        categories: [n, c] int64, compared by equality.
    """

    numbers: Tensor
    categories: Tensor


def compares(space: Space, codec: Codec, context_space: Space | None) -> bool:
    """Whether events have a distance that means something: neither texts nor waveforms, and of contexts labels only."""
    if context_space is not None and not isinstance(context_space, Label):
        return False
    if isinstance(space, Grid | Sequence | Waveform):
        return codec.is_picture
    return isinstance(space, Discrete | Table | Real)


class Neighbours:
    """Mean distance of events to their nearest training events.

    Of runs with a label as context the neighbours of an event are those with its label; with no such event, all.

    Args:
        train: training events and their labels.
        space: of the events.
        codec: of the events.
        seed: of the choice of training events, where there are too many.

    Raises:
        UsageError: there are none.
    """

    def __init__(self, train: Split, space: Space, codec: Codec, seed: int = 0):
        if not len(train):
            raise UsageError("there are no training events to compare with", "use --anomaly surprise")
        part = train.subset(max(NEAREST, min(REFERENCES, REFERENCE_NUMBERS // space.dimensions)), seed)
        self._of = _coordinates(space, codec, part.x)
        self._known = self._of(part.x)
        self._labels = part.context

    def __call__(self, split: Split, *, advance: Callable[[int], None] | None = None) -> np.ndarray:
        """Distances [n], float64.

        Args:
            split: events, and their labels if the training events have some.
            advance: called with the number of events done.
        """
        found = np.empty(len(split))
        labels = None if self._labels is None else split.context
        for start in range(0, len(split), TOGETHER):
            rows = slice(start, start + TOGETHER)
            squares = self._squares(self._of(split.x[rows]))
            if labels is None:
                found[rows] = _mean_of_nearest(squares)
            else:
                for label in np.unique(labels[rows]):
                    of_label = np.flatnonzero(labels[rows] == label)
                    same = torch.from_numpy(self._labels == label)  # none of it: all events are neighbours
                    some = squares[of_label][:, same] if bool(same.any()) else squares[of_label]
                    found[start + of_label] = _mean_of_nearest(some)
            if advance:
                advance(len(squares))
        return found

    def _squares(self, points: Coordinates) -> Tensor:
        """Squared distances to the training events, [n, N]."""
        # exact differences, not |a|² − 2ab + |b|², whose error is as large as a small distance
        exact = "donot_use_mm_for_euclid_dist"
        wide = self._known.numbers.shape[1] > 64  # where exact differences are slow and distances are large
        mode = "use_mm_for_euclid_dist" if wide else exact
        squares = torch.cdist(points.numbers, self._known.numbers, compute_mode=mode).square()
        for j in range(points.categories.shape[1]):
            squares += UNEQUAL * (points.categories[:, j, None] != self._known.categories[None, :, j])
        return squares


def _mean_of_nearest(squares: Tensor) -> np.ndarray:
    nearest = squares.topk(min(NEAREST, squares.shape[1]), largest=False).values
    return nearest.double().sqrt().mean(1).numpy()


def _coordinates(space: Space, codec: Codec, train: np.ndarray) -> Callable[[np.ndarray], Coordinates]:
    """Events → points, with moments of training events [n, *space.shape]."""
    if isinstance(space, Table):
        return _Rows(space, train)
    if isinstance(space, Real):
        flat = train.reshape(len(train), -1).astype(np.float64)
        centre, unit = _moments(flat)
        return lambda x: _points((x.reshape(len(x), -1) - centre) / unit, None)
    if space.ordered:
        return lambda x: _points(x.reshape(len(x), -1), None)
    if codec.is_picture:  # tokens that stand for colours
        return lambda x: _points(
            np.stack([np.asarray(picture) for picture in codec.pictures(x)]).reshape(len(x), -1), None
        )
    return lambda x: _points(None, x.reshape(len(x), -1))


class _Rows:
    """Rows of a table: numbers in standard deviations, missing ones at the mean and marked; categories."""

    def __init__(self, space: Table, train: np.ndarray):
        self.is_number = np.array([not column.is_category for column in space.columns])
        self.centre, self.unit = _moments(train[:, self.is_number].astype(np.float64))
        self.lacking = np.array([column.missing for column in space.columns]) & self.is_number

    def __call__(self, x: np.ndarray) -> Coordinates:
        numbers = (x[:, self.is_number] - self.centre) / self.unit
        categories = np.concatenate([x[:, ~self.is_number], np.isnan(x[:, self.lacking])], 1)
        return _points(np.nan_to_num(numbers, nan=0.0), np.nan_to_num(categories, nan=-1.0))


def _points(numbers: np.ndarray | None, categories: np.ndarray | None) -> Coordinates:
    some = numbers if numbers is not None else categories
    assert some is not None
    empty = np.zeros((len(some), 0))
    a = np.clip(empty if numbers is None else numbers, -FAR, FAR).astype(np.float32)
    b = (empty if categories is None else categories).astype(np.int64)
    return Coordinates(torch.from_numpy(a), torch.from_numpy(b))


def _moments(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of columns [n, d], of what is present; where nothing varies, its size."""
    known = np.isfinite(x)
    count = np.maximum(known.sum(0), 1)
    scale = np.maximum(np.abs(np.where(known, x, 0.0)).max(0, initial=0.0), 1e-300)  # squares of 1e200 overflow
    y = np.where(known, x / scale, 0.0)
    centre = y.sum(0) / count
    spread = np.sqrt((np.where(known, y - centre, 0.0) ** 2).sum(0) / count)
    return centre * scale, np.where(spread > 0, spread * scale, np.maximum(scale, 1.0))
