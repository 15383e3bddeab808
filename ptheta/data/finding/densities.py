"""What a density makes of real numbers that repeat, or lie far from all others, or at the ends of float64."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from ptheta.data.codecs import Codec, FrameCodec
from ptheta.data.splits import Split
from ptheta.errors import SourceError
from ptheta.numbers import listed
from ptheta.spaces import Real, Table

LARGEST = 1e304
"""Real numbers up to ± this can be learned: differences and products of theirs stay finite."""

SMALLEST = 1e-304
"""Columns whose values differ by less cannot be learned, unless all are alike."""

EVENTS = 10_000
"""Events of a split from which remarks are made, at most."""

DIMENSIONS = 1_000
"""Dimensions of which remarks are made, at most, evenly spaced."""

DISTANT = 1e4
"""How far from the median a value lies that is called distant, in spreads of the middle half."""

FEW = 50
"""Distant values are at most one in so many; a value that repeats is at least one in so many."""

NAMED = 5
"""Columns that a remark names."""


def check_range(codec: Codec, splits: dict[str, Split]) -> None:
    """Real numbers are neither so large nor so close together that a density of them cannot be computed.

    Raises:
        SourceError: they are; the column is named.
    """
    dimensions = _real(codec)
    if len(dimensions):
        parts = [_flat(split.x)[:, dimensions] for split in splits.values() if len(split)]
        check_numbers(parts, lambda j: _name(codec, int(dimensions[j])))


def check_numbers(parts: list[np.ndarray], name: Callable[[int], str]) -> None:
    """The same of arrays [n, m]; NaN is no number.

    Args:
        parts: of all rows.
        name: number of a column → what to call it.

    Raises:
        SourceError: numbers that cannot be learned.
    """
    if not parts:
        return
    low = np.fmin.reduce([np.fmin.reduce(x, 0) for x in parts]).astype(np.float64)  # not NaN, where there is any number
    high = np.fmax.reduce([np.fmax.reduce(x, 0) for x in parts]).astype(np.float64)
    far = np.maximum(-low, high) > LARGEST
    close = (low < high) & (high / 2 - low / 2 < SMALLEST / 2)
    if far.any():
        j = int(far.argmax())
        raise SourceError(
            f"{name(j)} goes from {low[j]:g} to {high[j]:g}, beyond the ±{LARGEST:g} that can be learned",
            "divide it by a constant, or leave it out",
        )
    if close.any():
        raise SourceError(
            f"the values of {name(int(close.argmax()))} differ by less than {SMALLEST:g}, too little to be learned",
            "multiply it by a constant, or leave it out",
        )


def remarks(codec: Codec, splits: dict[str, Split]) -> list[str]:
    """Sentences on real numbers of which most or many of training are one value, or a few of any split lie far out."""
    order = sorted(splits, key=lambda name: name != "train")
    parts = [_flat(splits[name].x[:EVENTS])[:, _real(codec)] for name in order]
    names = [_name(codec, j) for j in _real(codec)]
    return constants(codec, splits) + of_numbers(
        parts, names, density=isinstance(codec.space, Real), rows=isinstance(codec, FrameCodec)
    )


def constants(codec: Codec, splits: dict[str, Split]) -> list[str]:
    """A sentence on the columns of a table that are one value in all of training, if there are any."""
    x = splits["train"].x
    if not isinstance(codec, FrameCodec) or len(x) < 2:
        return []
    alike = [j for j in np.flatnonzero((x[:EVENTS] == x[0]).all(0)) if (x[:, j] == x[0, j]).all()]
    names = [_name(codec, int(j)) for j in alike]
    return [f"{_listed(names, True)} {'has' if len(names) == 1 else 'have'} one value only"] if names else []


def of_numbers(parts: list[np.ndarray], names: Sequence[str], *, density: bool = True, rows: bool = True) -> list[str]:
    """The same of real numbers.

    Args:
        parts: arrays [n, m], that of training first.
        names: of the m columns.
        density: whether they are modelled by a density alone, which gives no value a probability.
        rows: whether they are columns, not places in an array.
    """
    repeated, spiked, distant = [], [], []
    x, *others = (part[:EVENTS] for part in parts)
    for j in range(0, len(names), max(1, -(-len(names) // DIMENSIONS))):
        values, name = x[:, j].astype(np.float64), names[j]
        values = values[~np.isnan(values)]
        if len(values) < 2:
            continue
        distinct, counts = np.unique(values, return_counts=True)
        if density:
            if len(distinct) < max(2, len(values) / 10):
                repeated.append(name)
            elif counts.max() >= max(10, len(values) / FEW):
                share = f"{counts.max() / len(values):.0%}"
                spiked.append(f"{name} ({distinct[counts.argmax()]:g} in {share} of the events)")
        low, middle, high = np.quantile(values, [0.25, 0.5, 0.75])
        every = np.concatenate([values, *(other[:, j].astype(np.float64) for other in others)])
        far = np.abs(every / DISTANT - middle / DISTANT) > high / 1.349 - low / 1.349
        if low < high and 0 < far.sum() <= len(every) / FEW:
            distant.append(f"{name} ({every[far][0]:g})")
    mass = "carry probability mass, so a density there means little"
    mass += "" if rows else "; as columns of a data frame they would have probabilities"
    found = [
        (repeated, f"most values repeat, so they {mass}"),
        (spiked, f"values that repeat {mass}"),
        (distant, "a few values lie far from all others, and dominate the mean of log p; check them"),
    ]
    return [f"{_listed(names, rows)}: {what}" for names, what in found if names]


def _real(codec: Codec) -> np.ndarray:
    """Numbers of the dimensions that are real numbers."""
    space = codec.space
    if isinstance(space, Table):
        return np.array([j for j, c in enumerate(space.columns) if not c.is_category and not c.per], np.int64)
    return np.arange(space.dimensions if isinstance(space, Real) else 0)


def _flat(x: np.ndarray) -> np.ndarray:
    return x.reshape(len(x), -1)


def _name(codec: Codec, j: int) -> str:
    """Name of dimension j; of an array its place."""
    if isinstance(codec, FrameCodec):
        return codec.names[j]
    return f"x[{', '.join(map(str, np.unravel_index(j, codec.space.shape)))}]" if codec.space.shape else "x"


def _listed(names: list[str], rows: bool) -> str:
    what = "column" if rows else "dimension"
    return f"{what}{'s' if len(names) > 1 else ''} {listed(names, NAMED)}"
