"""From the costs of small spaces to those of large ones."""

from __future__ import annotations

import math

CLEARLY = 0.4
"""How much larger a power measured in seconds must be than one counted in bytes to be believed."""


def extrapolated(points: dict[int, float], m: int) -> float:
    """a + b m + c m² through the values of one to three numbers of dimensions, with b and c at least 0.

    One point alone is taken to grow with m².

    >>> extrapolated({10: 21.0, 20: 41.0, 40: 81.0}, 100), extrapolated({2: 8.0, 4: 32.0}, 8)
    (201.0, 128.0)
    """
    (*_, last) = at = sorted(points)
    if len(at) == 1:
        return points[last] * (m / last) ** 2 if m > last else points[last]
    if len(at) == 2:
        at = [0, *at]
        points = {0: 0.0, **points}
    first, middle, last = at
    early = (points[middle] - points[first]) / (middle - first)
    late = (points[last] - points[middle]) / (last - middle)
    square = max(0.0, (late - early) / (last - first))
    slope = max(0.0, late) if square == 0 else late
    return points[last] + (m - last) * (slope + square * (m - middle))


def by_power(points: dict[int, float], m: int, growth: float) -> float:
    """Seconds as b m^p through the values of the last two numbers of dimensions, with p of at most 2.

    Far beyond them a little noise in p is a large factor, so p is that of what is kept for the backward pass or of the
    weights, whichever grow more and which have no noise, unless the seconds grow clearly faster.

    Args:
        points: dimensions → seconds.
        m: dimensions.
        growth: by how much what is kept, or the weights, grow from the last point to m.

    >>> by_power({10: 0.5, 20: 2.0}, 40, 2.0), by_power({10: 1.0, 20: 2.2}, 40, 2.0)
    (8.0, 4.4)
    """
    *before, last = sorted(points)
    if min(points.values()) <= 0 or m <= last:  # of families that learn by counting
        return points[last]
    least = min(2.0, math.log(max(growth, 1.0)) / math.log(m / last))
    power = math.log(points[last] / points[before[-1]]) / math.log(last / before[-1]) if before else 2.0
    return points[last] * (m / last) ** (least if power < least + CLEARLY else min(2.0, power))
