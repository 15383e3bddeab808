"""Sizes of pictures that any family can be fitted to."""

from __future__ import annotations

import math

MODEST = 32**2
"""Pixels of a size that any family can be fitted to in minutes."""


def modest(height: float, width: float, pixels: float = MODEST) -> tuple[int, int]:
    """A size of about this many pixels in the shape of another, within 1:2 … 2:1, at most as large; sides are even.

    >>> modest(200, 300), modest(3000, 4000, 16**2), modest(28, 28), modest(100, 1000)
    ((26, 40), (14, 18), (28, 28), (22, 46))
    """
    ratio = min(2.0, max(0.5, width / height))
    sides = math.sqrt(pixels / ratio), math.sqrt(pixels * ratio)
    if height * width <= pixels or min(height / sides[0], width / sides[1]) < 1:
        scale = min(1.0, height / sides[0], width / sides[1])
        sides = sides[0] * scale, sides[1] * scale
        return max(1, round(sides[0])), max(1, round(sides[1]))
    return 2 * max(1, round(sides[0] / 2)), 2 * max(1, round(sides[1] / 2))
